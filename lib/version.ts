// SPDX-License-Identifier: MIT
// The package's version, read from package.json: the one place that states it.

import { readFileSync } from "node:fs";

/** Version of this package, e.g. "0.1.0". */
export const version: string = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version;
