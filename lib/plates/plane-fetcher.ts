// SPDX-License-Identifier: MIT
// How the bytes of remote planes are had; kept beside the catalogue, which is plain data.

import type { NativeFetchedChunks, NativeFileParts } from "../native.js";
import type { PlaneRef } from "./plate.js";

/** All that reading a plane takes: parts of its TIFF file, or of its Zarr array's files. Rejects with ERR_HTTP, ERR_CANCELLED, and what the reader says. */
export type PlaneFetcher = (
  plane: PlaneRef,
  signal: AbortSignal | undefined,
) => Promise<NativeFileParts | NativeFetchedChunks>;

const fetchers = new WeakMap<PlaneRef, PlaneFetcher>();

export function rememberFetcher(planes: readonly PlaneRef[], fetch: PlaneFetcher): void {
  for (const plane of planes) fetchers.set(plane, fetch);
}

/** Of a plane that is not on a disk; undefined for others. */
export function fetcherOf(plane: PlaneRef): PlaneFetcher | undefined {
  return fetchers.get(plane);
}
