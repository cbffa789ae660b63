// SPDX-License-Identifier: MIT
// How fast TIFF files become pixels, beside their codec alone.

import { join } from "node:path";
import { native } from "../../native.js";
import { coresName, limit, type Measurement, oneAndAll, type Question, us } from "../question.js";

const compressions = ["none", "deflate", "lzw", "zstd"] as const;

export const tiffRead: Question = {
  name: "tiff-read",
  title: "TIFF files to pixels: uncompressed, deflate, LZW, zstd",
  how: "A generated uint16 image with a camera's noise, in strips of 32 rows, with predictor 2 where it is compressed. From the path to pixels in memory, the file in the page cache. The limit is the codec alone on strips that are in memory, and for the uncompressed file pread of its bytes.",
  async prepare(setting) {
    const paths: Record<string, string> = {};
    for (const compression of compressions) {
      paths[compression] = join(setting.folder, `${compression}.tif`);
      await native().bench.writeTiff(paths[compression], compression, setting.side);
    }
    return paths;
  },
  measurements(setting) {
    const b = native().bench;
    const out: Measurement[] = [];
    for (const compression of compressions) {
      const path = String(setting.prepared["tiff-read"]?.[compression] ?? "");
      const bound = compression === "none" ? "reading the file" : "the codec alone";
      for (const threads of oneAndAll(setting)) {
        const name = `${compression}, ${coresName(threads)}`;
        out.push({
          case: name,
          subject: us,
          unit: "MB/s",
          limit: { case: name, subject: limit(bound), name: bound },
          measure: async () => (2 * (await b.readTiff(path, threads, setting.seconds))) / 1e6,
        });
        out.push({
          case: name,
          subject: limit(bound),
          unit: "MB/s",
          measure: async () =>
            compression === "none"
              ? (await b.readFile(path, 2 ** 20, threads, setting.seconds)) / 1e6
              : (2 * (await b.decodeTiff(path, threads, setting.seconds))) / 1e6,
        });
      }
    }
    return out;
  },
};
