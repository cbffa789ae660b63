// SPDX-License-Identifier: MIT
// Turns an aborted signal into ERR_CANCELLED.

import { TilecastError } from "../errors.js";

/** Throws ERR_CANCELLED, with the signal's reason as cause, when `signal` is aborted. `what` completes "... was cancelled". */
export function throwIfCancelled(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  throw new TilecastError("ERR_CANCELLED", `${what} was cancelled`, {
    cause: signal.reason,
    retriable: true,
  });
}
