// SPDX-License-Identifier: MIT
// The package's front door.

export * from "./errors.js";
export * from "./image/index.js";
export * from "./ops/index.js";
export { type CompileOptions, compile } from "./orchestrator/compile.js";
export {
  type Chains,
  Pipeline,
  type PipelineOptions,
  type PlaneChoice,
  pipeline,
  type Step,
  type StepOptions,
} from "./orchestrator/pipeline.js";
export type { Plan } from "./orchestrator/plan.js";
export type { Progress } from "./orchestrator/progress.js";
export { type RunOptions, type RunReport, run, type SinkLimits } from "./orchestrator/run.js";
export type { SinkReport, SinksReport } from "./orchestrator/sinks.js";
export * from "./plates/index.js";
export { openZarrArray, type ZarrArray } from "./stores/zarr-array.js";
export { type ReadZarrPlaneOptions, readZarrPlane, type ZarrRegion } from "./stores/zarr-reader.js";
export * from "./streaming/index.js";
export { version } from "./version.js";
