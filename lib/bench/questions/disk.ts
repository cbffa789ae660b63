// SPDX-License-Identifier: MIT
// What the measured folder's file system can do: reading from the page cache, writing, making files.

import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { native } from "../../native.js";
import { coresName, limit, type Measurement, node, oneAndAll, type Question, scaling } from "../question.js";

const block = 2 ** 20;
const bytes = 8 * block;

export const disk: Question = {
  name: "disk",
  title: "the folder's file system: reading from the page cache, writing, making files",
  how: "pread of an 8 MiB file that is in the page cache, 1 MiB a call into one reused buffer; files of 8 MiB written into the page cache, or with fsync to the device; empty files made, each under a new name. Copying memory moves 8 MiB a time, as the reads and writes do.",
  async prepare(setting) {
    const path = join(setting.folder, "read.bin");
    // Bytes that no file system compresses.
    writeFileSync(path, randomFillSync(Buffer.alloc(bytes)));
    return { path };
  },
  measurements(setting) {
    const { path = "" } = setting.prepared.disk ?? {};
    const b = native().bench;
    const out: Measurement[] = [];
    for (const threads of oneAndAll(setting)) {
      const cores = coresName(threads);
      const copy = { subject: limit("copying memory"), name: "copying memory" };
      const write = (sync: boolean) => async () =>
        ((await b.writeFiles(setting.folder, bytes, sync, setting.mostBytes, threads, setting.seconds)) *
          bytes) /
        1e6;
      for (const name of ["read, page cache", "write, page cache"]) {
        out.push({
          case: `${name}, ${cores}`,
          subject: copy.subject,
          unit: "MB/s",
          measure: async () => (await b.memory("copy", 2 * bytes, threads, setting.seconds)) / 1e6,
        });
        out.push({
          case: `${name}, ${cores}`,
          subject: node,
          unit: "MB/s",
          limit: { ...copy, case: `${name}, ${cores}` },
          measure: name.startsWith("read")
            ? async () => (await b.readFile(String(path), block, threads, setting.seconds)) / 1e6
            : write(false),
        });
      }
      out.push({
        case: `write, to the device, ${cores}`,
        subject: node,
        unit: "MB/s",
        ...scaling("write, to the device", node, threads),
        measure: write(true),
      });
      out.push({
        case: `make empty files, ${cores}`,
        subject: node,
        unit: "files/s",
        ...scaling("make empty files", node, threads),
        measure: () => b.writeFiles(setting.folder, 0, false, 0, threads, setting.seconds),
      });
    }
    return out;
  },
};
