// SPDX-License-Identifier: MIT
// Receives viewers' acknowledgements: one PULL socket an address in this process, shared by the streams that use it, and always drained.

import { randomUUID } from "node:crypto";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Pull } from "zeromq";
import { type Endpoint, ensureSocketDir } from "../runtime/endpoint.js";
import { parseJson } from "../runtime/json.js";
import { thisProcess } from "../runtime/process-identity.js";
import { SocketFile, socketFileState } from "../runtime/socket-file.js";
import { closeFully, loadZmq } from "../runtime/zmq.js";
import type { ImageAck } from "./ack-tracker.js";
import type { ReturnRoute } from "./wire-batch.js";

export type OnAck = (ack: ImageAck) => void;

/** Undefined for what is no acknowledgement. */
export function readAck(frame: Uint8Array, incarnation?: string): ImageAck | undefined {
  let value: unknown;
  try {
    value = parseJson(frame, { maxBytes: 1 << 20 });
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { image_id, status, error, return_route } = value as { [key: string]: unknown };
  if (typeof image_id !== "string" || (status !== "success" && status !== "error")) return undefined;
  // Meant for a listener that was on this address before.
  const to = (return_route as { incarnation?: unknown } | null | undefined)?.incarnation;
  if (incarnation !== undefined && to !== undefined && to !== incarnation) return undefined;
  return { image_id, status, error: typeof error === "string" ? error : null };
}

/** `own`: an address that only this process knows, told to the viewer with each item. `shared`: the one of generations A to C. */
export type AckAddress = "own" | "shared";

/** Removes what processes that were killed left of their own addresses; not what may be between its bind and its listen just now. */
export async function sweepAckSockets({ config, socketDir }: Endpoint): Promise<void> {
  const own = new RegExp(`^${config.ipcSocketPrefix}-[0-9a-f]{8}-0${config.ipcSocketExtension}$`);
  for (const name of readdirSync(socketDir).filter((n) => own.test(n))) {
    const path = join(socketDir, name);
    const bound = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (Date.now() - bound > 60_000 && (await socketFileState(path)) === "stale")
      rmSync(path, { force: true });
  }
}

const listeners = new Map<string, Promise<AckListener>>();

export class AckListener {
  #users = new Set<OnAck>();
  #closed: Promise<void> | undefined;

  private constructor(
    private readonly key: string,
    private readonly socket: Pull,
    private readonly file: SocketFile | undefined,
    readonly route: ReturnRoute,
  ) {
    void this.#drain();
  }

  /**
   * The listener of that address, bound by the first who asks. Throws ERR_ENDPOINT, retriable, when another process has the shared address.
   */
  static async open(endpoint: Endpoint, address: AckAddress, onAck: OnAck): Promise<AckListener> {
    const { appName, sharedAckPort } = endpoint.config;
    const key = `${address} ${endpoint.mode} ${appName} ${endpoint.socketDir} ${sharedAckPort}`;
    const known = listeners.get(key);
    if (known !== undefined) {
      const listener = await known.catch(() => undefined);
      if (listener !== undefined && listener.#closed === undefined) {
        listener.#users.add(onAck);
        return listener;
      }
      if (listener !== undefined) await listener.#closed;
      if (listeners.get(key) === known) listeners.delete(key);
      return AckListener.open(endpoint, address, onAck);
    }
    const bound = AckListener.#bind(endpoint, address, key);
    listeners.set(key, bound);
    try {
      const listener = await bound;
      listener.#users.add(onAck);
      return listener;
    } catch (error) {
      if (listeners.get(key) === bound) listeners.delete(key);
      throw error;
    }
  }

  static async #bind(endpoint: Endpoint, address: AckAddress, key: string): Promise<AckListener> {
    const zmq = await loadZmq();
    const { config, mode } = endpoint;
    const incarnation = randomUUID();
    const socket = new zmq.Pull({ linger: 0, receiveHighWaterMark: 100_000, maxMessageSize: 1 << 20 });
    try {
      let file: SocketFile | undefined;
      let url: string;
      if (mode === "ipc") {
        ensureSocketDir(endpoint);
        if (address === "own") await sweepAckSockets(endpoint);
        const id = address === "own" ? `${incarnation.slice(0, 8)}-0` : config.sharedAckPort;
        const path = join(endpoint.socketDir, `${config.ipcSocketPrefix}-${id}${config.ipcSocketExtension}`);
        file = await SocketFile.bind(socket, path);
        url = `ipc://${path}`;
      } else {
        const port = address === "own" ? "*" : config.sharedAckPort;
        await socket.bind(`tcp://127.0.0.1:${port}`);
        url = socket.lastEndpoint as string;
      }
      const owner = thisProcess() ?? { pid: process.pid, create_time: 0 };
      return new AckListener(key, socket, file, { url, incarnation, owner });
    } catch (error) {
      await closeFully(socket);
      throw error;
    }
  }

  async #drain(): Promise<void> {
    try {
      for await (const [frame] of this.socket) {
        const ack = frame && readAck(frame, this.route.incarnation);
        // Whatever else comes there is nobody's.
        if (ack !== undefined) for (const user of this.#users) user(ack);
      }
    } catch (error) {
      if (!this.socket.closed) throw error;
    }
  }

  /** The last user closes the socket. */
  async release(onAck: OnAck): Promise<void> {
    if (!this.#users.delete(onAck) || this.#users.size > 0) return;
    const close = () => closeFully(this.socket);
    this.#closed ??= (this.file === undefined ? close() : this.file.release(close)).finally(() =>
      listeners.delete(this.key),
    );
    await this.#closed;
  }
}
