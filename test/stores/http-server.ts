// SPDX-License-Identifier: MIT
// A web server on this machine that serves a folder by ranges, and misbehaves as told.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** How many requests of this path came, this one included. */
  readonly nth: number;
  readonly path: string;
  /** Of the file; undefined when there is none. */
  readonly body: Buffer | undefined;
  /** The range that was asked for, clipped to the file; null when none was. */
  readonly range: readonly [first: number, last: number] | null;
  /** Answers as a good server does. */
  readonly answer: () => void;
}

export interface Server {
  readonly url: string;
  readonly log: {
    readonly path: string;
    readonly range: string;
    readonly headers: IncomingMessage["headers"];
  }[];
  /** Most requests that were open together. */
  readonly busiest: () => number;
  /** Requests whose client went away before the answer was complete. */
  readonly abandoned: () => number;
}

/** Serves `folder`; `behave` may answer itself (true), or leave it to the server. */
export async function serve(
  folder: string,
  behave: (exchange: Exchange) => boolean | undefined = () => undefined,
): Promise<Server> {
  const log: { path: string; range: string; headers: IncomingMessage["headers"] }[] = [];
  const seen = new Map<string, number>();
  let open = 0;
  let busiest = 0;
  let abandoned = 0;
  const server = createServer((request, response) => {
    busiest = Math.max(busiest, ++open);
    response.on("close", () => {
      open--;
      if (!response.writableFinished) abandoned++;
    });
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname).slice(1);
    const header = request.headers.range ?? "";
    log.push({ path, range: header, headers: request.headers });
    const nth = (seen.get(path) ?? 0) + 1;
    seen.set(path, nth);
    let body: Buffer | undefined;
    try {
      body = readFileSync(join(folder, path));
    } catch {}
    const match = /^bytes=(\d*)-(\d+)$/.exec(header);
    const size = body?.length ?? 0;
    const range =
      match === null
        ? null
        : match[1] === ""
          ? ([Math.max(0, size - Number(match[2])), size - 1] as const)
          : ([Number(match[1]), Math.min(Number(match[2]), size - 1)] as const);
    const answer = () => {
      if (body === undefined) return void response.writeHead(404).end("no such file");
      response.setHeader("etag", `"${createHash("sha1").update(body).digest("hex")}"`);
      if (range === null) return void response.writeHead(200, { "content-length": body.length }).end(body);
      const [first, last] = range;
      if (first >= body.length)
        return void response.writeHead(416, { "content-range": `bytes */${body.length}` }).end();
      response
        .writeHead(206, {
          "content-range": `bytes ${first}-${last}/${body.length}`,
          "content-length": last - first + 1,
        })
        .end(body.subarray(first, last + 1));
    };
    if (behave({ request, response, nth, path, body, range, answer }) !== true) answer();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    log,
    busiest: () => busiest,
    abandoned: () => abandoned,
  };
}
