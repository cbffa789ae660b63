// SPDX-License-Identifier: MIT
// A worker that decodes chunks, so that the page goes on drawing meanwhile.

import { type CodecName, decoders } from "./decoders.js";

export interface DecodeRequest {
  readonly id: number;
  readonly codec: CodecName;
  readonly data: Uint8Array;
}

export type DecodeReply =
  | { readonly id: number; readonly data: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly damaged: boolean; readonly message: string };

/** Of a worker; the page's own types have a window's. */
const self = globalThis as unknown as {
  onmessage: (event: MessageEvent<DecodeRequest>) => void;
  postMessage(reply: DecodeReply, transfer?: Transferable[]): void;
};

self.onmessage = async ({ data: { id, codec, data } }) => {
  try {
    const decoded = (await decoders[codec](data)) as Uint8Array<ArrayBuffer>;
    self.postMessage({ id, data: decoded }, [decoded.buffer]);
  } catch (error) {
    self.postMessage({ id, damaged: error instanceof RangeError, message: (error as Error).message });
  }
};
