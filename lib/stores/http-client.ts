// SPDX-License-Identifier: MIT
// GET requests for ranges of bytes: a bounded number at a time, tried again with growing pauses, checked for what they promise.
//
// RFC 9110, sections 14 (range requests), 8.8 (validators), 10.2.3 (Retry-After).

import { setTimeout as pause } from "node:timers/promises";
import { HttpError, isTilecastError } from "../errors.js";
import { checkInteger } from "../image/shape.js";
import { allowListeners, throwIfAborted } from "./store.js";

export interface HttpClientOptions {
  /** Requests at a time; default 6, what browsers allow themselves for a host. */
  readonly concurrency?: number;
  /** Tries after the first one; default 4. */
  readonly retries?: number;
  /** Before the second try, ms; doubled each time, less a random half. Default 250. */
  readonly backoffMs?: number;
  /** The longest such pause, ms, also where the server asks for more. Default 10 000. */
  readonly maxBackoffMs?: number;
  /** Without a byte, ms, until a try counts as failed. Default 30 000. */
  readonly stallMs?: number;
  /** Sent with each request, such as `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A resource that is there. */
export interface Fetched {
  /** Of `bytes` in the resource. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Of the whole resource. */
  readonly size: number;
  /** Tells its versions apart; empty when the server does not. */
  readonly version: string;
  /** Last-Modified, ms since 1970; 0 when the server does not say. */
  readonly mtimeMs: number;
}

/** The statuses that a busy or restarting server gives; all others will be the same the next time. */
const passing: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** For messages: what says where it is, without what lets one in. */
export function publicUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

const rangeText = (offset: number, bytes: number) =>
  offset < 0 ? `the last ${-offset} bytes` : `bytes ${offset} to ${offset + bytes - 1}`;

class Failure extends Error {
  readonly status: number | undefined;
  readonly retriable: boolean;
  readonly afterMs: number;
  constructor(
    message: string,
    options: { status?: number; retriable: boolean; afterMs?: number; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.retriable = options.retriable;
    this.afterMs = options.afterMs ?? 0;
  }
}

export class HttpClient {
  readonly #options: Required<HttpClientOptions>;
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  #requests = 0;
  #bytes = 0;

  constructor(options: HttpClientOptions = {}) {
    this.#options = {
      concurrency: checkInteger(options.concurrency ?? 6, "concurrency", 1, 1024),
      retries: checkInteger(options.retries ?? 4, "retries", 0, 100),
      backoffMs: checkInteger(options.backoffMs ?? 250, "backoffMs", 0, 3_600_000),
      maxBackoffMs: checkInteger(options.maxBackoffMs ?? 10_000, "maxBackoffMs", 0, 3_600_000),
      stallMs: checkInteger(options.stallMs ?? 30_000, "stallMs", 1, 3_600_000),
      headers: options.headers ?? {},
    };
  }

  /** Requests sent and bytes received so far. */
  get stats(): { readonly requests: number; readonly bytes: number } {
    return { requests: this.#requests, bytes: this.#bytes };
  }

  /**
   * Bytes from `offset` on, up to `bytes` or the end; with a negative offset, the last -`offset` of them. Null where there is no such resource
   * (404, 410). A server that knows no ranges sends the
   * whole resource: it is given back, up to `maxWhole` bytes. Rejects with HttpError and ERR_CANCELLED.
   */
  async get(
    url: URL,
    offset: number,
    bytes: number,
    maxWhole: number,
    signal: AbortSignal | undefined,
  ): Promise<Fetched | null> {
    const { retries, backoffMs, maxBackoffMs } = this.#options;
    allowListeners(signal);
    const what = `reading ${publicUrl(url)}`;
    for (let attempt = 1; ; attempt++) {
      const leave = await this.#enter(signal, what);
      let failure: Failure;
      try {
        return await this.#try(url, offset, bytes, maxWhole, signal);
      } catch (error) {
        throwIfAborted(signal, what);
        if (!(error instanceof Failure)) throw error;
        failure = error;
      } finally {
        leave();
      }
      if (!failure.retriable || attempt > retries) {
        const tries = attempt === 1 ? "" : ` (${attempt} attempts)`;
        throw new HttpError(`${publicUrl(url)}: ${failure.message}${tries}`, {
          url: publicUrl(url),
          ...(failure.status === undefined ? {} : { status: failure.status }),
          attempts: attempt,
          retriable: failure.retriable,
          cause: failure.cause,
        });
      }
      // A random half, so that many readers that failed together do not come back together.
      const grown = Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
      try {
        await pause(
          Math.min(maxBackoffMs, Math.max(grown, failure.afterMs)),
          undefined,
          signal ? { signal } : {},
        );
      } catch {
        throwIfAborted(signal, what);
      }
    }
  }

  /** Waits for its turn; gives what ends it. */
  async #enter(signal: AbortSignal | undefined, what: string): Promise<() => void> {
    throwIfAborted(signal, what);
    if (this.#running >= this.#options.concurrency) {
      await new Promise<void>((resolve, reject) => {
        const go = () => {
          signal?.removeEventListener("abort", stop);
          resolve();
        };
        const stop = () => {
          this.#waiting.splice(this.#waiting.indexOf(go), 1);
          reject(signal?.reason);
        };
        signal?.addEventListener("abort", stop, { once: true });
        this.#waiting.push(go);
      }).catch((error) => {
        throwIfAborted(signal, what);
        throw error;
      });
    } else {
      this.#running++;
    }
    // Whoever waits takes the place of who leaves, which stays counted.
    return () => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    };
  }

  async #try(
    url: URL,
    offset: number,
    bytes: number,
    maxWhole: number,
    signal: AbortSignal | undefined,
  ): Promise<Fetched | null> {
    const abort = new AbortController();
    const stop = () => abort.abort(signal?.reason);
    signal?.addEventListener("abort", stop, { once: true });
    let stalled = false;
    let timer: NodeJS.Timeout | undefined;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        stalled = true;
        abort.abort();
      }, this.#options.stallMs);
    };
    alive();
    this.#requests++;
    try {
      const response = await fetch(url, {
        signal: abort.signal,
        // With a Range, fetch asks for no compression by itself: ranges of that would be ranges of something else.
        headers: {
          ...this.#options.headers,
          Range: offset < 0 ? `bytes=${offset}` : `bytes=${offset}-${offset + bytes - 1}`,
        },
      });
      return await this.#take(response, offset, bytes, maxWhole, alive);
    } catch (error) {
      if (error instanceof Failure || isTilecastError(error)) throw error;
      const { message, cause } = error as Error;
      const why = (cause as Error | undefined)?.message ?? message;
      throw new Failure(
        stalled ? `no byte came for ${this.#options.stallMs} ms` : `the connection failed (${why})`,
        { retriable: true, cause: error },
      );
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      // What was not read to its end holds its connection otherwise.
      abort.abort();
    }
  }

  async #take(
    response: Response,
    offset: number,
    bytes: number,
    maxWhole: number,
    alive: () => void,
  ): Promise<Fetched | null> {
    const { status } = response;
    const version = response.headers.get("etag") ?? response.headers.get("last-modified") ?? "";
    const modified = Date.parse(response.headers.get("last-modified") ?? "");
    const mtimeMs = Number.isFinite(modified) ? modified : 0;
    const contentRange = response.headers.get("content-range") ?? "";
    if (status === 404 || status === 410) return null;
    if (status === 416) {
      const size = /^bytes \*\/(\d+)$/.exec(contentRange)?.[1];
      if (size !== undefined && (offset < 0 ? Number(size) === 0 : Number(size) <= offset))
        return {
          offset: Math.max(0, offset),
          bytes: new Uint8Array(0),
          size: Number(size),
          version,
          mtimeMs,
        };
    }
    if (status === 206) {
      const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange);
      if (match === null)
        throw new Failure(`status 206 with the Content-Range "${contentRange}", which says no size`, {
          status,
          retriable: false,
        });
      const [first, last, size] = match.slice(1).map(Number) as [number, number, number];
      const start = offset < 0 ? Math.max(0, size + offset) : offset;
      const expected = Math.min(start + (offset < 0 ? -offset : bytes), size) - start;
      if (first !== start || last !== start + expected - 1)
        throw new Failure(`asked for ${rangeText(offset, bytes)} and got "${contentRange}"`, {
          status,
          retriable: false,
        });
      return { offset: start, bytes: await this.#body(response, expected, alive), size, version, mtimeMs };
    }
    if (status === 200) {
      const told = response.headers.get("content-length");
      const size = told === null ? null : Number(told);
      if (size !== null && size > maxWhole)
        throw new Failure(
          `the server knows no ranges, and the whole of ${size} bytes is more than the ${maxWhole} allowed`,
          { status, retriable: false },
        );
      const body = await this.#body(response, size, alive, maxWhole);
      return { offset: 0, bytes: body, size: body.length, version, mtimeMs };
    }
    const after = Number(response.headers.get("retry-after") ?? 0);
    throw new Failure(`status ${status}${response.statusText === "" ? "" : ` ${response.statusText}`}`, {
      status,
      retriable: passing.has(status),
      ...(Number.isFinite(after) ? { afterMs: after * 1000 } : {}),
    });
  }

  /** Exactly `expected` bytes, or as many as come when that is not known. */
  async #body(
    response: Response,
    expected: number | null,
    alive: () => void,
    max = Number.POSITIVE_INFINITY,
  ): Promise<Uint8Array> {
    const { status } = response;
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
      alive();
      parts.push(part);
      length += part.length;
      this.#bytes += part.length;
      if (expected !== null && length > expected)
        throw new Failure(`expected ${expected} bytes and more came`, { status, retriable: true });
      if (length > max)
        throw new Failure(`the server knows no ranges, and the whole is more than the ${max} bytes allowed`, {
          status,
          retriable: false,
        });
    }
    if (expected !== null && length < expected)
      throw new Failure(`expected ${expected} bytes and ${length} came`, { status, retriable: true });
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
