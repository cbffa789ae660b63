// SPDX-License-Identifier: MIT
// Runs every test (npm test): the oracles' data, the C++ tests plain and under sanitizers, a short fuzzing, vitest; ends with one line of sums.
//
//   node scripts/test.mjs [--only native|asan|tsan|tsan-gpu|fuzz|vitest]... [-t PATTERN]
//
// `-t` narrows vitest by a regular expression over test names, and the C++ tests by the same text as a part of their names.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildFuzzers, fuzz, NoClang, plantSeeds, targets } from "./fuzz.mjs";
import { mustSucceed, run, StageError, Tally, vitest } from "./stages.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

const { values } = parseArgs({
  options: { only: { type: "string", multiple: true }, testNamePattern: { type: "string", short: "t" } },
});
const pattern = values.testNamePattern;
const known = ["native", "asan", "tsan", "tsan-gpu", "fuzz", "vitest"];
const strangers = (values.only ?? []).filter((name) => !known.includes(name));
if (strangers.length) {
  console.error(`test: --only takes ${known.join(", ")}; got ${strangers.join(", ")}`);
  process.exit(2);
}
const wanted = (name) => values.only === undefined || values.only.includes(name);

// ------------------------------------------------------------------------------------------------------------- oracles

const venvPython = join(root, ".venv/bin/python");
const python = process.env.TILECAST_PYTHON ?? (existsSync(venvPython) ? venvPython : undefined);

/** Each script writes a folder of inputs and of the answers that independent programs give; made again when the script changes. */
const oracles = [
  { script: "scripts/make-ops-oracle.py", folder: "build/oracle/ops", variable: "TILECAST_OPS_ORACLE" },
  { script: "scripts/make-tiff-corpus.py", folder: "build/oracle/tiff", variable: "TILECAST_TIFF_CORPUS" },
];

async function makeOracle({ script, folder }) {
  if (python === undefined) throw new StageError("no .venv: run scripts/setup, or set TILECAST_PYTHON");
  const hash = createHash("sha256");
  for (const file of [script, "scripts/requirements-test.txt"]) hash.update(readFileSync(file));
  const stamp = `${hash.digest("hex")}\n`;
  const stampFile = join(folder, ".stamp");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  console.log(`making ${folder} with ${script} ...`);
  // Written beside and renamed, so that an interrupted run never looks complete.
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  mustSucceed(script, await run(python, [script, fresh]));
  writeFileSync(join(fresh, ".stamp"), stamp);
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
}

const testEnv = { ...(python && { TILECAST_PYTHON: python }) };

// ----------------------------------------------------------------------------------------------------------- C++ tests

const builds = {
  native: { folder: "build/plain", sanitize: "", filter: [] },
  // Parity with the GPU is left out: it is thousands of kernels that a software adapter compiles, whose code no sanitizer sees.
  asan: { folder: "build/asan", sanitize: "address,undefined", filter: ["-tce=gpu: every op gives*"] },
  // Races can only be in what has threads; the rest would be 10 times slower for nothing.
  tsan: {
    folder: "build/tsan",
    sanitize: "thread",
    filter: ["-sf=*pool_*_test.cc,*exec*_test.cc,*thread*_test.cc"],
  },
  // A process of its own: the software adapter leaves threads behind, beside which ThreadSanitizer cannot fork, as the pool's tests do.
  "tsan-gpu": { folder: "build/tsan", sanitize: "thread", filter: ["-sf=*gpu_engine_test.cc"] },
};
const sanitizerEnv = {
  // No stack-use-after-return: with it, gcc before 12.4 misaligns AVX-512 variables on the stack and the program crashes (gcc PR 110027).
  ASAN_OPTIONS: "abort_on_error=0:detect_leaks=1:detect_stack_use_after_return=0:strict_string_checks=1",
  UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
  // The pool's tests fork children that make threads of their own.
  TSAN_OPTIONS: `halt_on_error=1:second_deadlock_stack=1:die_after_fork=0:suppressions=${join(root, "native/tests/tsan.supp")}`,
};

async function nativeTests({ folder, sanitize, filter }) {
  const cache = join(folder, "CMakeCache.txt");
  // A moved clone: CMake's cache keeps absolute paths.
  if (
    existsSync(cache) &&
    !readFileSync(cache, "utf8").includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${join(root, "native")}\n`)
  ) {
    rmSync(folder, { recursive: true });
  }
  if (!existsSync(join(folder, "build.ninja"))) {
    const options = [
      "-DTILECAST_TESTS=ON",
      "-DTILECAST_ADDON=OFF",
      "-DCMAKE_BUILD_TYPE=Release",
      `-DTILECAST_SANITIZE=${sanitize}`,
    ];
    mustSucceed("cmake", await run("cmake", ["-S", "native", "-B", folder, "-G", "Ninja", ...options]));
  }
  mustSucceed("build", await run("cmake", ["--build", folder, "-j", String(availableParallelism())]));

  const program = join(root, folder, "tilecast_tests");
  const args = [...filter, "--no-colors", ...(pattern ? [`-tc=*${pattern.replaceAll(",", "\\,")}*`] : [])];
  let notes = "";
  let result = await run(program, args, { env: { ...testEnv, ...sanitizerEnv } });
  if (result.output.includes("LeakSanitizer has encountered a fatal error")) {
    notes = "leak detection is off: this system does not let LeakSanitizer stop the process (ptrace)";
    const env = {
      ...testEnv,
      ...sanitizerEnv,
      ASAN_OPTIONS: sanitizerEnv.ASAN_OPTIONS.replace("detect_leaks=1", "detect_leaks=0"),
    };
    result = await run(program, args, { env });
  } else if (result.output.includes("ThreadSanitizer: unexpected memory mapping")) {
    // Kernels with more than 28 bits of address-space randomisation, and a gcc older than 14.
    notes = "ran without address-space randomisation, which this ThreadSanitizer cannot take";
    result = await run("setarch", ["-R", program, ...args], { env: { ...testEnv, ...sanitizerEnv } });
  }

  const sums = /^\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped/m.exec(
    result.output,
  );
  if (!sums)
    throw new StageError(
      `the test program ended without a summary: ${result.ended}\n${result.output.slice(-6000)}`,
    );
  const passed = Number(sums[1]);
  let failed = Number(sums[2]);
  // What a filter leaves out is counted as skipped too, and so is what a crash kept from running; else nothing may be.
  const crashed = result.output.includes("test case CRASHED");
  if (crashed) notes += `a crash kept ${sums[3]} C++ test cases from running\n`;
  const skipped = filter.length || pattern || crashed ? 0 : Number(sums[3]);
  if (skipped) {
    failed += skipped;
    notes += `${skipped} C++ test cases are marked skip(); they count as failed\n`;
  }
  // A sanitizer's finding at exit (a leak) comes after the summary.
  if (result.status !== 0 && failed === 0) {
    failed = 1;
    notes += `ended with ${result.ended}\n`;
  }
  return { passed, failed, detail: failed ? `${notes}${result.output.slice(0, 20_000)}` : notes };
}

// ------------------------------------------------------------------------------------------------------------- fuzzing

/** About 20 s on two cores: enough to run every seed and to notice what is broken at once. Longer: scripts/fuzz.mjs. */
async function shortFuzzing() {
  try {
    await buildFuzzers();
  } catch (error) {
    if (!(error instanceof NoClang) || process.env.CI) throw error;
    return { skipped: [{ name: "fuzz targets", reason: error.message }] };
  }
  await plantSeeds(python, testEnv.TILECAST_TIFF_CORPUS);
  const left = [...targets];
  const sum = { passed: 0, failed: 0, detail: "" };
  const worker = async () => {
    for (let target = left.shift(); target !== undefined; target = left.shift()) {
      const { passed = 0, failed = 0, detail } = await fuzz(target, 4, { fixedSeed: true });
      sum.passed += passed;
      sum.failed += failed;
      if (detail && !sum.detail.includes(detail)) sum.detail += `${detail}\n`;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return sum;
}

// ------------------------------------------------------------------------------------------------------------------ run

mkdirSync("build", { recursive: true });
const tally = new Tally();
for (const oracle of oracles) {
  try {
    await makeOracle(oracle);
    testEnv[oracle.variable] = join(root, oracle.folder);
  } catch (error) {
    tally.add(oracle.script, { failed: 1, detail: error.message });
  }
}
const labels = {
  native: "C++ tests",
  asan: "C++ tests, ASan + UBSan",
  tsan: "C++ tests, TSan",
  "tsan-gpu": "C++ tests of the GPU, TSan",
};
for (const [name, build] of Object.entries(builds)) {
  if (wanted(name)) await tally.stage(labels[name], () => nativeTests(build));
}
if (wanted("fuzz") && !pattern) await tally.stage("fuzzing", shortFuzzing);
if (wanted("vitest")) await tally.stage("vitest", () => vitest("unit", { env: testEnv, pattern }));
process.exitCode = tally.close();
