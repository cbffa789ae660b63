// SPDX-License-Identifier: MIT
// The message table: what real peers sent reads, and is written again exactly as their generation writes it.

import { describe, expect, test } from "vitest";
import { parseJson } from "../../lib/runtime/json.js";
import { asDict, generations } from "../../lib/runtime/message-schema.js";
import {
  generationOf,
  type MessageKind,
  messageKinds,
  readMessage,
  readPong,
  replyTo,
  requestKind,
  writeMessage,
} from "../../lib/runtime/messages.js";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import { PyOpaque } from "../../lib/runtime/pickle-value.js";
import { writePickle } from "../../lib/runtime/pickle-writer.js";
import { jsons, pickles } from "./captures.js";

type Dict = { [key: string]: unknown };

/** Enum members as their values; our writer's plain strings are what every peer accepts. */
function withoutEnums(value: unknown): unknown {
  if (value instanceof PyOpaque) return value.origin === "reduce" ? value.args[0] : value;
  if (Array.isArray(value)) return value.map(withoutEnums);
  if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value))
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withoutEnums(v)]));
  return value;
}

/** Through the pickle, so that floats are numbers again. */
const onTheWire = (kind: MessageKind, value: unknown, generation: "A" | "B" | "C" | "D") =>
  withoutEnums(readPickle(writePickle(writeMessage(kind, readMessage(kind, value), generation))));

const control = pickles
  .filter((f) => f.from === "c_execution_ipc" || f.from === "d_zmqruntime_065")
  .map((f) => ({
    ...f,
    generation: f.from.startsWith("c") ? ("C" as const) : ("D" as const),
    value: readPickle(f.bytes) as Dict,
  }));

function replyKindOf(value: Dict): MessageKind | undefined {
  if (value.type === "pong") return "pong";
  if (value.type === "shutdown_ack") return "shutdown_ack";
  if (value.status === "accepted") return "execute_reply";
  if ("workers_killed" in value) return "cancel_reply";
  if ("progress_subscribers" in value) return "registration_reply";
  if (value.status === "ok" && ("execution" in value || "executions" in value)) return "status_reply";
  return undefined;
}

describe("captured control messages", () => {
  test("requests are known, and written again exactly", () => {
    const kinds = new Set<string>();
    for (const { value, generation } of control) {
      if (value.type === undefined || value.status !== undefined || value.type === "pong") continue;
      const { kind, type } = requestKind(value);
      if (kind === undefined) continue;
      // The study sent requests with fields left out too, to see the errors.
      const needed = { execute: ["pipeline_code"], cancel: ["execution_id"] }[type] ?? [];
      const has = (key: string) => key in value;
      if (!needed.every(has) || (type === "execute" && !has("plate_id") && !has("subject_id"))) continue;
      // One that speaks C and D at once.
      if (generation === "D" && has("plate_id")) continue;
      if (type.endsWith("register_progress") && !has("client_id")) continue;
      kinds.add(type);
      const written = onTheWire(kind, value, generation) as Dict;
      for (const [key, got] of Object.entries(withoutEnums(value) as Dict))
        expect(written[key], `${generation} ${type}.${key}`).toEqual(got);
      // Only generation D has keys that its messages may leave out.
      for (const key of Object.keys(written))
        if (generation === "C" || written[key] !== null) expect(value, type).toHaveProperty([key]);
    }
    expect([...kinds].sort()).toEqual([
      "cancel",
      "execute",
      "force_shutdown",
      "ping",
      "register_progress",
      "shutdown",
      "status",
      "unregister_progress",
    ]);
  });

  test("replies are written again exactly", () => {
    const seen = new Set<string>();
    for (const { value, generation, scenario } of control) {
      const kind = replyKindOf(value);
      if (kind === undefined) continue;
      seen.add(`${generation} ${kind}`);
      expect(onTheWire(kind, value, generation), `${generation} ${scenario}`).toEqual(withoutEnums(value));
    }
    for (const g of ["C", "D"])
      for (const kind of [
        "pong",
        "execute_reply",
        "status_reply",
        "cancel_reply",
        "registration_reply",
        "shutdown_ack",
      ])
        expect(seen).toContain(`${g} ${kind}`);
  });

  test("progress events are read", () => {
    const events = jsons
      .map((f) => parseJson(f.text) as Dict)
      .filter((e) => e.phase !== undefined && e.percent !== undefined);
    expect(events.length).toBeGreaterThan(0);
    for (const event of events)
      expect(readMessage("progress", event)).toMatchObject({
        execution_id: event.execution_id,
        percent: event.percent,
      });
  });

  test("viewers' requests and replies are known", () => {
    const requests = pickles
      .filter((f) => /^c_(napari|fiji)/.test(f.from) && f.dir === "send")
      .map((f) => readPickle(f.bytes))
      .filter((value) => asDict(value)?.type !== undefined);
    const kinds = new Set(requests.map((value) => requestKind(value).kind));
    for (const kind of [
      "clear_state",
      "settle",
      "state",
      "payloads",
      "navigate",
      "isolate_layers",
      "image_intensity",
      "viewport",
    ])
      expect(kinds).toContain(kind);
  });
});

describe("generations", () => {
  const base = { type: "pong", port: 1, control_port: 2, ready: true, server: "X" };
  test.each([
    [base, "A"],
    [{ ...base, server_role: "viewer" }, "B"],
    [{ ...base, server_role: "viewer", control_capabilities: ["ping"] }, "C"],
    [
      {
        ...base,
        server_role: "viewer",
        control_capabilities: ["ping"],
        application: { application_id: "a", application_version: "1" },
      },
      "C",
    ],
    [
      {
        ...base,
        server_role: "viewer",
        control_capabilities: ["ping"],
        application: { identifier: "a", version: "1" },
      },
      "D",
    ],
    [{ ...base, server_role: "viewer", control_capabilities: ["ping"], launch: null }, "D"],
  ] as const)("%j is generation %s", (pong, generation) => {
    expect(generationOf(pong)).toBe(generation);
  });

  test("an application reads the same from C and D, and usage from both forms; one usage value alone is dropped", () => {
    const pong = { ...base, server_role: "viewer", control_capabilities: ["ping"] };
    const c = readPong({
      ...pong,
      application: { application_id: "a", application_version: "1" },
      memory_mb: 1,
      cpu_percent: 2,
    });
    const d = readPong({
      ...pong,
      application: { identifier: "a", version: "1" },
      process_usage: { memory_mb: 1, cpu_percent: 2 },
    });
    expect(c.pong).toEqual(d.pong);
    expect(readPong({ ...pong, memory_mb: 1 }).pong).not.toHaveProperty("memory_mb");
  });

  test("each generation gets its own keys", () => {
    const pong = {
      port: 1,
      control_port: 2,
      ready: true,
      server: "X",
      server_role: "generic",
      control_capabilities: ["ping"],
      memory_mb: 1,
      cpu_percent: 2,
    } as const;
    const keys = Object.fromEntries(generations.map((g) => [g, Object.keys(writeMessage("pong", pong, g))]));
    expect(keys.A).not.toContain("server_role");
    expect(keys.B).toContain("server_role");
    expect(keys.B).not.toContain("control_capabilities");
    expect(keys.C).toEqual([
      "type",
      "port",
      "control_port",
      "ready",
      "server",
      "server_role",
      "control_capabilities",
      "memory_mb",
      "cpu_percent",
    ]);
    expect(keys.D).toContain("launch");
    expect(keys.D).not.toContain("memory_mb");
    // Its servers refuse None in these.
    expect(writeMessage("register_progress", { client_id: "c" }, "D")).toEqual({
      type: "register_progress",
      client_id: "c",
    });
    expect(writeMessage("shutdown", {}, "D")).toEqual({ type: "shutdown" });
    const execute = { plate_id: "p", pipeline_code: "x", config_code: "c" };
    expect(writeMessage("execute", execute, "C")).toEqual({
      type: "execute",
      plate_id: "p",
      pipeline_code: "x",
      config_code: "c",
    });
    expect(writeMessage("execute", execute, "D")).toMatchObject({
      subject_id: "p",
      execution_subject_id: null,
      compile_artifact_id: null,
    });
    expect(readMessage("execute", { type: "execute", subject_id: 57, pipeline_code: "x", extra: 1 })).toEqual(
      { plate_id: "57", pipeline_code: "x" },
    );
  });
});

describe("what is refused, with the field", () => {
  test.each([
    ["cancel", { type: "cancel" }, "cancel.execution_id: expected a str, and got nothing"],
    ["cancel", { type: "cancel", execution_id: 5 }, "cancel.execution_id: expected a str, and got 5"],
    ["cancel", { type: "status" }, 'cancel.type: expected "cancel", and got "status"'],
    ["status", [], 'status.type: expected "status", and got undefined'],
    [
      "pong",
      { ...{ type: "pong", port: 1, control_port: 2, ready: true }, server_role: "boss" },
      'pong.server_role: expected one of generic, execution, viewer, and got "boss"',
    ],
    [
      "pong",
      { type: "pong", port: 1, control_port: 2, ready: true, workers: [{ pid: 1 }] },
      "pong.workers[0].status: expected a str, and got nothing",
    ],
  ] as const)("%s", (kind, value, message) => {
    expect(() => readMessage(kind, value)).toThrow(expect.objectContaining({ code: "ERR_WIRE", message }));
  });

  test("a request is a dict with a type", () => {
    expect(() => requestKind(7)).toThrow("control message: expected a dict with str keys, and got 7");
    expect(() => requestKind({})).toThrow("control message.type: expected a str, and got undefined");
    expect(requestKind({ type: "constructor" })).toEqual({ type: "constructor", kind: undefined });
    expect(requestKind({ type: "pong" }).kind).toBeUndefined();
  });
});

test("every request has a reply in the table", () => {
  for (const [kind, spec] of Object.entries(messageKinds))
    if (spec.direction === "request") expect(messageKinds[replyTo(kind as "ping")].direction).toBe("reply");
});
