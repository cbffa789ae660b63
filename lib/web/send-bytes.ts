// SPDX-License-Identifier: MIT
// Answers GET and HEAD with a file or with bytes: entity tags, conditional requests, one byte range.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";

export interface SendOptions {
  readonly contentType: string;
  /** Seconds that a client may use it without asking; 0 makes it ask each time, which costs nothing when nothing changed. */
  readonly maxAge: number;
}

/** `[first, last]`; `all` without a range or with one that is not understood (RFC 9110 lets a server ignore it); `none` beyond the end. */
export function byteRange(header: string | undefined, size: number): [number, number] | "all" | "none" {
  const m = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
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

/** Head of the answer; returns the range whose bytes are to follow, or undefined when nothing is. */
function begin(
  request: IncomingMessage,
  response: ServerResponse,
  size: number,
  etag: string,
  modified: Date | undefined,
  { contentType, maxAge }: SendOptions,
): [number, number] | undefined {
  response.setHeader("ETag", etag);
  if (modified) response.setHeader("Last-Modified", modified.toUTCString());
  response.setHeader("Cache-Control", maxAge > 0 ? `max-age=${maxAge}` : "no-cache");
  response.setHeader("Accept-Ranges", "bytes");
  response.setHeader("Content-Type", contentType);
  const known = request.headers["if-none-match"];
  if (known?.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)) {
    response.writeHead(304).end();
    return undefined;
  }
  // A range of what has changed meanwhile would join old and new bytes.
  const condition = request.headers["if-range"];
  const usable = condition === undefined || condition === etag;
  const range = byteRange(usable ? request.headers.range : undefined, size);
  if (range === "none") {
    response.writeHead(416, { "Content-Range": `bytes */${size}`, "Content-Length": 0 }).end();
    return undefined;
  }
  const [first, last] = range === "all" ? [0, size - 1] : range;
  if (range !== "all") response.setHeader("Content-Range", `bytes ${first}-${last}/${size}`);
  response.writeHead(range === "all" ? 200 : 206, { "Content-Length": last - first + 1 });
  if (request.method === "HEAD" || last < first) {
    response.end();
    return undefined;
  }
  return [first, last];
}

/** Sends the file, as long as the client takes it. Resolves with false, having sent nothing, where there is no such regular file. */
export async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  options: SendOptions,
): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR" || code === "ENAMETOOLONG") return false;
    throw error;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return false;
    const { size, mtimeMs, ino } = stat;
    // A file that was replaced by rename within a millisecond has another inode.
    const etag = `"${ino.toString(36)}-${Math.round(mtimeMs * 1000).toString(36)}-${size.toString(36)}"`;
    const range = begin(request, response, size, etag, new Date(mtimeMs), options);
    if (range === undefined) return true;
    const [start, end] = range;
    const body = createReadStream("", { fd: file, start, end, autoClose: false, highWaterMark: 1 << 18 });
    // A client that goes away is no failure of ours.
    await pipeline(body, response).catch(() => response.destroy());
    return true;
  } finally {
    await file.close();
  }
}

/** Sends bytes that are in memory. */
export function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  options: SendOptions & { readonly etag?: string },
): void {
  const etag = options.etag ?? `"${createHash("sha1").update(bytes).digest("base64url")}"`;
  const range = begin(request, response, bytes.length, etag, undefined, options);
  if (range !== undefined) response.end(bytes.subarray(range[0], range[1] + 1));
}
