// SPDX-License-Identifier: MIT
// Answers GET and HEAD with a file or with bytes: entity tags, conditional requests, one byte range.

import { createHash } from "node:crypto";
import {
  close,
  closeSync,
  constants,
  fstatSync,
  open,
  openSync,
  read,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from "node:fs";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { sep } from "node:path";
import { promisify } from "node:util";
import { BufferPool } from "./buffer-pool.js";

const openLater = promisify(open);

export interface SendOptions {
  readonly contentType: string;
  /** Seconds that a client may use it without asking; 0 makes it ask each time, which costs nothing when nothing changed. */
  readonly maxAge: number;
}

export interface SendFileOptions extends SendOptions {
  /** The folder, without links, that the file has to lie in once links are followed. Default: anywhere. */
  readonly within?: string | undefined;
}

/** `[first, last]`; `all` without a range or with one that is not understood (RFC 9110 lets a server ignore it); `none` beyond the end. */
export function byteRange(header: string | undefined, size: number): [number, number] | "all" | "none" {
  if (header === undefined) return "all";
  const m = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (m === null || (m[1] === "" && m[2] === "")) return "all";
  if (m[1] === "") {
    const last = Number(m[2]);
    return last === 0 || size === 0 ? "none" : [Math.max(0, size - last), size - 1];
  }
  const first = Number(m[1]);
  const last = m[2] === "" ? size - 1 : Math.min(Number(m[2]), size - 1);
  if (m[2] !== "" && Number(m[2]) < first) return "all";
  return first >= size ? "none" : [first, last];
}

/** What an answer begins with; the bytes of `range` follow, or nothing. */
interface Head {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: OutgoingHttpHeaders;
  readonly range?: readonly [first: number, last: number];
}

/** Whether the client says that it has just this. */
function hasAlready(request: IncomingMessage, etag: string): boolean {
  const known = request.headers["if-none-match"];
  if (known === undefined || known === etag) return known === etag;
  return known.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

function headOf(
  request: IncomingMessage,
  { size, etag, modified }: { size: number; etag: string; modified?: Date },
  { contentType, maxAge }: SendOptions,
): Head {
  const headers: OutgoingHttpHeaders = {
    ETag: etag,
    "Cache-Control": maxAge > 0 ? `max-age=${maxAge}` : "no-cache",
    "Accept-Ranges": "bytes",
    "Content-Type": contentType,
  };
  if (modified) headers["Last-Modified"] = modified.toUTCString();
  const known = request.headers["if-none-match"];
  if (known?.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag))
    return { status: 304, headers };
  // A range of what has changed meanwhile would join old and new bytes.
  const condition = request.headers["if-range"];
  const usable = condition === undefined || condition === etag;
  const range = byteRange(usable ? request.headers.range : undefined, size);
  if (range === "none") {
    headers["Content-Range"] = `bytes */${size}`;
    headers["Content-Length"] = 0;
    return { status: 416, headers };
  }
  const [first, last] = range === "all" ? [0, size - 1] : range;
  if (range !== "all") headers["Content-Range"] = `bytes ${first}-${last}/${size}`;
  headers["Content-Length"] = last - first + 1;
  const hasBody = request.method !== "HEAD" && last >= first;
  return { status: range === "all" ? 200 : 206, headers, ...(hasBody && { range: [first, last] }) };
}

/** Bodies up to this are read at once, into memory that is used again: a stream costs more than the bytes of a chunk. */
export const buffers = new BufferPool({ bufferBytes: 2 ** 20, buffers: 48, kept: 12 });

/** Of those that are too large for that. */
const pieceBytes = 2 ** 18;

const absent: ReadonlySet<string | undefined> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ENAMETOOLONG",
  "ELOOP",
  "ENXIO",
]);

/**
 * Files of this machine are opened, and small ones read, at once: a turn through the pool of threads costs ten times as much as the call itself. Those of
 * a slow disk or of a file server are not, since the whole gateway would wait: after a call that took long, for a while.
 */
const slow = { fromMs: 10, forMs: 2000, untilMs: 0 };
const atOnceBytes = 2 ** 20;

const isQuick = () => performance.now() >= slow.untilMs;

function timed<T>(call: () => T): T {
  const began = performance.now();
  try {
    return call();
  } finally {
    const ended = performance.now();
    if (ended - began > slow.fromMs) slow.untilMs = ended + slow.forMs;
  }
}

// A pipe with nobody at its other end is not waited for.
const flags = constants.O_RDONLY | constants.O_NONBLOCK;

const openFile = (path: string): number | Promise<number> =>
  isQuick() ? timed(() => openSync(path, flags)) : openLater(path, flags);

function closeFile(fd: number): void {
  if (isQuick()) timed(() => closeSync(fd));
  else close(fd);
}

/** Whether what was opened lies in the folder. Asked of what is open, so that nobody can change the path in between. */
function liesIn(fd: number, folder: string): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder + sep);
}

/** A file that was replaced by rename within a millisecond has another inode. */
const etagOf = ({ ino, mtimeMs, size }: Stats) =>
  `"${ino.toString(36)}-${Math.round(mtimeMs * 1000).toString(36)}-${size.toString(36)}"`;

const described = (stat: Stats) => ({ size: stat.size, etag: etagOf(stat), modified: stat.mtime });

/** Undefined where there is no regular file, or where looking would be waiting. */
function lookAt(path: string): Stats | undefined {
  if (!isQuick()) return undefined;
  try {
    const stat = timed(() => statSync(path, { throwIfNoEntry: false }));
    return stat?.isFile() ? stat : undefined;
  } catch {
    // Opening it says why.
    return undefined;
  }
}

/** Sends the file, as long as the client takes it. Resolves with false, having sent nothing, where there is no such regular file. */
export async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  options: SendFileOptions,
): Promise<boolean> {
  // Nothing is opened for a client that has it: most of what a page asks for again, and it learns nothing that it did not say itself.
  const seen = request.headers["if-none-match"] === undefined ? undefined : lookAt(path);
  if (seen !== undefined && hasAlready(request, etagOf(seen))) {
    const { status, headers } = headOf(request, described(seen), options);
    response.writeHead(status, headers).end();
    return true;
  }
  let fd: number;
  try {
    fd = await openFile(path);
  } catch (error) {
    if (absent.has((error as NodeJS.ErrnoException).code)) return false;
    throw error;
  }
  try {
    if (options.within !== undefined && !liesIn(fd, options.within)) return false;
    // What the kernel has just looked up for opening: no wait, where a turn through the pool of threads would be one.
    const stat = fstatSync(fd);
    if (!stat.isFile()) return false;
    const head = headOf(request, described(stat), options);
    if (head.range === undefined) {
      response.writeHead(head.status, head.headers).end();
      return true;
    }
    const [start, end] = head.range;
    const buffer = buffers.take(end - start + 1);
    if (buffer === undefined) await stream(fd, response, head, start, end);
    else await sendAtOnce(fd, response, head, start, buffer);
    return true;
  } finally {
    closeFile(fd);
  }
}

/** A large body, or one of more clients than there are buffers for. */
async function stream(
  fd: number,
  response: ServerResponse,
  head: Head,
  start: number,
  end: number,
): Promise<void> {
  response.writeHead(head.status, head.headers);
  const isGone = new Promise<false>((resolve) => response.once("close", () => resolve(false)));
  const send = (piece: Buffer) =>
    Promise.race([isGone, new Promise<boolean>((resolve) => response.write(piece, (e) => resolve(!e)))]);
  // One is filled while the other one is sent.
  const pieces = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)] as const;
  let sending: Promise<boolean> = Promise.resolve(true);
  let turn: 0 | 1 = 0;
  for (let at = start; at <= end; turn = turn === 0 ? 1 : 0) {
    const piece = pieces[turn].subarray(0, Math.min(pieceBytes, end - at + 1));
    const bytes = await readInto(fd, piece, 0, at);
    // A client that goes away is no failure of ours.
    if (!(await sending)) return;
    // The file became shorter than its length, which the answer has promised.
    if (bytes === 0) return void response.destroy();
    sending = send(piece.subarray(0, bytes));
    at += bytes;
  }
  if (await sending) response.end();
}

/** `buffer`: as long as the body, of the pool. */
async function sendAtOnce(
  fd: number,
  response: ServerResponse,
  head: Head,
  start: number,
  buffer: Buffer,
): Promise<void> {
  let filled = 0;
  try {
    while (filled < buffer.length) {
      const bytes = await readInto(fd, buffer, filled, start + filled);
      if (bytes === 0) break;
      filled += bytes;
    }
  } catch (error) {
    buffers.giveBack(buffer);
    throw error;
  }
  if (filled < buffer.length || response.destroyed) {
    // The file became shorter than its length, which the answer would promise; or nobody is there any more.
    buffers.giveBack(buffer);
    response.destroy();
    return;
  }
  let isSent = false;
  response.once("finish", () => {
    isSent = true;
  });
  // The system has taken the bytes, or the connection ended with some of them unsent.
  response.once("close", () => buffers.giveBack(buffer, isSent));
  response.writeHead(head.status, head.headers).end(buffer);
}

function readInto(fd: number, buffer: Buffer, offset: number, position: number): number | Promise<number> {
  const length = buffer.length - offset;
  if (length <= atOnceBytes && isQuick()) return timed(() => readSync(fd, buffer, offset, length, position));
  return new Promise((resolve, reject) => {
    read(fd, buffer, offset, length, position, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}

/** Sends bytes that are in memory. */
export function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  options: SendOptions & { readonly etag?: string },
): void {
  const etag = options.etag ?? `"${createHash("sha1").update(bytes).digest("base64url")}"`;
  const { status, headers, range } = headOf(request, { size: bytes.length, etag }, options);
  response.writeHead(status, headers).end(range && bytes.subarray(range[0], range[1] + 1));
}

/** Sends bytes that are elsewhere: `read` gets no more of them than the answer has. */
export async function sendRead(
  request: IncomingMessage,
  response: ServerResponse,
  file: { readonly size: number; readonly etag: string },
  read: (offset: number, bytes: number) => Promise<Uint8Array>,
  options: SendOptions,
): Promise<void> {
  const { status, headers, range } = headOf(request, file, options);
  const body = range && (await read(range[0], range[1] - range[0] + 1));
  response.writeHead(status, headers).end(body);
}
