// SPDX-License-Identifier: MIT
// What is known of the servers of this host, as pure logic: takes scans, events and records, gives a tree.

import type {
  Endpoint,
  ExecutionRecord,
  FoundServer,
  ProcessIdentity,
  ReceivedProgress,
} from "../runtime/index.js";
import { finish } from "./aggregate.js";
import { Executions } from "./executions.js";
import type { Launching } from "./launching.js";
import type { InstanceTree, ServerAction, ServerNode, WorkerProcess } from "./node.js";
import { addressOf, describeServer, pongOf, serverKey, serverType, viewerFacts } from "./server-info.js";
import { diff, share, type TreeChange } from "./tree.js";

/** Memory and CPU of a process of this host. */
export interface Usage {
  readonly memoryMb: number;
  readonly cpuPercent: number;
}

/** What a scan found, at one moment. */
export interface Scan {
  readonly found: readonly FoundServer[];
  readonly launching?: readonly Launching[];
  /** Of the servers whose pongs do not tell, by process id. */
  readonly usage?: ReadonlyMap<number, Usage>;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface Question {
  readonly key: string;
  readonly endpoint: Endpoint;
  readonly executionId: string;
}

/** A server that was not found for so many scans is gone. */
const maxMissed = 2;
/** Start times come from clocks of two processes; within this they are the same. */
const startToleranceMs = 3000;

interface Server {
  found: FoundServer;
  missed: number;
  startedAt: number | null;
  usage: Usage | undefined;
  /** The process that the newest pong at this address named: one that hangs does not tell any more. */
  identity: ProcessIdentity | undefined;
  logFile: string | undefined;
  /** The newest pong's facts, which a server that hangs keeps. */
  answered: FoundServer | undefined;
  executions: Executions;
}

const emptyTree: InstanceTree = { version: 0, scanned: false, error: null, servers: [] };

const label = (text: string | null) => (text === null ? null : text.replace(/\p{Cc}/gu, "?").slice(0, 200));

export class InstanceModel {
  readonly #servers = new Map<string, Server>();
  readonly #busy = new Map<string, ServerAction>();
  #launching: readonly Launching[] = [];
  #scanned = false;
  #error: string | null = null;
  #tree: InstanceTree = emptyTree;

  /** Takes a scan; returns which executions are over by it, so that their servers can be asked how they ended. */
  scan({ found, launching = [], usage, at }: Scan): Question[] {
    const questions: Question[] = [];
    const seen = new Set<string>();
    for (const each of found) {
      const key = serverKey(each.endpoint);
      seen.add(key);
      const server = this.#take(key, each, at);
      const pong = pongOf(each);
      if (pong === undefined) continue;
      server.usage = usage?.get(pong.process_identity?.pid ?? -1);
      for (const executionId of server.executions.pong(pong))
        questions.push({ key, endpoint: each.endpoint, executionId });
    }
    for (const [key, server] of this.#servers)
      if (!seen.has(key) && ++server.missed >= maxMissed) this.#servers.delete(key);
    this.#launching = launching.filter(({ endpoint }) => {
      const there = this.#servers.get(serverKey(endpoint))?.found.state.state;
      return there === undefined || there === "stale";
    });
    this.#scanned = true;
    this.#error = null;
    return questions;
  }

  #take(key: string, found: FoundServer, at: number): Server {
    const pong = pongOf(found);
    const identity = pong?.process_identity;
    const old = this.#servers.get(key);
    // Another process at the same address is another server, with nothing of the one before.
    const isOther =
      old?.identity !== undefined &&
      identity !== undefined &&
      (old.identity.pid !== identity.pid ||
        Math.abs(old.identity.create_time - identity.create_time) * 1000 > startToleranceMs);
    const isGone = found.state.state === "stale" || found.state.state === "foreign";
    const server: Server =
      old === undefined || isOther || isGone
        ? {
            ...{ found, missed: 0, startedAt: null, usage: undefined, identity: undefined },
            ...{ logFile: undefined, answered: undefined, executions: new Executions() },
          }
        : old;
    this.#servers.set(key, server);
    server.found = found;
    // What a killed process has left is as good as nothing: missed once, then no longer shown, and not new at every further look.
    const isLeft = found.state.state === "stale";
    server.missed = isLeft ? Math.min(maxMissed, (old?.missed ?? 0) + 1) : 0;
    if (pong !== undefined) {
      server.answered = found;
      server.identity = identity ?? server.identity;
      server.logFile = pong.log_file_path ?? server.logFile;
      const startedAt =
        pong.uptime === undefined ? identity && identity.create_time * 1000 : at - pong.uptime * 1000;
      if (
        startedAt !== undefined &&
        (server.startedAt === null || Math.abs(server.startedAt - startedAt) > startToleranceMs)
      )
        server.startedAt = Math.round(startedAt);
    }
    return server;
  }

  /** The scan itself failed. */
  failed(message: string): void {
    this.#error = message;
  }

  /** Takes an event of that server; false for one that is stale, repeated or contradictory, which changes nothing. */
  event(key: string, event: ReceivedProgress): boolean {
    return this.#servers.get(key)?.executions.event(event) ?? false;
  }

  /** How a server has an execution; `undefined`: it does not know it. */
  record({ key, executionId }: Question, record: ExecutionRecord | undefined): void {
    this.#servers.get(key)?.executions.record(executionId, record);
  }

  /** That a server is being asked to end; `null`: no longer. */
  busy(key: string, action: ServerAction | null): void {
    if (action === null) this.#busy.delete(key);
    else this.#busy.set(key, action);
  }

  /** Servers that publish progress, also while they hang. */
  executionServers(): { readonly key: string; readonly endpoint: Endpoint; readonly process: string }[] {
    return [...this.#servers].flatMap(([key, { found, identity, answered }]) => {
      const pong = answered && pongOf(answered);
      const publishes = pong !== undefined && serverType(pong) === "execution";
      const process = `${identity?.pid} ${identity?.create_time}`;
      return publishes ? [{ key, endpoint: found.endpoint, process }] : [];
    });
  }

  /** For actions: the server as the last scan found it, and what is remembered of it. */
  server(key: string): Pick<Server, "found" | "identity" | "logFile"> | undefined {
    return this.#servers.get(key);
  }

  /** It has ended, and no scan is needed to tell. */
  gone(key: string): void {
    this.#servers.delete(key);
  }

  get tree(): InstanceTree {
    return this.#tree;
  }

  /** Makes the tree of what is known now; the same one again, and no changes, when nothing in it differs. */
  update(): readonly TreeChange[] {
    const previous = this.#tree;
    const nodes = [
      ...[...this.#servers]
        .filter(([, { missed }]) => missed < maxMissed)
        .map(([key, server]) => this.#node(key, server)),
      ...this.#launching.map(launchingNode),
    ].filter((node, i, all) => all.findIndex((other) => other.key === node.key) === i);
    nodes.sort((a, b) => a.port - b.port || (a.key < b.key ? -1 : 1));
    const servers = share(previous.servers, nodes);
    const isSame =
      servers === previous.servers && this.#scanned === previous.scanned && this.#error === previous.error;
    if (isSame) return [];
    this.#tree = {
      version: previous.version + 1,
      scanned: this.#scanned,
      error: this.#error,
      servers,
    };
    return diff(previous.servers, servers);
  }

  #node(key: string, { found, missed, startedAt, usage, identity, logFile, answered }: Server): ServerNode {
    const { endpoint, state } = found;
    const facts = describeServer(answered ?? found);
    const pong = answered && pongOf(answered);
    const answers = state.state === "ready" || state.state === "starting";
    const rounded = (own: number | undefined, other: number | undefined) =>
      own === undefined && other === undefined ? null : Math.round(own ?? (other as number));
    const actions: ServerAction[] = [
      ...(answers ? (["quit"] as const) : []),
      ...(answers || (state.state === "hung" && identity !== undefined) ? (["force-quit"] as const) : []),
    ];
    const name = label(facts.server) ?? label(facts.app) ?? endpoint.mode;
    return finish<ServerNode>(
      {
        kind: "server",
        key,
        label: `${name} ${endpoint.port}`,
        type: pong === undefined ? "unknown" : serverType(pong),
        state: state.state,
        missed,
        why: label(
          state.state === "stale"
            ? "its process is gone and has left its sockets"
            : "why" in state
              ? state.why
              : (pong?.compile_message ?? null),
        ),
        busy: this.#busy.get(key) ?? null,
        actions,
        hasLog: logFile !== undefined,
        app: label(facts.app),
        version: label(facts.version),
        server: label(facts.server),
        role: label(pong?.server_type ?? facts.role),
        mode: endpoint.mode,
        port: endpoint.port,
        address: addressOf(endpoint),
        generation: facts.generation,
        pid: identity?.pid ?? null,
        startedAt,
        memoryMb: rounded(pong?.memory_mb, usage?.memoryMb),
        cpuPercent: rounded(pong?.cpu_percent, usage?.cpuPercent),
        running: facts.running,
        queued: facts.queued,
        workers: (pong?.workers ?? []).slice(0, 256).map(workerOf),
        viewer: pong === undefined ? null : viewerFacts(pong),
      },
      {},
      this.#servers.get(key)?.executions.nodes(key) ?? [],
    );
  }
}

function workerOf(worker: {
  pid: number;
  status: string;
  cpu_percent: number;
  memory_mb: number;
}): WorkerProcess {
  return {
    pid: worker.pid,
    status: label(worker.status) as string,
    cpuPercent: Math.round(worker.cpu_percent),
    memoryMb: Math.round(worker.memory_mb),
  };
}

function launchingNode({ endpoint, message }: Launching): ServerNode {
  return finish<ServerNode>(
    {
      kind: "server",
      key: serverKey(endpoint),
      label: `port ${endpoint.port}`,
      type: "unknown",
      state: "launching",
      missed: 0,
      why: label(message),
      busy: null,
      actions: [],
      hasLog: false,
      app: endpoint.config.appName,
      version: null,
      server: null,
      role: null,
      mode: endpoint.mode,
      port: endpoint.port,
      address: addressOf(endpoint),
      generation: null,
      pid: null,
      startedAt: null,
      memoryMb: null,
      cpuPercent: null,
      running: null,
      queued: null,
      workers: [],
      viewer: null,
    },
    {},
    [],
  );
}
