// SPDX-License-Identifier: MIT
// Every message that servers and clients exchange, as one table: its channel, direction, tag and fields in each protocol generation.

import {
  anything,
  asDict,
  bool,
  dict,
  float,
  type Generation,
  type Infer,
  id,
  int,
  listOf,
  nullable,
  numeric,
  oneOf,
  optional,
  readShape,
  record,
  required,
  type Shape,
  text,
  writeShape,
} from "./message-schema.js";
import { describe, wireError } from "./pickle-value.js";

const subject = { names: { D: "subject_id" } } as const;

export const processIdentity = { pid: required(int), create_time: required(float) };
/** A process, safe against reuse of its id: `create_time` is what psutil reports, to the bit. */
export type ProcessIdentity = Infer<typeof processIdentity>;

const running = {
  execution_id: required(text),
  plate_id: required(id, { ...subject, fallback: "unknown" }),
  start_time: required(float, { fallback: 0 }),
  elapsed: required(float, { fallback: 0 }),
  compile_only: required(bool, { fallback: false }),
};
export type RunningExecution = Infer<typeof running>;

const queued = {
  execution_id: required(text),
  plate_id: required(id, { ...subject, fallback: "unknown" }),
  queue_position: required(int, { fallback: 0 }),
};
export type QueuedExecution = Infer<typeof queued>;

const worker = {
  pid: required(int),
  status: required(text),
  cpu_percent: required(float),
  memory_mb: required(float),
  create_time: optional(float),
};
export type Worker = Infer<typeof worker>;

const application = {
  application_id: required(text, { names: { D: "identifier" } }),
  application_version: required(text, { names: { D: "version" } }),
};
export type Application = Infer<typeof application>;

export const serverRoles = ["generic", "execution", "viewer"] as const;
export type ServerRole = (typeof serverRoles)[number];

export const executionStatuses = ["queued", "running", "complete", "failed", "cancelled"] as const;
/** Before it is queued a request is submitted, which is no status on the wire. */
export type ExecutionStatus = (typeof executionStatuses)[number];

const resultsSummary = {
  well_count: required(int, { names: { D: "partition_count" }, fallback: 0 }),
  wells: required(listOf(id), { names: { D: "partition_values" }, fallback: [] }),
  output_plate_root: optional(text, { in: "ABC" }),
  auto_add_output_plate_to_plate_manager: optional(bool, { in: "ABC" }),
};
export type ResultsSummary = Infer<typeof resultsSummary>;

const executionRecord = {
  execution_id: required(text),
  plate_id: required(id, subject),
  client_address: nullable(text),
  // A word of another release than ours is passed on: whoever waits treats it as not ended.
  status: required(text),
  start_time: nullable(float),
  end_time: nullable(float),
  error: nullable(text),
  compile_only: required(bool, { fallback: false }),
  traceback: optional(text),
  results_summary: optional(record(resultsSummary)),
  progress_sequence: optional(int, { in: "D", absent: 0 }),
};
export type ExecutionRecord = Infer<typeof executionRecord>;

const usage = { memory_mb: required(float), cpu_percent: required(float) };
const launch = {
  code_root: required(text),
  owner: required(record(processIdentity)),
  audience: required(oneOf("any_session", "owner_only")),
};

const observation = {
  observation_budget_seconds: optional(float, { in: "D", omit: true }),
  observation_operation: optional(text, { in: "D", omit: true }),
};
const payload = { payload: optional(anything) };
const client = { client_id: required(text), ...observation };
const end = { process_identity: optional(record(processIdentity), { in: "D", omit: true }), ...observation };
const viewerReply = { status: required(text), message: optional(text), payload: optional(anything) };

interface MessageSpec {
  /** Control messages are pickles, progress is JSON on PUB, startup status is a line of JSON in a file. */
  readonly channel: "control" | "progress" | "startup";
  readonly direction: "request" | "reply" | "event";
  /** The key and value that name the kind; replies to requests have none in many cases. */
  readonly tag?: readonly [key: "type" | "status", value: string];
  readonly fields: Shape;
}

const request = <S extends Shape>(type: string, fields: S) =>
  ({ channel: "control", direction: "request", tag: ["type", type], fields }) as const;
const reply = <S extends Shape>(fields: S, tag?: readonly ["type" | "status", string]) =>
  ({ channel: "control", direction: "reply", ...(tag && { tag }), fields }) as const;

/** The one table. Requests are found by `type`; which reply answers which request is {@link replyTo}. */
export const messageKinds = {
  ping: request("ping", observation),
  execute: request("execute", {
    plate_id: required(id, subject),
    execution_plate_id: optional(id, { in: "BCD", names: { D: "execution_subject_id" } }),
    selected_pipeline_path: optional(text, { in: "BCD" }),
    pipeline_code: required(text),
    config_params: optional(dict),
    config_code: optional(text),
    pipeline_config_code: optional(text),
    client_address: optional(text),
    compile_only: optional(bool, { absent: false }),
    compile_artifact_id: optional(text),
    ...observation,
  }),
  status: request("status", { execution_id: optional(text), ...observation }),
  cancel: request("cancel", { execution_id: required(text), ...observation }),
  shutdown: request("shutdown", end),
  force_shutdown: request("force_shutdown", end),
  register_progress: request("register_progress", client),
  unregister_progress: request("unregister_progress", client),

  clear_state: request("clear_state", payload),
  settle: request("settle", payload),
  state: request("state", payload),
  payloads: request("payloads", payload),
  navigate: request("navigate", payload),
  isolate_layers: request("isolate_layers", payload),
  image_intensity: request("image_intensity", payload),
  viewport: request("viewport", payload),
  apply_intensity_window: request("apply_intensity_window", payload),
  screenshot: request("screenshot", payload),
  run_macro: request("run_macro", payload),
  results_table: request("results_table", payload),
  read_plane: request("read_plane", payload),

  pong: reply(
    {
      port: required(int),
      control_port: required(int),
      ready: required(bool),
      server: required(text, { fallback: "unknown" }),
      server_type: optional(text),
      server_role: optional(oneOf(...serverRoles), { in: "BCD" }),
      control_capabilities: optional(listOf(text), { in: "CD" }),
      application: optional(record(application), { in: "CD" }),
      log_file_path: optional(text),
      active_executions: optional(int),
      running_executions: optional(listOf(record(running))),
      queued_executions: optional(listOf(record(queued))),
      workers: optional(listOf(record(worker))),
      uptime: optional(float),
      progress_subscribers: optional(int),
      process_identity: optional(record(processIdentity), { in: "BCD" }),
      compile_status: optional(text),
      compile_message: optional(text),
      memory_mb: optional(float, { in: "ABC" }),
      cpu_percent: optional(float, { in: "ABC" }),
      process_usage: optional(record(usage), { in: "D" }),
      launch: optional(record(launch), { in: "D" }),
      viewer: optional(text, { in: "A" }),
      openhcs: optional(bool, { in: "A" }),
      /** What tilecast's own servers say beyond the family's keys; its peers ignore it. */
      tilecast: optional(dict, { omit: true }),
    },
    ["type", "pong"],
  ),
  execute_reply: reply({
    status: required(oneOf("accepted", "error")),
    execution_id: optional(text),
    message: optional(text),
    error: optional(text),
  }),
  status_reply: reply({
    status: required(text),
    execution: optional(record(executionRecord)),
    active_executions: optional(int),
    uptime: optional(float),
    executions: optional(listOf(text)),
    running_executions: optional(listOf(record(running))),
    queued_executions: optional(listOf(record(queued))),
    // A failure to find the execution comes in these.
    error: optional(text, { in: "" }),
    message: optional(text, { in: "" }),
  }),
  cancel_reply: reply({
    status: required(text),
    message: optional(text),
    workers_killed: optional(int),
    error: optional(text),
  }),
  registration_reply: reply({
    status: required(text),
    message: optional(text),
    client_id: optional(text),
    progress_subscribers: optional(int),
    progress_observations: optional(dict, { in: "D" }),
    error: optional(text, { in: "" }),
  }),
  shutdown_ack: reply({ status: required(text), message: optional(text) }, ["type", "shutdown_ack"]),
  /** What a handler that failed, or a message that cannot be read, is answered with. */
  control_error: reply({ type: required(oneOf("error")), message: required(text) }, ["status", "error"]),
  /** Any viewer control; fields beyond these depend on the control and stay in the reply as it came. */
  viewer_reply: reply({ type: optional(text), ...viewerReply }),

  progress: {
    channel: "progress",
    direction: "event",
    fields: {
      execution_id: required(text, { also: ["task_id"] }),
      plate_id: required(id, { ...subject, fallback: "" }),
      axis_id: required(id, { fallback: "" }),
      step_name: required(text, { fallback: "" }),
      phase: required(text),
      status: required(text),
      percent: required(float),
      completed: required(numeric),
      total: required(numeric),
      timestamp: required(float),
      pid: optional(int),
      progress_sequence: optional(int),
      message: optional(text),
      error: optional(text),
      traceback: optional(text),
      total_wells: optional(listOf(id)),
      worker_assignments: optional(dict),
      step_names: optional(listOf(text)),
      worker_slot: optional(text),
      owned_wells: optional(listOf(id)),
      component: optional(text),
      pattern: optional(text),
    },
  },
  startup_status: {
    channel: "startup",
    direction: "event",
    fields: {
      phase: required(text),
      message: required(text),
      sequence: required(int),
      timestamp: required(float),
    },
  },
} as const satisfies Record<string, MessageSpec>;

export type MessageKind = keyof typeof messageKinds;
/** The message of a kind, its tag left out. Names are those of generation C. */
export type MessageOf<K extends MessageKind> = Infer<(typeof messageKinds)[K]["fields"]>;
export type Pong = MessageOf<"pong">;

type Requests = {
  [K in MessageKind]: (typeof messageKinds)[K] extends { direction: "request" } ? K : never;
}[MessageKind];
/** Every `type` that a control request can have. */
export type RequestKind = Requests;

const replies = {
  ping: "pong",
  execute: "execute_reply",
  status: "status_reply",
  cancel: "cancel_reply",
  shutdown: "shutdown_ack",
  force_shutdown: "shutdown_ack",
  register_progress: "registration_reply",
  unregister_progress: "registration_reply",
} as const satisfies Partial<Record<RequestKind, MessageKind>>;
export type ReplyKind<K extends RequestKind> = K extends keyof typeof replies
  ? (typeof replies)[K]
  : "viewer_reply";

/** The kind of message that answers a request. */
export function replyTo<K extends RequestKind>(kind: K): ReplyKind<K> {
  return ((replies as Partial<Record<RequestKind, MessageKind>>)[kind] ?? "viewer_reply") as ReplyKind<K>;
}

/** Reads a message of a known kind from a decoded pickle or JSON. Throws ERR_WIRE that names the field. */
export function readMessage<K extends MessageKind>(kind: K, value: unknown): MessageOf<K> {
  const spec: MessageSpec = messageKinds[kind];
  if (spec.tag) {
    const [key, expected] = spec.tag;
    const got = asDict(value)?.[key];
    if (got !== expected) throw wireError(`${kind}.${key}`, JSON.stringify(expected), describe(got));
  }
  return readShape(spec.fields, value, kind) as MessageOf<K>;
}

/** The dict or object to be pickled or written as JSON, exactly as `generation` has it. */
export function writeMessage<K extends MessageKind>(
  kind: K,
  message: MessageOf<K>,
  generation: Generation = "C",
): { [key: string]: unknown } {
  const spec: MessageSpec = messageKinds[kind];
  const { memory_mb, cpu_percent } = message as Partial<Pong>;
  const usage = memory_mb === undefined || cpu_percent === undefined ? undefined : { memory_mb, cpu_percent };
  return {
    ...(spec.tag && { [spec.tag[0]]: spec.tag[1] }),
    ...writeShape(
      spec.fields,
      // Generation D has usage as a record.
      (kind === "pong" && usage ? { process_usage: usage, ...message } : message) as Infer<Shape>,
      generation,
    ),
  };
}

/** Which request a decoded control message is; its `type` as it came when that is none of ours. */
export function requestKind(value: unknown): {
  readonly type: string;
  readonly kind: RequestKind | undefined;
} {
  const got = asDict(value);
  if (got === undefined) throw wireError("control message", "a dict with str keys", describe(value));
  const type = text.read(got.type, "control message.type");
  const known =
    Object.hasOwn(messageKinds, type) && messageKinds[type as MessageKind].direction === "request";
  return { type, kind: known ? (type as RequestKind) : undefined };
}

/** The generation of the peer that sent this pong. */
export function generationOf(pong: unknown): Generation {
  const got = asDict(pong);
  if (got === undefined) throw wireError("pong", "a dict with str keys", describe(pong));
  if (got.server_role === undefined) return "A";
  const app = asDict(got.application);
  if ("launch" in got || "process_usage" in got || app?.identifier !== undefined) return "D";
  return got.control_capabilities === undefined ? "B" : "C";
}

/**
 * Reads a pong and says which generation sent it. Memory and CPU are in `memory_mb` and `cpu_percent`, whatever the generation; one alone is
 * dropped, as peers would refuse it.
 */
export function readPong(value: unknown): { readonly pong: Pong; readonly generation: Generation } {
  const { process_usage, memory_mb, cpu_percent, ...rest } = readMessage("pong", value);
  const known = process_usage ?? { memory_mb, cpu_percent };
  const complete = known.memory_mb !== undefined && known.cpu_percent !== undefined;
  return { pong: complete ? { ...rest, ...known } : rest, generation: generationOf(value) };
}
