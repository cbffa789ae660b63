// SPDX-License-Identifier: MIT
// What this node's memory can do: caches and DRAM, one core and all, and what new shared memory costs.

import { native } from "../../native.js";
import {
  coresName,
  type Measurement,
  node,
  oneAndAll,
  type Question,
  type Setting,
  scaling,
} from "../question.js";

const pageBytes = 4096;

function workingSets({ l2, l3, beyondCaches, cores }: Setting) {
  return [
    // Half a cache, so that what else runs does not push it out.
    { name: "L2", bytes: () => l2 / 2 },
    { name: "L3", bytes: (threads: number) => Math.max(l2 * 2, l3 / 2 / (threads === 1 ? 2 : cores)) },
    { name: "DRAM", bytes: (threads: number) => beyondCaches / threads },
  ];
}

const accesses = [
  { access: "read", name: "read" },
  { access: "copy", name: "copy" },
  { access: "stream-copy", name: "non-temporal copy" },
] as const;

export const memory: Question = {
  name: "memory",
  title: "memory and caches: read, copy, non-temporal copy; new shared memory",
  how: "Each thread works on memory of its own that fits half of an L2, half of its part of the L3, or no cache. Copying counts the bytes copied once; STREAM counts them twice. A fresh slot is a new shared-memory object that is made, filled and dropped; a warm slot is filled again and again, as a pool's slots are.",
  measurements(setting) {
    const out: Measurement[] = [];
    for (const { access, name } of accesses) {
      if (access === "stream-copy" && !native().bench.hasStreamCopy) continue;
      for (const set of workingSets(setting)) {
        // Stores that bypass the caches say nothing about them.
        if (access === "stream-copy" && set.name !== "DRAM") continue;
        for (const threads of oneAndAll(setting)) {
          const what = `${name}, ${set.name}`;
          const bytes = Math.max(pageBytes, Math.floor(set.bytes(threads) / pageBytes) * pageBytes);
          out.push({
            case: `${what}, ${coresName(threads)}`,
            subject: node,
            unit: "GB/s",
            ...scaling(what, node, threads),
            measure: async () => (await native().bench.memory(access, bytes, threads, setting.seconds)) / 1e9,
          });
        }
      }
    }
    for (const threads of oneAndAll(setting)) {
      const bytes = Math.floor(Math.min(32 * 2 ** 20, setting.sharedBytes / threads) / pageBytes) * pageBytes;
      if (bytes < pageBytes) continue;
      const cores = coresName(threads);
      const of = (access: "fresh-shared" | "warm-shared") => async () =>
        (await native().bench.memory(access, bytes, threads, setting.seconds)) / 1e9;
      out.push({
        case: `fill a fresh slot, ${cores}`,
        subject: node,
        unit: "GB/s",
        limit: { case: `fill a warm slot, ${cores}`, subject: node, name: "a warm slot" },
        measure: of("fresh-shared"),
      });
      out.push({
        case: `fill a warm slot, ${cores}`,
        subject: node,
        unit: "GB/s",
        ...scaling("fill a warm slot", node, threads),
        measure: of("warm-shared"),
      });
    }
    return out;
  },
};
