// SPDX-License-Identifier: MIT
// Public face of the runtime room: servers, clients, executions and instances over ZeroMQ, with nothing of images in it.

export { type CallOptions, type PingResult, ZmqClient, type ZmqClientOptions } from "./client.js";
export type { Handlers, RequestContext } from "./control-channel.js";
export { clientCounters, serverCounters } from "./counters.js";
export {
  Endpoint,
  type EndpointOptions,
  type TransportMode,
  type ZmqConfig,
  zmqConfigs,
} from "./endpoint.js";
export { canFollow, type ExecutionPhase, isTerminal } from "./execution.js";
export { ExecutionClient, type ProgressItem, type WaitOptions } from "./execution-client.js";
export {
  type Execute,
  type ExecutionContext,
  ExecutionServer,
  type ExecutionServerOptions,
} from "./execution-server.js";
export { findFreeEndpoint } from "./free-port.js";
export {
  type Instance,
  InstanceManager,
  type InstanceManagerOptions,
  type Launch,
} from "./instance-manager.js";
export { type JsonValue, parseJson, stringifyJson } from "./json.js";
export type { Generation } from "./message-schema.js";
export {
  type Application,
  type ExecutionRecord,
  type ExecutionStatus,
  generationOf,
  type MessageKind,
  type MessageOf,
  messageKinds,
  type Pong,
  type ProcessIdentity,
  type ReplyKind,
  type RequestKind,
  type ResultsSummary,
  readMessage,
  type ServerRole,
  writeMessage,
} from "./messages.js";
export { readPickle } from "./pickle-reader.js";
export {
  type PickleLimits,
  type PickleValue,
  PyByteArray,
  PyFloat,
  PyFrozenSet,
  PyOpaque,
  PyTuple,
  pickleLimits,
} from "./pickle-value.js";
export { writePickle } from "./pickle-writer.js";
export { type EndpointState, type ProbeOptions, probeEndpoint } from "./probe.js";
export { type ProgressEvent, ProgressLog } from "./progress-event.js";
export { ProgressTracker, type ReceivedProgress, readProgressFrame } from "./progress-tracker.js";
export { type FoundServer, findServers } from "./scan.js";
export { type CurveClientKeys, type CurveServerKeys, generateCurveKeys } from "./security.js";
export { type DataPattern, ZmqServer, type ZmqServerOptions } from "./server.js";
export { lockStartup, type StartupLock } from "./startup-lock.js";
export { StartupJournal, type StartupPhase, StartupReader, type StartupStatus } from "./startup-status.js";
export { type StopOptions, type StopResult, stopServer } from "./stop-server.js";
