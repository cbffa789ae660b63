// SPDX-License-Identifier: MIT
// Public face of the streaming room: what leaves a run while it goes on.

export { type ProgressEvent, ProgressLog } from "../runtime/progress-event.js";
export { ProgressPublisher } from "./progress-publisher.js";
