// SPDX-License-Identifier: MIT
// Public face of the streaming room: what leaves a run while it goes on, how viewers get it, and what they make of it.

export { type ProgressEvent, ProgressLog } from "../runtime/progress-event.js";
export { type AckCounts, type AckLatency, AckTracker, type ImageAck } from "./ack-tracker.js";
export {
  BatchEngine,
  type BatchPolicy,
  type Clock,
  DebounceEngine,
  type DebouncePolicy,
} from "./batch-engine.js";
export { type ComponentValue, compareValues, type ValueDomain, type ValueNames } from "./component-values.js";
export {
  type ComponentMode,
  type DisplayOptions,
  type FijiMode,
  type Layout,
  layoutOf,
  type NapariMode,
  type ViewerType,
} from "./display.js";
export { type ProducerIdentity, producerIdentity, producerTitle } from "./identity.js";
export {
  encodeFreehandRoi,
  encodePointRoi,
  encodeRoi,
  type RoiOptions,
  type RoiPosition,
} from "./imagej-roi.js";
export {
  type ComponentValues,
  type LoanedPixels,
  type PlanePayload,
  type PointsPayload,
  type Producer,
  type ShapesPayload,
  type StoredPlane,
  type StreamComponent,
  type StreamPayload,
  type StreamShape,
  streamComponents,
  type TablePayload,
  type TracksPayload,
} from "./payload.js";
export type { PlanePixels } from "./pixel-feed.js";
export { PlaneStack, type StackChange } from "./plane-stack.js";
export { ProgressPublisher } from "./progress-publisher.js";
export {
  type DataType,
  Hyperstack,
  type HyperstackPlace,
  type ProjectedItem,
  type Projection,
  project,
  readLayout,
  valueLabel,
} from "./projection.js";
export {
  type ItemResult,
  NullReceiver,
  type NullReceiverOptions,
  type ReceiverReport,
  ViewerServer,
  type ViewerServerOptions,
} from "./receiver.js";
export type { DrainOptions, RunDescription, RunOutput, RunSink, SinkWants } from "./sink.js";
export { type StreamState, type StreamStats, streamCounters } from "./stream-counters.js";
export {
  type MacroResult,
  type PlaneRead,
  type ResultsTable,
  type Screenshot,
  type SettleResult,
  ViewerControls,
  type ViewerLayer,
} from "./viewer-controls.js";
export { type SendOptions, ViewerStream, type ViewerStreamOptions } from "./viewer-stream.js";
export { type FijiOptions, fiji } from "./viewers/fiji.js";
export { type NapariOptions, napari } from "./viewers/napari.js";
export { type StartOptions, Viewer, type ViewerFlavour, type ViewerOptions } from "./viewers/viewer.js";
export { BatchEncoder, type Flavour, type ReturnRoute } from "./wire-batch.js";
export {
  componentsOf,
  handsOver,
  identityOf,
  planeOf,
  type ReceivedBatch,
  type ReceivedItem,
  type ReceivedPlane,
  readBatch,
  storeOf,
} from "./wire-reader.js";
