// SPDX-License-Identifier: MIT
// What the gateway serves below /data: anything that answers for the files of an OME-Zarr store.

import type { IncomingMessage, ServerResponse } from "node:http";

export interface Source {
  /** Answers for the file of these path parts; resolves with false, having sent nothing, where there is none. */
  serve(request: IncomingMessage, response: ServerResponse, parts: readonly string[]): Promise<boolean>;
  close(): Promise<void>;
}
