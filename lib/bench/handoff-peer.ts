// SPDX-License-Identifier: MIT
// The other process of the `handoff` question: answers what comes, natively or in JavaScript, until it is told to end or its parent is gone.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type ReceivedTile, type Tile, TileChannel, TilePool } from "../image/index.js";
import { native } from "../native.js";

/** How the other process answers: native code, JavaScript that polls, or JavaScript that awaits. */
export type PeerMode = "native" | "poll" | "await";
export type HandoffKind = "tile" | "line" | "futex";

interface PeerTask {
  readonly mode: PeerMode;
  readonly kind: HandoffKind;
  readonly pool: string;
  /** Channels as the peer uses them. */
  readonly out: string;
  readonly into: string;
  /** How long native code spins before it sleeps. */
  readonly spinUs: number;
}

const endTag = 2 ** 50;
const shape = [1, 1] as const;

/** One end of tiles that go to and fro, in JavaScript: what the native bench::End does. */
export class JsEnd {
  readonly #pool: TilePool;
  readonly #out: TileChannel;
  #held: Tile | undefined;

  constructor(pool: TilePool, out: TileChannel) {
    this.#pool = pool;
    this.#out = out;
  }

  send(value: number): void {
    const tile = this.#pool.tryLoan(shape, "float64");
    if (tile === undefined) throw new Error("no slot is free for a hand-off");
    tile.view()[0] = value;
    const { slot, generation } = tile;
    this.#out.trySend([{ slot, generation, shape, dtype: "float64", tag: value }]);
    // The other end had leased it before it answered.
    this.#held?.release();
    this.#held = tile;
  }

  /** The tile's pixel, which is its tag. */
  take(message: ReceivedTile): number {
    const tile = this.#pool.lease(message);
    const value = tile.view()[0] as number;
    tile.release();
    if (value !== message.tag) throw new Error(`a tile with tag ${message.tag} has the pixel ${value}`);
    return value;
  }
}

/** Runs `measure` while another process answers on the other end. */
export async function withPeer(
  { mode, kind, slotBytes, spinUs }: Pick<PeerTask, "mode" | "kind" | "spinUs"> & { slotBytes: number },
  measure: (ends: { pool: TilePool; out: TileChannel; into: TileChannel }) => Promise<number>,
): Promise<number> {
  using pool = TilePool.create({ slotBytes, slots: 4 });
  using out = TileChannel.create({ capacity: 64 });
  using into = TileChannel.create({ capacity: 64 });
  const task: PeerTask = { mode, kind, pool: pool.id, out: into.id, into: out.id, spinUs };
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = once(child, "exit");
  try {
    if ((await Promise.race([once(child.stdout, "data"), gone]))[0] === child.exitCode)
      throw new Error(`the other process ended with code ${child.exitCode}`);
    return await measure({ pool, out, into });
  } finally {
    // A native peer leases what it is sent, and ends with the channel.
    if (kind === "tile" && mode !== "native")
      out.trySend([{ slot: 0, generation: 0, shape, dtype: "float64", tag: endTag }]);
    else if (kind !== "tile") await native().bench.handoffStop(kind, pool.id, out.id, into.id, spinUs);
    out.close();
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000); // one that hangs is not waited for
    await gone;
    clearTimeout(late);
  }
}

async function answer({ mode, kind, pool, out, into, spinUs }: PeerTask): Promise<void> {
  if (mode === "native") {
    process.stdout.write("\n");
    await native().bench.handoffEcho(kind, pool, out, into, spinUs);
    return;
  }
  using tiles = TilePool.open(pool);
  using from = TileChannel.open(into);
  using to = TileChannel.open(out);
  const end = new JsEnd(tiles, to);
  process.stdout.write("\n");
  if (mode === "await") {
    for await (const batch of from)
      for (const message of batch) {
        if (message.tag === endTag) return;
        end.send(end.take(message));
      }
    return;
  }
  const parent = process.ppid;
  for (let idle = 0; idle % 1e6 !== 0 || process.ppid === parent; idle++) {
    const [message] = from.tryReceive(1);
    if (message?.tag === endTag) return;
    if (message !== undefined) end.send(end.take(message));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await answer(JSON.parse(process.argv.at(-1) as string) as PeerTask);
