// SPDX-License-Identifier: MIT
// Public face of the manager: what runs on this host as a tree that changes, and how to end it.

export { type PercentPolicy, percentPolicies } from "./aggregate.js";
export { InstanceModel, type Scan } from "./instance-model.js";
export type { LogTail } from "./log-tail.js";
export type * from "./node.js";
export { apply, diff, findNode, type NodeFields, type TreeChange } from "./tree.js";
export { type TreeRow, TreeView } from "./tree-view.js";
export { InstanceWatcher, type InstanceWatcherOptions, type TreeUpdate } from "./watcher.js";
