// SPDX-License-Identifier: MIT
// What the gateway says, as types: those of its own sources, and those of its events (docs/gateway.md).

import type { Progress } from "../../lib/orchestrator/progress.js";
import type { FailureReport } from "../../lib/orchestrator/report/report-data.js";
import type { SourceDescription } from "../../lib/web/source-description.js";

export type { SourceDescription };

export type RunPhase = "estimating" | "running" | "complete" | "incomplete" | "cancelled" | "failed";
export type WellPhase = "waiting" | "running" | "done" | "failed" | "reused";

export interface Timing {
  readonly stage: string;
  readonly op: string;
  readonly seconds: number;
}

export interface RunState extends Partial<Progress> {
  readonly run: string;
  readonly state: RunPhase;
  readonly timings?: readonly Timing[];
  readonly failures?: readonly (Partial<FailureReport> & { readonly message: string })[];
}

export interface WellState {
  readonly run: string;
  readonly well: string;
  readonly state: WellPhase;
  readonly planes?: number;
  readonly failedPlanes?: number;
  readonly objects?: number;
  readonly values?: Readonly<Record<string, number | null>>;
}

export interface TileEvent {
  readonly source: string;
  readonly path: string;
  readonly index: readonly number[];
  readonly well?: string;
}

export interface RunLink {
  readonly id: string;
  readonly input: string;
  readonly output: string;
}

export interface Catalog {
  readonly version: string;
  readonly sources: readonly SourceDescription[];
  readonly runs: readonly RunLink[];
}

export type HubMessage = { readonly type: string; readonly n?: number } & Readonly<Record<string, unknown>>;
