// SPDX-License-Identifier: MIT
// The benchmarks' C++ programs: built out of the clone's sources, where those are newer.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { output } from "./launch.mjs";
import { root } from "./machine.mjs";

const build = join(root, "build", "bench");

/** Where a target of native/CMakeLists.txt (TILECAST_BENCH) ends up. */
export const nativeProgram = (target) => join(build, target);

/** Builds it; minutes, the first time. Throws ProgramError with the compiler's words. */
export async function buildNativeProgram(target, say) {
  say("building the C++ part ...");
  const options = ["-DTILECAST_ADDON=OFF", "-DTILECAST_BENCH=ON"];
  if (!existsSync(join(build, "build.ninja")))
    await output("cmake", ["-S", join(root, "native"), "-B", build, "-G", "Ninja", ...options]);
  await output("cmake", ["--build", build, "--target", target]);
}
