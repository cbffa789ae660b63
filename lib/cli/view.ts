// SPDX-License-Identifier: MIT
// `tilecast view`: plates, results and images in the browser, and for every OME-Zarr client, until Ctrl-C.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { InstanceWatcher } from "../manager/index.js";
import { Gateway } from "../web/gateway.js";
import { addInstances } from "../web/instances.js";
import { addPath } from "../web/open-source.js";

export const viewUsage = `Usage: tilecast view PATH... [options]
       tilecast view --live [options]

Shows plates, results and images in the browser: folders of TIFFs, output folders of tilecast run, OME-Zarr plates and
images, TIFF files; also behind a URL of http or https (a folder there needs tilecast-files.txt, see docs/stores.md).
Serves them on 127.0.0.1 as OME-Zarr too, for napari, neuroglancer, vizarr and other clients, until Ctrl-C.

  --live         without PATH: what runs on this machine, servers and viewers; with PATH they are there too
  --port N       default: a free one
  --no-open      print the address only
  --json         the addresses as one line of JSON
  -h, --help     this text

The address holds a token; whoever has it can read what is shown.
`;

/** Opens the address in the user's browser, where there is one; failing is no error: the address is printed. */
export function openBrowser(url: string): void {
  const command = process.platform === "darwin" ? "open" : "xdg-open";
  if (process.platform === "linux" && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return;
  const child = spawn(command, [url], { stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}

/** Until Ctrl-C or SIGTERM. */
export async function untilInterrupted(): Promise<void> {
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
}

/** Runs the verb; resolves with its exit code when it is interrupted. */
export async function viewCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    allowNegative: true,
    options: {
      live: { type: "boolean", default: false },
      port: { type: "string" },
      open: { type: "boolean", default: true },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(viewUsage);
    return 0;
  }
  if (positionals.length === 0 && !values.live)
    throw new TilecastError(
      "ERR_USAGE",
      "tilecast view takes the PATH of a plate, of results or of an image, or --live",
      {
        argument: "PATH",
      },
    );
  const port = values.port === undefined ? 0 : Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new TilecastError("ERR_USAGE", `--port must be 0 to 65535, and is "${values.port}"`, {
      argument: "port",
    });
  await using gateway = await new Gateway({ port }).start();
  addInstances(gateway, new InstanceWatcher());
  for (const path of positionals) await addPath(gateway, path);
  const { sources } = gateway.catalog();
  const addresses = sources.map(({ url, kind, fields }) => {
    // Of an image the address that clients open is the image's own.
    const [field = ""] = kind === "image" ? Object.values(fields).flat() : [];
    return `${gateway.url}${url}${field === "" ? "" : `/${field}`}`;
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ url: gateway.url, data: addresses })}\n`);
  else {
    process.stdout.write(`${gateway.url}\n`);
    for (const [i, address] of addresses.entries())
      process.stdout.write(`  OME-Zarr: ${address}  (${sources[i]?.name})\n`);
    process.stdout.write("Ctrl-C ends it.\n");
  }
  if (values.open) openBrowser(gateway.url);
  await untilInterrupted();
  return 0;
}
