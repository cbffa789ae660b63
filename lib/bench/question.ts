// SPDX-License-Identifier: MIT
// What a question of `tilecast bench` is made of: measurements by case and subject, and what must be there before them.

import { limitPrefix, type Series } from "./result.js";

/** What all measurements of one run share; plain data, handed to each trial's process. */
export interface Setting {
  /** Every core that may be used. */
  readonly cores: number;
  /** Time for one measurement. */
  readonly seconds: number;
  /** Edge of the test images in px. */
  readonly side: number;
  /** An empty folder on the file system that is measured. */
  readonly folder: string;
  /** Most bytes to have on that file system at once. */
  readonly mostBytes: number;
  /** Of one core's L2, and of all L3 caches together; bytes. */
  readonly l2: number;
  readonly l3: number;
  /** Working set that no cache holds, of all threads together; bytes. */
  readonly beyondCaches: number;
  /** Shared memory that a measurement may take, bytes. */
  readonly sharedBytes: number;
  /** What `prepare` found out, by question. */
  readonly prepared: Readonly<Record<string, Readonly<Record<string, number | string>>>>;
}

export interface Measurement {
  readonly case: string;
  readonly subject: string;
  readonly unit: string;
  /** Of times. Default: a rate. */
  readonly lowerIsBetter?: boolean;
  readonly limit?: NonNullable<Series["limit"]>;
  /** The same figure in another unit, as a row of its own. */
  readonly also?: { readonly case: string; readonly unit: string; readonly factor: number };
  measure(): Promise<number>;
}

/** Makes a small plate in a folder; gives the folder to open. */
export type MakePlate = (folder: string) => Promise<{ readonly root: string; readonly planes: number }>;

export interface Question {
  readonly name: string;
  /** A line of help. */
  readonly title: string;
  /** How it is measured, for the page. */
  readonly how: string;
  prepare?(setting: Setting, makePlate: MakePlate): Promise<Readonly<Record<string, number | string>>>;
  measurements(setting: Setting): readonly Measurement[];
}

export const us = "tilecast";
export const node = "this node";
export const limit = (what: string) => `${limitPrefix}${what}`;

/** "1 core", "16 cores". */
export const coresName = (threads: number) => `${threads} ${threads === 1 ? "core" : "cores"}`;

/** One core, and all of them. */
export const oneAndAll = ({ cores }: Setting): readonly number[] => (cores === 1 ? [1] : [1, cores]);

/** 1, 2, 4, ... and all. */
export function doubling({ cores }: Setting): readonly number[] {
  const out: number[] = [];
  for (let n = 1; n < cores; n *= 2) out.push(n);
  return [...out, cores];
}

/** The limit of several cores where nothing else is known: each as fast as one alone. */
export function scaling(
  name: string,
  subject: string,
  threads: number,
): { readonly limit?: NonNullable<Series["limit"]> } {
  if (threads === 1) return {};
  return {
    limit: {
      case: `${name}, ${coresName(1)}`,
      subject,
      name: `${threads} x one core`,
      factor: threads,
    },
  };
}
