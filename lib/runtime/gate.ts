// SPDX-License-Identifier: MIT
// The list of clients that a server's CURVE sockets let in (ZAP, RFC 27). Apart from security.ts, whose types users see without zeromq.

import type { Context, Reply } from "zeromq";
import { loadZmq, type Zmq } from "./zmq.js";

const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

function encodeZ85(bytes: Uint8Array): string {
  let text = "";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i + 4 <= bytes.length; i += 4) {
    let value = view.getUint32(i);
    let group = "";
    for (let k = 0; k < 5; k++) {
      group = z85[value % 85] + group;
      value = Math.floor(value / 85);
    }
    text += group;
  }
  return text;
}

/** Decides which clients a server's sockets take. It lives in a context of its own, so that servers side by side have lists of their own. */
export class Gate {
  readonly context: Context;
  readonly #socket: Reply;

  private constructor(zmq: Zmq, clients: readonly string[]) {
    this.context = new zmq.Context({ blocky: false });
    this.#socket = new zmq.Reply({ context: this.context, linger: 0 });
    const allowed = new Set(clients);
    this.#answer = async () => {
      for await (const [version, id, , , , mechanism, key] of this.#socket) {
        const isIn = String(mechanism) === "CURVE" && key !== undefined && allowed.has(encodeZ85(key));
        await this.#socket.send([
          version ?? "1.0",
          id ?? "",
          isIn ? "200" : "400",
          isIn ? "OK" : "not on the list of clients",
          "",
          "",
        ]);
      }
    };
  }
  readonly #answer: () => Promise<void>;

  static async open(clients: readonly string[]): Promise<Gate> {
    const zmq = await loadZmq();
    const gate = new Gate(zmq, clients);
    // The address at which libzmq asks (RFC 27).
    await gate.#socket.bind("inproc://zeromq.zap.01");
    gate.#answer().catch(() => undefined);
    return gate;
  }

  close(): void {
    if (!this.#socket.closed) this.#socket.close();
  }
}
