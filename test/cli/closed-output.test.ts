// SPDX-License-Identifier: MIT
// A reader that goes before the output ends (`tilecast ops --json | head -c 1`) ends nothing and gets no stack trace.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repository } from "../helpers/shared.js";

test("a verb whose output nobody reads any more ends as if it had been read", async () => {
  const child = spawn(process.execPath, [join(repository, "dist/cli/main.js"), "ops", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Closed before the program has begun: its first write fails.
  child.stdout.destroy();
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  expect({ code, said }).toEqual({ code: 0, said: "" });
});
