// SPDX-License-Identifier: MIT
// Builds the receiver for ImageJ and starts it, on a display or without one, each with a home folder of its own.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Request } from "zeromq";
import type { PickleValue } from "../../lib/runtime/pickle-value.js";
import { ended } from "../helpers/ended.js";
import { leftOut, repository } from "../helpers/shared.js";
import { newJournal, type Reply, ViewerProcess } from "./viewer-process.js";

const folder = join(repository, "viewers", "fiji");

/** The launcher, where the jar is or can be built; `undefined`, with a printed line, otherwise. */
export function fijiLauncher(): string | undefined {
  const lacks = (program: string, args: string[]) => spawnSync(program, args).error !== undefined;
  const built = lacks("java", ["-version"])
    ? undefined
    : spawnSync(join(folder, "build"), { encoding: "utf8" });
  const why =
    built === undefined
      ? "no Java"
      : built.status !== 0
        ? `the jar cannot be built: ${built.stderr}`
        : lacks("Xvfb", ["-help"])
          ? "no Xvfb"
          : undefined;
  if (why === undefined) return join(folder, "bin", "tilecast-fiji");
  leftOut("tests of the Fiji viewer", why);
  return undefined;
}

export interface FijiStart {
  readonly launcher: string;
  /** Without one it runs headless. */
  readonly display?: string;
  /** Home folder; its sockets are there. */
  readonly home: string;
  readonly port?: number;
  readonly args?: readonly string[];
}

/** Pixels as `read_plane` gives them. */
export interface PlaneRead {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly pixels: Uint8Array | Uint16Array | Float32Array;
}

/** One viewer process. */
export class FijiProcess extends ViewerProcess {
  /** Starts it, without waiting. */
  static spawn({ launcher, display, home, port = 5565, args = [] }: FijiStart): FijiProcess {
    const journal = newJournal(home);
    const mode = display === undefined ? ["--headless"] : [];
    const { DISPLAY: _, ...env } = process.env;
    const child = spawn(launcher, ["--port", String(port), "--startup-status", journal, ...mode, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...env,
        HOME: home,
        // ImageJ keeps its preferences in Java's home.
        JAVA_TOOL_OPTIONS: `-Duser.home=${home}`,
        ...(display !== undefined && { DISPLAY: display }),
      },
    });
    return new FijiProcess(child, home, port, journal);
  }

  /** Starts it and waits until it says that it is ready. */
  static async start(options: FijiStart): Promise<FijiProcess> {
    const viewer = FijiProcess.spawn(options);
    await viewer.ready();
    return viewer;
  }

  async readPlane(payload: PickleValue): Promise<PlaneRead> {
    const reply = await this.ask("read_plane", payload);
    if (reply.status !== "success") throw new Error(String(reply.message));
    const { buffer, byteOffset, byteLength } = Buffer.from(reply.data as string, "base64");
    const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
    const dtype = reply.dtype as string;
    const array = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array }[dtype];
    if (array === undefined) throw new Error(`dtype ${dtype}`);
    return { shape: reply.shape as number[], dtype, pixels: new array(bytes) };
  }

  /** What its pong says of itself. */
  async own(): Promise<Reply> {
    const { pong } = await this.client.ping({ timeoutMs: 10_000 });
    return (pong as unknown as { tilecast: Reply }).tilecast;
  }

  /** Socket files of its data and control ports that are there. */
  sockets(): string[] {
    return ["tilecast", "openhcs"].flatMap((app) => {
      const path = join(this.home, `.${app}`, "ipc");
      if (!existsSync(path)) return [];
      const ports = [this.endpoint.port, this.endpoint.controlPort];
      return readdirSync(path).filter((name) => ports.some((p) => name.startsWith(`${app}-zmq-${p}`)));
    });
  }

  async close(): Promise<number | string> {
    await this.client.close();
    return ended(this.child, () => this.child.kill());
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export const metadata = { site: 1, channel: 1, z_index: 1, timepoint: 1, well: "A01" };
export const item = (more: object) => ({
  path: "p",
  shape: [2, 2],
  dtype: "uint16",
  data_type: "image",
  metadata,
  ...more,
});

/** A file in shared memory with counting bytes. */
export function shm(name: string, bytes: number): string {
  writeFileSync(
    `/dev/shm/${name}`,
    Uint8Array.from({ length: bytes }, (_, i) => i),
  );
  return name;
}

/** One request to a socket. */
export async function exchange(url: string, frame: Uint8Array | string): Promise<Buffer> {
  const socket = new Request({ linger: 0, receiveTimeout: 30_000 });
  socket.connect(url);
  try {
    await socket.send(frame);
    return (await socket.receive())[0] as Buffer;
  } finally {
    socket.close();
  }
}
