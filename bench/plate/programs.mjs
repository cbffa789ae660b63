// SPDX-License-Identifier: MIT
// The programs of the plate benchmark: how each is started over a plate, what it says of itself, where its results lie.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, tilecastProgram } from "../harness/machine.mjs";
import { pythonArguments, script } from "./plates.mjs";

const pipeline = fileURLToPath(new URL("pipeline.mjs", import.meta.url));

/** compare.py knows its own column names; these are ours for them. */
const columns = [
  "t=timepoint",
  ...["raw", "corr"].flatMap((image) => [
    `sum_${image}=integrated_intensity_${image}`,
    `mean_${image}=mean_intensity_${image}`,
    `max_${image}=max_intensity_${image}`,
  ]),
].join(",");

/** Numba keeps its machine code here, not in the source tree. */
const pythonEnvironment = () => ({ NUMBA_CACHE_DIR: join(cacheFolder(), "numba") });

const peer = (file, modules, ...options) => ({
  modules,
  limit: "limits",
  command: (plate, out) => script(file, ...pythonArguments(plate), "--out", out, ...options),
  env: pythonEnvironment,
  told: (said) => ({
    runS: said.run_s,
    megapixels: said.Mpx_in,
    objects: said.objects,
    outputMb: said.out_MB,
    timings: said.phases,
  }),
  results: (out) => ["--zarr", join(out, "plate.zarr"), "--csv", join(out, "objects.csv")],
});

const naive = ["tifffile", "skimage", "pandas", "ome_zarr", "zarr"];

/** All programs by name, for so many threads or processes. The number is in the case; subjects are the same on every machine. */
export function programs(threads) {
  const n = String(threads);
  return {
    tilecast: {
      title: "tilecast",
      limit: "limits",
      command: (plate, out) => [
        process.execPath,
        tilecastProgram(),
        "run",
        plate.folder,
        ...["-p", pipeline, "-o", out, "--levels", "1", "--threads", n, "--json", "--quiet"],
        ...(plate.subset.length > 0 ? ["--wells", plate.wells.join(",")] : []),
      ],
      env: (plate) => ({
        BENCH_ILLUMINATION: plate.illuminationTiff,
        BENCH_BACKGROUND: String(plate.background),
      }),
      told: (said) => ({
        runS: said.seconds,
        megapixels: said.megapixels,
        objects: said.objects,
        outputMb: said.megabytesWritten,
        timings: said.timings,
      }),
      results: (out) => [
        ...["--zarr", join(out, "plate.ome.zarr"), "--csv", join(out, "measurements.csv")],
        ...["--map", columns],
      ],
    },
    tuned: {
      title: "Python tuned",
      ...peer("base_tuned.py", ["cv2", "numba", "imagecodecs"], "--writer", "raw", "--shard", "--workers", n),
    },
    ...(threads > 1
      ? {
          "naive-n": {
            title: "Python naive, a process a core",
            ...peer("base_naive.py", naive, "--workers", n),
          },
        }
      : {}),
    "naive-1": { title: "Python naive, 1 process", ...peer("base_naive.py", naive, "--workers", "1") },
    // Run by the benchmark itself: it needs what tilecast has written.
    limits: { title: "limit: read and write the files" },
  };
}
