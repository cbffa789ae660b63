// SPDX-License-Identifier: MIT
// How the TypeScript tests run: `unit` is everything that npm test runs, `package` packs and installs the real tarball (.ci/run).

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // A process per test file: a crash of the addon is one failed file, with threads it would end the whole run without a summary.
    pool: "forks",
    // Deadlines say "hangs", never "slow": a loaded two-core machine must not fail a test.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: "unit", include: ["test/**/*.test.ts"], exclude: ["test/package/**"] } },
      {
        extends: true,
        test: {
          name: "package",
          include: ["test/package/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
