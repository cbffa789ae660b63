// SPDX-License-Identifier: MIT
// What is shown of the programs that run: a tree of plain, immutable nodes with stable keys (docs/manager.md).

import type { EndpointState, Generation, TransportMode } from "../runtime/index.js";

interface NodeBase {
  /** Stays the same as long as the thing is the same, wherever in the tree it is. */
  readonly key: string;
  readonly label: string;
  /** 0 to 100, rounded to a tenth; null where nothing is being counted. */
  readonly percent: number | null;
  /** Things that failed, here and below: above 0 a node is shown as failed, whatever else it does. */
  readonly failed: number;
  readonly children: readonly TreeNode[];
}

export type ServerState = Exclude<EndpointState["state"], "absent"> | "launching";
export type ServerType = "execution" | "viewer" | "generic" | "unknown";
export type ServerAction = "quit" | "force-quit";

export interface WorkerProcess {
  readonly pid: number;
  /** psutil's words: `running`, `sleeping`, ... */
  readonly status: string;
  readonly cpuPercent: number;
  readonly memoryMb: number;
}

/** What a viewer says that is tilecast's own; OpenHCS's viewers say none of it. */
export interface ViewerFacts {
  /** Planes that it knows, and those of them that it has in memory. */
  readonly planes: number;
  readonly resident: number;
  /** Updates that it has drawn. */
  readonly shown: number;
  /** Updates that it has taken and not drawn yet; null where it does not say. */
  readonly queued: number | null;
  readonly dropped: number;
  readonly memoryUsedMb: number;
  readonly memoryBudgetMb: number;
}

export interface ServerNode extends NodeBase {
  readonly kind: "server";
  readonly type: ServerType;
  readonly state: ServerState;
  /** Scans in a row that did not find it; gone at the second. */
  readonly missed: number;
  /** Why it is hung or foreign, or what a starting one last said of itself. */
  readonly why: string | null;
  /** What it is being asked to do. */
  readonly busy: ServerAction | null;
  readonly actions: readonly ServerAction[];
  readonly hasLog: boolean;
  readonly app: string | null;
  readonly version: string | null;
  /** Its class, and what it says that it serves: `napari`, `fiji`, `execution`. */
  readonly server: string | null;
  readonly role: string | null;
  readonly mode: TransportMode;
  readonly port: number;
  readonly address: string;
  readonly generation: Generation | null;
  readonly pid: number | null;
  /** Milliseconds since the epoch; null is unknown. A view counts on from here, so that a tree does not change with each second. */
  readonly startedAt: number | null;
  readonly memoryMb: number | null;
  readonly cpuPercent: number | null;
  readonly running: number | null;
  readonly queued: number | null;
  readonly workers: readonly WorkerProcess[];
  readonly viewer: ViewerFacts | null;
}

export type ExecutionState =
  | "queued"
  | "compiling"
  | "running"
  /** The end of one that was only to be compiled. */
  | "compiled"
  | "complete"
  | "failed"
  | "cancelled"
  /** Over, and the server does not tell how. */
  | "ended";

/** One plate that a server works on, or is to. */
export interface ExecutionNode extends NodeBase {
  readonly kind: "execution";
  readonly executionId: string;
  readonly plateId: string;
  readonly state: ExecutionState;
  /** From 1, of one that waits. */
  readonly position: number | null;
  readonly compileOnly: boolean;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly error: string | null;
  readonly wells: { readonly total: number; readonly done: number; readonly failed: number };
}

export interface WorkerNode extends NodeBase {
  readonly kind: "worker";
  readonly state: "queued" | "running" | "done";
}

export type WellState = "queued" | "compiling" | "compiled" | "running" | "done" | "failed" | "cancelled";

export interface WellNode extends NodeBase {
  readonly kind: "well";
  readonly well: string;
  readonly state: WellState;
  /** What it is at. */
  readonly step: string | null;
  readonly error: string | null;
}

/** Only wells that run or have failed have their steps. */
export interface StepNode extends NodeBase {
  readonly kind: "step";
  readonly index: number;
  readonly state: "queued" | "running" | "done" | "failed";
}

export type TreeNode = ServerNode | ExecutionNode | WorkerNode | WellNode | StepNode;

/** Everything, at one moment. */
export interface InstanceTree {
  /** Counts the trees that differed. */
  readonly version: number;
  /** Whether there has been a look yet. */
  readonly scanned: boolean;
  /** Why the last look failed; the tree is then that of the one before. */
  readonly error: string | null;
  readonly servers: readonly ServerNode[];
}
