// SPDX-License-Identifier: MIT
// Fuzzes what reads other people's bytes: builds native/fuzz with clang and runs its targets from seeds of independent encoders.
//
//   node scripts/fuzz.mjs [TARGET...] [--seconds N]      N for each target, default 60; without TARGET all of them
//
// What is found is kept in build/fuzz/findings and named; `build/fuzz/TARGET_fuzz FILE` shows it again. The corpus grows from run to run in
// build/fuzz/corpus. npm test does a short run from a fixed seed (scripts/test.mjs).

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mustSucceed, run, StageError, Tally } from "./stages.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = "build/fuzz";

export const targets = readdirSync(join(root, "native/fuzz"))
  .filter((file) => file.endsWith("_fuzz.cc"))
  .map((file) => file.slice(0, -"_fuzz.cc".length));

/** Files beyond this make an execution slow and mutate no better. */
const longest = (target) => (target === "tiff" ? 16_384 : 8192);

/** There is nothing to compile fuzz targets with. */
export class NoClang extends StageError {}

/** A clang++ that has libFuzzer: the one that scripts/setup installs, else any other. */
function clang() {
  // Its runtime lies in a folder by architecture up to some version, by target triple after.
  const runtimes = ["libclang_rt.fuzzer.a", "libclang_rt.fuzzer-x86_64.a", "libclang_rt.fuzzer-aarch64.a"];
  for (const suffix of ["-19", "-21", "-20", "-18", "-17", "-16", "-15", ""]) {
    for (const runtime of runtimes) {
      const asked = spawnSync(`clang++${suffix}`, [`--print-file-name=${runtime}`], { encoding: "utf8" });
      // It answers with the bare name when it has no such file.
      if (asked.status === 0 && asked.stdout.startsWith("/"))
        return { cc: `clang${suffix}`, cxx: `clang++${suffix}` };
    }
  }
  throw new NoClang("no clang with libFuzzer: scripts/setup installs clang-19 and libclang-rt-19-dev");
}

/** Compiles every target. */
export async function buildFuzzers() {
  const cache = join(folder, "CMakeCache.txt");
  // A moved clone: CMake's cache keeps absolute paths.
  if (
    existsSync(cache) &&
    !readFileSync(cache, "utf8").includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${join(root, "native")}\n`)
  ) {
    rmSync(cache);
    rmSync(join(folder, "CMakeFiles"), { recursive: true, force: true });
  }
  if (!existsSync(cache) || !existsSync(join(folder, "build.ninja"))) {
    const { cc, cxx } = clang();
    const options = ["-DTILECAST_FUZZ=ON", "-DTILECAST_ADDON=OFF", "-DCMAKE_BUILD_TYPE=Release"];
    mustSucceed(
      "cmake",
      await run("cmake", ["-S", "native", "-B", folder, "-G", "Ninja", ...options], {
        env: { CC: cc, CXX: cxx },
      }),
    );
  }
  const jobs = String(availableParallelism());
  mustSucceed("build", await run("cmake", ["--build", folder, "--target", "fuzz", "-j", jobs]));
}

/** Copies the small files of `from` into the target's corpus. */
function plant(target, from) {
  const corpus = join(folder, "corpus", target);
  mkdirSync(corpus, { recursive: true });
  if (!existsSync(from)) return;
  for (const name of readdirSync(from)) {
    const file = join(from, name);
    const to = join(corpus, name);
    if (target === "tiff" && !name.endsWith(".tif")) continue;
    if (!existsSync(to) && statSync(file).size <= longest(target)) copyFileSync(file, to);
  }
}

/** Makes the corpora: the TIFF oracle's files where they are, and what the encoders of `python` write. */
export async function plantSeeds(python, tiffCorpus) {
  const seeds = join(folder, "seeds");
  if (python !== undefined && !existsSync(seeds)) {
    mustSucceed("make-fuzz-seeds.py", await run(python, ["scripts/make-fuzz-seeds.py", `${seeds}.new`]));
    mustSucceed("mv", await run("mv", [`${seeds}.new`, seeds]));
  }
  for (const target of targets) plant(target, join(seeds, target));
  if (tiffCorpus !== undefined) plant("tiff", tiffCorpus);
}

/** Runs one target; the result as a stage of {@link Tally}. */
export async function fuzz(target, seconds, { fixedSeed = false } = {}) {
  const findings = join(folder, "findings");
  mkdirSync(findings, { recursive: true });
  const corpus = join(folder, "corpus", target);
  mkdirSync(corpus, { recursive: true });
  const args = [
    corpus,
    `-max_total_time=${seconds}`,
    `-max_len=${longest(target)}`,
    "-timeout=60", // "hangs", never "slow"
    "-rss_limit_mb=2048",
    "-malloc_limit_mb=1024",
    "-print_final_stats=1",
    `-artifact_prefix=${findings}/${target}-`,
    ...(fixedSeed ? ["-seed=1"] : []),
  ];
  const program = join(root, folder, `${target}_fuzz`);
  let result = await run(program, args);
  let notes = "";
  if (result.output.includes("LeakSanitizer has encountered a fatal error")) {
    notes = "leak detection is off: this system does not let LeakSanitizer stop the process (ptrace)";
    const env = { ASAN_OPTIONS: "detect_leaks=0" };
    result = await run(program, [...args, "-detect_leaks=0"], { env });
  }
  if (result.status !== 0) {
    const end = result.output.split("\n").filter((line) => !/^#\d+\s/.test(line));
    return { failed: 1, detail: `${target}: ${result.ended}\n${end.slice(-70).join("\n")}` };
  }
  const executed = Number(/stat::number_of_executed_units:\s*(\d+)/.exec(result.output)?.[1] ?? 0);
  if (executed === 0) return { failed: 1, detail: `${target}: nothing was executed\n${result.output}` };
  return { passed: 1, executed, detail: notes };
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: "string", default: "60" } },
  });
  const seconds = Number(values.seconds);
  const strangers = positionals.filter((name) => !targets.includes(name));
  if (strangers.length > 0 || !Number.isSafeInteger(seconds) || seconds < 1) {
    console.error(
      `fuzz: takes ${targets.join(", ")} and --seconds N; got ${process.argv.slice(2).join(" ")}`,
    );
    return 2;
  }
  process.chdir(root);
  const venvPython = join(root, ".venv/bin/python");
  const python = process.env.TILECAST_PYTHON ?? (existsSync(venvPython) ? venvPython : undefined);
  const tally = new Tally();
  try {
    await buildFuzzers();
    await plantSeeds(python, process.env.TILECAST_TIFF_CORPUS ?? "build/oracle/tiff");
  } catch (error) {
    console.error(`fuzz: ${error.message}`);
    return 1;
  }
  for (const target of positionals.length > 0 ? positionals : targets) {
    await tally.stage(target, async () => {
      const result = await fuzz(target, seconds);
      const sum = result.executed === undefined ? "" : `${result.executed.toLocaleString("en")} executions`;
      return { ...result, detail: [sum, result.detail].filter(Boolean).join("\n") };
    });
  }
  return tally.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main();
