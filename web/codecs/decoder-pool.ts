// SPDX-License-Identifier: MIT
// Workers that decode chunks; each gets the next one when it has the fewest to do.

import type { DecodeReply, DecodeRequest } from "./decode-worker.js";
import type { CodecName } from "./decoders.js";

/** One core is left to the page; more than four would wait for the network. */
const most = Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1));

interface Waiting {
  readonly resolve: (data: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

class Decoder {
  readonly waiting = new Map<number, Waiting>();
  readonly #worker = new Worker(new URL("./decode-worker.ts", import.meta.url), { type: "module" });
  #next = 0;

  constructor() {
    this.#worker.onmessage = ({ data: reply }: MessageEvent<DecodeReply>) => {
      const waiting = this.waiting.get(reply.id);
      this.waiting.delete(reply.id);
      if ("data" in reply) waiting?.resolve(reply.data);
      else waiting?.reject(new (reply.damaged ? RangeError : Error)(reply.message));
    };
    this.#worker.onerror = (event) => {
      const all = [...this.waiting.values()];
      this.waiting.clear();
      decoders.splice(decoders.indexOf(this), 1);
      this.#worker.terminate();
      for (const { reject } of all) reject(new Error(`decoding failed: ${event.message}`));
    };
  }

  decode(codec: CodecName, data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, codec, data } satisfies DecodeRequest, [data.buffer]);
    });
  }
}

const decoders: Decoder[] = [];

/** Decodes a chunk, whose memory is the caller's no longer. Rejects with RangeError where it is damaged, and with Error where its kind is not known. */
export function decode(codec: CodecName, data: Uint8Array): Promise<Uint8Array> {
  let idlest = decoders.reduce<Decoder | undefined>(
    (a, b) => (a === undefined || b.waiting.size < a.waiting.size ? b : a),
    undefined,
  );
  if (idlest === undefined || (idlest.waiting.size > 0 && decoders.length < most)) {
    idlest = new Decoder();
    decoders.push(idlest);
  }
  // A part of something larger is not given away with the rest of it.
  const isWhole = data.byteLength === data.buffer.byteLength && data.buffer instanceof ArrayBuffer;
  return idlest.decode(codec, (isWhole ? data : data.slice()) as Uint8Array<ArrayBuffer>);
}

/** As zarrita asks for a codec. */
export function codecClass(codec: CodecName) {
  return class {
    static codecId = codec;
    static fromConfig() {
      return new this();
    }
    decode(data: Uint8Array): Promise<Uint8Array> {
      return decode(codec, data);
    }
    encode(): never {
      throw new Error("the page writes nothing");
    }
  };
}
