// SPDX-License-Identifier: MIT
// The gateway: sources as OME-Zarr, tables, events and controls over HTTP on this machine only (docs/gateway.md).

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { type WebSocket, WebSocketServer } from "ws";
import { type ErrorCode, isTilecastError, TilecastError } from "../errors.js";
import { version } from "../version.js";
import { judge, newToken, safeParts } from "./access.js";
import { EventHub } from "./event-hub.js";
import { sendFile } from "./send-bytes.js";
import type { Source } from "./source.js";
import type { SourceDescription } from "./source-description.js";
import { query, type TableFile } from "./table.js";

/** The page, built by Vite into the package. */
const pageRoot = fileURLToPath(new URL("../../dist/page", import.meta.url));

export interface GatewayOptions {
  /** Default: a free one. One that is taken is an error when it was asked for. */
  readonly port?: number;
  /** 32 hexadecimal digits, for a server that comes back at its old address; default new random ones. */
  readonly token?: string;
  /** Folder of the page; default the package's own. */
  readonly page?: string;
}

/** A run whose progress is shown and which can be stopped. */
export interface GatewayRun {
  readonly id: string;
  readonly input: string;
  readonly output: string;
  readonly cancel: () => void;
}

/** What a control does; a throw is answered as an error, `null` is 404. */
export type Control = (parts: readonly string[]) => Promise<unknown> | unknown;
/** What a query gives: an object as JSON, a string as plain text, `undefined` is 404. */
export type Query = (parts: readonly string[]) => Promise<unknown> | unknown;

interface Served {
  readonly source: Source;
  readonly table: TableFile | undefined;
  description: SourceDescription;
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
  png: "image/png",
  ico: "image/x-icon",
  woff2: "font/woff2",
  wasm: "application/wasm",
  map: "application/json",
};

const statuses: Partial<Readonly<Record<ErrorCode, number>>> = {
  ERR_INVALID_ARGUMENT: 400,
  // Something is not, or no longer, in the state that an action needs.
  ERR_INSTANCE: 409,
  ERR_TIMEOUT: 504,
};

/** Nothing from elsewhere is loaded, framed or run; inline styles are what the page's libraries set. Workers of decoders are blobs. */
const policy =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "worker-src 'self' blob:; connect-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class Gateway implements AsyncDisposable {
  readonly token: string;
  readonly events = new EventHub();
  readonly #options: GatewayOptions;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 4096, clientTracking: true });
  readonly #sources = new Map<string, Served>();
  readonly #runs = new Map<string, GatewayRun>();
  readonly #controls = new Map<string, Control>();
  readonly #queries = new Map<string, Query>();
  readonly #kept: AsyncDisposable[] = [];
  #next = 0;
  #port = 0;

  constructor(options: GatewayOptions = {}) {
    this.#options = options;
    this.token = options.token ?? newToken();
    if (!/^[0-9a-f]{32}$/.test(this.token))
      throw new TilecastError("ERR_INVALID_ARGUMENT", "token: expected 32 hexadecimal digits", {
        argument: "token",
      });
    this.#server = createServer((request, response) => void this.#answer(request, response));
    // A client that opens a connection and says nothing holds nothing of ours for long.
    this.#server.headersTimeout = 10_000;
    this.#server.requestTimeout = 30_000;
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Listens. Throws ERR_ENDPOINT where the port is taken. */
  async start(): Promise<this> {
    const port = this.#options.port ?? 0;
    this.#server.listen({ port, host: "127.0.0.1" });
    try {
      await once(this.#server, "listening");
    } catch (cause) {
      throw new TilecastError("ERR_ENDPOINT", `port ${port} cannot be used: ${(cause as Error).message}`, {
        argument: "port",
        retriable: true,
        cause,
      });
    }
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  get port(): number {
    return this.#port;
  }

  /** Of the page; everything else is below it. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/${this.token}/`;
  }

  /** Serves a source; returns its id. It is closed with the gateway. */
  addSource(source: Source, describe: (id: string) => SourceDescription, table?: TableFile): string {
    const id = `s${++this.#next}`;
    const served: Served = { source, table, description: describe(id) };
    this.#sources.set(id, served);
    this.events.publish({ ...served.description, type: "source", key: id });
    return id;
  }

  /** Changes what the catalogue says of a source. */
  updateSource(id: string, change: Partial<SourceDescription>): void {
    const served = this.#sources.get(id);
    if (served === undefined) return;
    served.description = { ...served.description, ...change };
    this.events.publish({ ...served.description, type: "source", key: id });
  }

  addRun(run: GatewayRun): void {
    this.#runs.set(run.id, run);
  }

  /** Is closed with the gateway. */
  keep(each: AsyncDisposable): void {
    this.#kept.push(each);
  }

  /** What a POST below `/api/NAME/...` does. */
  control(name: string, act: Control): void {
    this.#controls.set(name, act);
  }

  /** What a GET of `/api/NAME/...` gives. */
  query(name: string, give: Query): void {
    this.#queries.set(name, give);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const access = judge(request, this.token, this.#port);
    if (access.kind !== "ok" || access.foreign || access.path !== "/api/events") {
      socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const since = access.query.get("since");
    const epoch = access.query.get("epoch") ?? undefined;
    this.#sockets.handleUpgrade(request, socket, head, (ws: WebSocket) => {
      const remove = this.events.add(ws, since === null ? undefined : Number(since), epoch);
      // Nothing is expected from a client; what it sends is not read into anything.
      ws.on("close", remove);
      ws.on("error", () => ws.terminate());
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (error) {
      this.#fail(response, error);
    }
  }

  #fail(response: ServerResponse, error: unknown): void {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const known = isTilecastError(error);
    const status = (known && statuses[error.code]) || 500;
    for (const name of ["ETag", "Last-Modified", "Content-Range", "Accept-Ranges"])
      response.removeHeader(name);
    json(response, status, {
      error: known ? error.code : "ERR_INTERNAL",
      message: error instanceof Error ? error.message : String(error),
    });
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "no-referrer");
    const access = judge(request, this.token, this.#port);
    if (access.kind === "misdirected") return nothing(response, 400);
    if (access.kind === "unknown") return nothing(response, 404);
    const { path, query: q, foreign } = access;
    const isData = path.startsWith("/data/");
    // OME-Zarr viewers are pages of other origins; only those that were given the token get here.
    if (isData) response.setHeader("Access-Control-Allow-Origin", "*");
    if (request.method === "OPTIONS" && isData) {
      response.setHeader("Access-Control-Allow-Methods", "GET, HEAD");
      response.setHeader("Access-Control-Allow-Headers", "Range, If-None-Match, If-Range");
      response.setHeader("Access-Control-Expose-Headers", "Content-Range, ETag, Content-Length");
      return nothing(response, 204);
    }
    const reads = request.method === "GET" || request.method === "HEAD";
    if (!isData && foreign) return nothing(response, 404);
    if (!reads && request.method !== "POST") return nothing(response, 405);
    if (path === "") {
      response.setHeader("Location", `/${this.token}/`);
      return nothing(response, 308);
    }
    if (reads && (path === "/" || path.startsWith("/assets/"))) return this.#page(request, response, path);
    const parts = safeParts(path.slice(1));
    if (parts === undefined) return nothing(response, 404);
    if (isData && reads) {
      response.setHeader("Access-Control-Expose-Headers", "Content-Range, ETag, Content-Length");
      const served = this.#sources.get(parts[1] as string);
      if (served && parts.length > 2 && (await served.source.serve(request, response, parts.slice(2))))
        return;
      return nothing(response, 404);
    }
    if (parts[0] === "api")
      return reads ? this.#get(request, response, parts, q) : this.#post(request, response, parts);
    return nothing(response, 404);
  }

  async #page(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const parts = path === "/" ? ["index.html"] : safeParts(path.slice(1));
    if (parts === undefined) return nothing(response, 404);
    response.setHeader("Content-Security-Policy", policy);
    const name = parts.at(-1) as string;
    const contentType = types[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
    // Vite puts a digest of the content into the names of assets.
    const maxAge = path === "/" ? 0 : 31_536_000;
    const root = this.#options.page ?? pageRoot;
    if (await sendFile(request, response, join(root, ...parts), { contentType, maxAge })) return;
    if (path !== "/") return nothing(response, 404);
    response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" });
    response.end("The page is not built here: npm run build:page\n");
  }

  async #get(
    request: IncomingMessage,
    response: ServerResponse,
    parts: readonly string[],
    q: URLSearchParams,
  ): Promise<void> {
    const [, name, id] = parts;
    if (name === "catalog") return json(response, 200, this.catalog());
    if (name === "table" && id !== undefined) {
      const file = this.#sources.get(id)?.table;
      if (file !== undefined && q.get("format") === "csv") {
        const contentType = "text/csv; charset=utf-8";
        if (await sendFile(request, response, file.path, { contentType, maxAge: 0 })) return;
        return nothing(response, 404);
      }
      const table = await file?.table();
      if (table === undefined) return nothing(response, 404);
      return json(response, 200, query(table, q));
    }
    const given = await this.#queries.get(name ?? "")?.(parts.slice(2));
    if (given === undefined) return nothing(response, 404);
    if (typeof given !== "string") return json(response, 200, given);
    response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" });
    response.end(given);
  }

  async #post(request: IncomingMessage, response: ServerResponse, parts: readonly string[]): Promise<void> {
    // Controls take no body; one is read away, up to what a form could have.
    let size = 0;
    for await (const chunk of request) {
      size += (chunk as Buffer).length;
      if (size > 4096) return nothing(response, 413);
    }
    const [, name, id, action] = parts;
    if (name === "runs" && action === "cancel") {
      const run = this.#runs.get(id as string);
      if (run === undefined) return nothing(response, 404);
      run.cancel();
      return json(response, 202, { status: "cancelling" });
    }
    const act = name === undefined ? undefined : this.#controls.get(name);
    if (act === undefined) return nothing(response, 404);
    const done = await act(parts.slice(2));
    return done === null ? nothing(response, 404) : json(response, 200, done ?? { status: "done" });
  }

  /** What there is: what `/api/catalog` gives. */
  catalog() {
    return {
      version,
      sources: [...this.#sources.values()].map((s) => s.description),
      runs: [...this.#runs.values()].map(({ id, input, output }) => ({ id, input, output })),
    };
  }

  /** Ends every connection and closes the sources. Idempotent. */
  async close(): Promise<void> {
    this.events.close();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    if (this.#server.listening) {
      this.#server.close();
      this.#server.closeAllConnections();
    }
    const sources = [...this.#sources.values()];
    this.#sources.clear();
    await Promise.all([
      ...sources.map((s) => s.source.close()),
      ...this.#kept.splice(0).map((each) => each[Symbol.asyncDispose]()),
    ]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function nothing(response: ServerResponse, status: number): void {
  response.writeHead(status, status === 204 ? {} : { "Content-Length": 0 }).end();
}

function json(response: ServerResponse, status: number, value: unknown): void {
  const text = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Content-Length": text.length,
  });
  response.end(text);
}
