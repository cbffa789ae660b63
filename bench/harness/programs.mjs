// SPDX-License-Identifier: MIT
// The programs of a question: how they are started, which are limits, and why one cannot take part here.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { python } from "./machine.mjs";

/**
 * A question's programs by name: `{ title, command, limit?, npm?, modules?, lacks? }`. `title` is the subject of its rows; one that begins with
 * "limit: " is a limit, which always runs. `limit` names the program that this one is held against, or several, of which the first that takes part in a case counts. `npm` and `modules` are packages of Node and
 * modules of Python without which it cannot run; `lacks()` gives any other reason, or undefined.
 */
export const isLimitProgram = ({ title }) => title.startsWith("limit: ");

const require = createRequire(import.meta.url);

function hasPackage(name) {
  try {
    return require.resolve(name) !== "";
  } catch (error) {
    // An ESM-only package is there and has no entry for require.
    return error.code === "ERR_PACKAGE_PATH_NOT_EXPORTED";
  }
}

/** The modules that the Python of the peers does not have. */
function missingModules(modules) {
  if (modules.length === 0) return [];
  const code =
    "import importlib.util as u, json, sys; print(json.dumps([m for m in sys.argv[1:] if u.find_spec(m) is None]))";
  return JSON.parse(execFileSync(python(), ["-I", "-c", code, ...modules], { encoding: "utf8" }));
}

/** Reasons by program, of those that cannot run here. */
export function missingPrograms(programs) {
  const absent = new Set(
    missingModules([...new Set(Object.values(programs).flatMap((p) => p.modules ?? []))]),
  );
  return Object.fromEntries(
    Object.entries(programs).flatMap(([name, { npm = [], modules = [], lacks }]) => {
      const lost = [...npm.filter((p) => !hasPackage(p)), ...modules.filter((m) => absent.has(m))];
      const reason = lost.length > 0 ? `${lost.join(", ")} not installed: scripts/setup --bench` : lacks?.();
      return reason === undefined ? [] : [[name, reason]];
    }),
  );
}

/** A reason why a Python environment of its own is not there. */
export const lacksFile = (path, hint) => () => (existsSync(path) ? undefined : hint);
