// SPDX-License-Identifier: MIT
// How fast planes become OME-Zarr shards, beside writing as many bytes.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { native } from "../../native.js";
import { type Compression, defaultLevel } from "../../stores/ome-zarr.js";
import { coresName, limit, type Measurement, oneAndAll, type Question, us } from "../question.js";

const compressions: readonly Compression[] = ["none", "blosc-lz4", "blosc-zstd", "zstd"];

export const zarrWrite: Question = {
  name: "zarr-write",
  title: "planes to OME-Zarr shards: none, blosc-lz4, blosc-zstd, zstd",
  how: "A generated uint16 image with a camera's noise in chunks of 512 px, one shard file a plane, into the measured folder's page cache. MB/s of pixels. The limit is writing files of the same size as the shards, given in MB/s of pixels too.",
  async prepare(setting) {
    const sizes: Record<string, number> = {};
    const folder = join(setting.folder, "zarr-size");
    for (const compression of compressions)
      sizes[compression] = await native().bench.zarrBytes(
        folder,
        setting.side,
        compression,
        defaultLevel(compression),
      );
    rmSync(folder, { recursive: true, force: true });
    return sizes;
  },
  measurements(setting) {
    const b = native().bench;
    const out: Measurement[] = [];
    const bound = "writing as many bytes";
    for (const compression of compressions) {
      const stored = Number(setting.prepared["zarr-write"]?.[compression] ?? 0);
      for (const threads of oneAndAll(setting)) {
        const name = `${compression}, ${coresName(threads)}`;
        out.push({
          case: name,
          subject: us,
          unit: "MB/s",
          limit: { case: name, subject: limit(bound), name: bound },
          measure: async () => {
            const folder = join(setting.folder, `zarr-${process.pid}`);
            const { side, mostBytes, seconds } = setting;
            const level = defaultLevel(compression);
            try {
              return (
                (2 * (await b.writeZarr(folder, side, compression, level, mostBytes, threads, seconds))) / 1e6
              );
            } finally {
              rmSync(folder, { recursive: true, force: true });
            }
          },
        });
        out.push({
          case: name,
          subject: limit(bound),
          unit: "MB/s",
          measure: async () =>
            ((await b.writeFiles(
              setting.folder,
              stored,
              false,
              setting.mostBytes,
              threads,
              setting.seconds,
            )) *
              2 *
              setting.side ** 2) /
            1e6,
        });
      }
    }
    return out;
  },
};
