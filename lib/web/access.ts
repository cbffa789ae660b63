// SPDX-License-Identifier: MIT
// Who may ask the gateway for what: the token in the path, the Host and the Origin of a request.

import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** 128 random bits. */
export function newToken(): string {
  return randomBytes(16).toString("hex");
}

function same(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** `ok` with what follows the token; `misdirected` for a name that is not this machine's own; `unknown` for everything else. */
export type Access =
  | { readonly kind: "ok"; readonly path: string; readonly query: URLSearchParams; readonly foreign: boolean }
  | { readonly kind: "misdirected" }
  | { readonly kind: "unknown" };

const loopback = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::(\d+))?$/i;

/**
 * Judges one request. A page of another origin can make a browser send requests here, and can point a name of its own at 127.0.0.1: the
 * first does not know the token, the second shows in `Host`. `foreign` says that the request comes from a page of another origin.
 */
export function judge(request: IncomingMessage, token: string, port: number): Access {
  const host = loopback.exec(request.headers.host ?? "");
  if (host === null || Number(host[1] ?? 80) !== port) return { kind: "misdirected" };
  // Only what follows the token is decoded: a token has nothing to decode.
  const url = request.url ?? "";
  const at = url.indexOf("?");
  const path = at < 0 ? url : url.slice(0, at);
  const parts = /^\/([0-9a-f]{32})(\/.*)?$/.exec(path);
  if (parts === null || !same(parts[1] as string, token)) return { kind: "unknown" };
  const origin = request.headers.origin;
  const own = origin === undefined || isOwn(origin, port);
  return {
    kind: "ok",
    path: parts[2] ?? "",
    query: new URLSearchParams(at < 0 ? "" : url.slice(at + 1)),
    foreign: !own,
  };
}

function isOwn(origin: string, port: number): boolean {
  const m = /^http:\/\/(.+)$/.exec(origin);
  const host = m === null ? null : loopback.exec(m[1] as string);
  return host !== null && Number(host[1] ?? 80) === port;
}

/**
 * The parts of a path below a source, decoded once. Undefined for what could lead elsewhere or name no file: empty parts, `.` and `..`,
 * separators and NUL inside a part, encodings that are not UTF-8.
 */
export function safeParts(path: string): readonly string[] | undefined {
  const parts: string[] = [];
  for (const raw of path.split("/")) {
    let part: string;
    try {
      part = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
    if (part === "" || part === "." || part === ".." || /[/\\\0]/.test(part)) return undefined;
    parts.push(part);
  }
  return parts;
}
