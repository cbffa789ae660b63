// SPDX-License-Identifier: MIT
// What the addon measures (native/src/bind/bench.cc).

/** What `tilecast bench` measures natively (native/src/bench). Rates are of all threads together. */
export interface NativeBench {
  /** Bytes/s; `bytes` is each thread's working set. */
  memory(
    access: "read" | "copy" | "stream-copy" | "fresh-shared" | "warm-shared",
    bytes: number,
    threads: number,
    seconds: number,
  ): Promise<number>;
  /** Bytes/s from the page cache, `block` bytes a call. */
  readFile(path: string, block: number, threads: number, seconds: number): Promise<number>;
  /** Files/s of `bytes` each; they are emptied, and left to the caller to remove. */
  writeFiles(
    folder: string,
    bytes: number,
    sync: boolean,
    mostBytes: number,
    threads: number,
    seconds: number,
  ): Promise<number>;
  /** Makes a file to read; gives its size. */
  writeTiff(path: string, compression: string, side: number): Promise<number>;
  /** Pixels/s from path to pixels. */
  readTiff(path: string, threads: number, seconds: number): Promise<number>;
  /** Pixels/s of that file's codec alone. */
  decodeTiff(path: string, threads: number, seconds: number): Promise<number>;
  /** Pixels/s compressed and written. */
  writeZarr(
    folder: string,
    side: number,
    codec: string,
    level: number,
    mostBytes: number,
    threads: number,
    seconds: number,
  ): Promise<number>;
  /** Bytes on disk of such a plane. */
  zarrBytes(folder: string, side: number, codec: string, level: number): Promise<number>;
  /** Pixels/s. */
  kernel(name: string, side: number, threads: number, seconds: number): Promise<number>;
  /** Median nanoseconds of one way of a to and fro with a process that calls `handoffEcho` with the channels the other way round. */
  handoffPing(
    kind: "tile" | "line" | "futex",
    pool: string,
    out: string,
    into: string,
    spinUs: number,
    seconds: number,
  ): Promise<number>;
  /** Answers until its channel is closed, or `handoffStop` is called. */
  handoffEcho(kind: string, pool: string, out: string, into: string, spinUs: number): Promise<number>;
  handoffStop(kind: string, pool: string, out: string, into: string, spinUs: number): Promise<number>;
  /** Sends descriptors into a channel until it is closed; gives their number. */
  handoffFlood(channel: string): Promise<number>;
  /** Bytes/s of non-temporal stores into a pool's slots, or into memory of the process's own. Rejects when that causes page faults. */
  fillSlots(slotBytes: number, slots: number, pooled: boolean, seconds: number): Promise<number>;
  /** What `kernel` takes, with the least bytes a pixel that each must move. */
  readonly kernels: readonly {
    readonly name: string;
    readonly bytesRead: number;
    readonly bytesWritten: number;
  }[];
  /** Whether this processor has copies that bypass the caches. */
  readonly hasStreamCopy: boolean;
}
