// SPDX-License-Identifier: MIT
// A server of a folder: node serve.mjs NAME FOLDER. Prints the address below which the files are, and ends with its standard input.

import { createServer } from "node:http";
import { FolderSource } from "../../dist/web/folder-source.js";
import { Gateway } from "../../dist/web/gateway.js";

const [name, folder] = process.argv.slice(2);

const listening = (server) =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}/`));
  });

const description = { fields: {}, sites: {}, channels: [], labels: [] };

const servers = {
  /** As `tilecast view` serves a store that may still change. */
  async tilecast() {
    const gateway = await new Gateway().start();
    const id = gateway.addSource(new FolderSource(folder, true), (id) => ({ ...description, id }));
    return `${gateway.url}data/${id}/`;
  },
  /** `dev`: files are looked at for each request, as those of a running job have to be. */
  async sirv() {
    const { default: sirv } = await import("sirv");
    return listening(createServer(sirv(folder, { dev: true, etag: true })));
  },
  /** As above, but with a list of files, sizes and times that was made at the start. */
  async "sirv-listed"() {
    const { default: sirv } = await import("sirv");
    return listening(createServer(sirv(folder, { etag: true })));
  },
  /** Node's HTTP and nothing else: the bytes are in memory, and nothing is checked. */
  async limit() {
    const body = Buffer.alloc(2 ** 20, 1);
    return listening(
      createServer((request, response) => {
        const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
        if (request.headers["if-none-match"]) return response.writeHead(304, { ETag: '"1"' }).end();
        const kind = /\/(chunk|small|shard|image)\//.exec(request.url)?.[1];
        const whole = { chunk: 524288, small: 65536, shard: 8388608, image: 1510 }[kind];
        const size = first === undefined ? whole : Number(last) - Number(first) + 1;
        response.writeHead(first === undefined ? 200 : 206, { "Content-Length": size, ETag: '"1"' });
        response.end(body.subarray(0, size));
      }),
    );
  },
};

console.log(await servers[name]());
process.stdin.on("end", () => process.exit()).resume();
