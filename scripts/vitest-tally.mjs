// SPDX-License-Identifier: MIT
// A vitest reporter that writes counts, skips with their reasons, and whatever else went wrong, as JSON to the file named by TILECAST_TALLY.

import { writeFileSync } from "node:fs";

export default class Tally {
  onTestRunEnd(modules, unhandledErrors) {
    const tally = { passed: 0, failed: 0, skipped: [], broken: [] };
    for (const module of modules) {
      // A file that cannot be imported, or whose suite-level hook throws, has errors of its own; its tests then never ran.
      const suites = [module, ...module.children.allSuites()];
      for (const suite of suites) {
        for (const error of suite.errors()) {
          tally.broken.push(`${module.relativeModuleId}: ${String(error.message).split("\n")[0]}`);
        }
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        const name = `${module.relativeModuleId} > ${test.fullName}`;
        if (result.state === "passed") tally.passed++;
        else if (result.state === "failed") tally.failed++;
        else if (result.state === "pending") tally.broken.push(`${name}: did not finish`);
        else tally.skipped.push({ name, reason: result.note ?? "" });
      }
    }
    for (const error of unhandledErrors)
      tally.broken.push(`unhandled: ${String(error.message).split("\n")[0]}`);
    writeFileSync(process.env.TILECAST_TALLY, JSON.stringify(tally));
  }
}
