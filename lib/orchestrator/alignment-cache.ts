// SPDX-License-Identifier: MIT
// Keeps what was found of how images lie between runs, in DIR/.tilecast/alignments.json, and writes positions.csv.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plate } from "../plates/plate.js";
import { version } from "../version.js";
import type { Alignment, Alignments } from "./alignment.js";
import type { AlignGroup, AlignPhase } from "./compile-align.js";
import type { Pipeline } from "./pipeline.js";
import { replaceFile } from "./replace-file.js";
import type { Place } from "./stream.js";

interface Entry {
  readonly digest: string;
  readonly alignment: Alignment;
}

/** Digest of what a group's places depend on: the steps so far, the files, what was found before. */
export function alignmentDigest(
  pipeline: Pipeline,
  place: Place,
  phase: AlignPhase,
  group: AlignGroup,
  before: Alignments,
): string {
  const file = (p: AlignGroup["planes"][number]) => [p.path, p.page, p.sample, p.bytes, p.mtimeMs];
  const estimates = phase.resources.flatMap((r): unknown[] =>
    r.kind === "estimate" ? r.jobs.flatMap((j) => j.sources.map(file)) : r.kind === "aligner" ? [] : [r],
  );
  const earlier = [...before].filter(([, a]) => a.well === group.well);
  const facts = [
    version,
    pipeline.steps.slice(0, place.stepIndex + 1),
    pipeline.planes,
    place,
    group.expected,
    estimates,
    group.planes.map(file),
    earlier,
  ];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 32);
}

export class AlignmentCache {
  readonly #file: string;
  readonly #entries = new Map<string, Entry>();

  /** Of a folder of results; `keep` what an earlier run left there. A file that cannot be read is as good as none. */
  constructor(out: string, keep: boolean) {
    this.#file = join(out, ".tilecast", "alignments.json");
    if (!keep) return;
    try {
      const entries = JSON.parse(readFileSync(this.#file, "utf8")) as [string, Entry][];
      for (const [key, entry] of entries) this.#entries.set(key, entry);
    } catch {
      this.#entries.clear();
    }
  }

  find(key: string, digest: string): Alignment | undefined {
    const entry = this.#entries.get(key);
    return entry?.digest === digest ? entry.alignment : undefined;
  }

  add(key: string, digest: string, alignment: Alignment): void {
    this.#entries.set(key, { digest, alignment });
  }

  save(): void {
    mkdirSync(dirname(this.#file), { recursive: true });
    replaceFile(this.#file, [JSON.stringify([...this.#entries])]);
  }

  /** What was found in these wells, in the order of the wells, then of the steps. */
  of(wells: readonly string[]): Alignment[] {
    const order = new Map(wells.map((w, i) => [w, i]));
    const place = ([key, { alignment }]: [string, Entry]) => {
      const [step = 0, op = 0] = key.split("/").map(Number);
      return [order.get(alignment.well) ?? 0, step, op, alignment.site ?? 0, alignment.timepoint ?? 0];
    };
    return [...this.#entries]
      .filter(([, { alignment }]) => order.has(alignment.well))
      .map((entry) => ({ alignment: entry[1].alignment, at: place(entry) }))
      .sort((a, b) => {
        const i = a.at.findIndex((v, k) => v !== b.at[k]);
        return i < 0 ? 0 : (a.at[i] as number) - (b.at[i] as number);
      })
      .map(({ alignment }) => alignment);
  }
}

/** What a person should know of what was not found. */
export function alignmentRemarks(alignments: readonly Alignment[]): string[] {
  return (["stitch", "register"] as const).flatMap((op) => {
    const mine = alignments.filter((a) => a.op === op);
    const pairs = mine.flatMap((a) => a.pairs);
    const unused = pairs.filter((p) => p.state !== "used").length;
    const alone = mine.filter((a) => a.pairs.length === 0).length;
    return [
      ...(unused > 0
        ? [
            `${op}: ${unused} of ${pairs.length} pairs of images were not matched or contradict others (run.json, alignments); those images lie where the rest puts them.`,
          ]
        : []),
      ...(alone > 0
        ? [
            `${op}: in ${alone} of ${mine.length} groups no images overlap enough to be compared; they lie where they are expected.`,
          ]
        : []),
    ];
  });
}

const columns = [
  "plate",
  "well",
  "site",
  "timepoint",
  "channel",
  "step",
  "y",
  "x",
  "expected_y",
  "expected_x",
  "moved",
  "links",
  "group",
] as const;

/** One line an image: where it lies and was expected, px. What tells the images of a group apart is filled in, of the rest what the group has. */
export function positionsTable(plate: Plate, alignments: readonly Alignment[]): Iterable<string> {
  const cell = (v: unknown) => {
    const text = v === null || v === undefined ? "" : String(v);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = alignments.flatMap((a) =>
    a.images.map((i) => {
      const whose = { site: a.site, timepoint: a.timepoint, channel: null, [a.over]: i.member };
      // In a mosaic only differences mean something: an image's own, less those of all.
      const moved = Math.hypot(i.y - i.expected.y - meanOf(a, "y"), i.x - i.expected.x - meanOf(a, "x"));
      return [
        plate.name,
        a.well,
        whose.site,
        whose.timepoint,
        whose.channel,
        a.step,
        i.y,
        i.x,
        i.expected.y,
        i.expected.x,
        Math.round(moved * 1000) / 1000,
        i.links,
        i.group,
      ]
        .map(cell)
        .join(",");
    }),
  );
  return [`${[columns.join(","), ...lines].join("\n")}\n`];
}

function meanOf(a: Alignment, axis: "y" | "x"): number {
  if (a.op !== "stitch") return 0;
  return a.images.reduce((sum, i) => sum + i[axis] - i.expected[axis], 0) / a.images.length;
}
