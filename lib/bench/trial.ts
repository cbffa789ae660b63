// SPDX-License-Identifier: MIT
// The program of one trial: all measurements of one question, in the order that it is told, in a process of its own.

import type { Setting } from "./question.js";
import { questions } from "./questions/index.js";

/** The last argument, as JSON. */
export interface TrialTask {
  readonly question: string;
  readonly setting: Setting;
  /** Numbers of the question's measurements. */
  readonly order: readonly number[];
}

/** The last line of output. */
export interface TrialAnswer {
  readonly results: readonly {
    readonly measurement: number;
    readonly value?: number;
    readonly error?: string;
  }[];
  readonly cpuSeconds: number;
}

async function main({ question: name, setting, order }: TrialTask): Promise<TrialAnswer> {
  const question = questions.find((q) => q.name === name);
  if (question === undefined) throw new Error(`no question "${name}"`);
  const measurements = question.measurements(setting);
  const results: { measurement: number; value?: number; error?: string }[] = [];
  for (const measurement of order) {
    try {
      const value = await measurements[measurement]?.measure();
      if (value === undefined || !Number.isFinite(value)) throw new Error("it gave no figure");
      results.push({ measurement, value });
    } catch (error) {
      results.push({ measurement, error: (error as Error).message });
    }
  }
  const { user, system } = process.cpuUsage();
  return { results, cpuSeconds: (user + system) / 1e6 };
}

process.stdout.write(
  `${JSON.stringify(await main(JSON.parse(process.argv.at(-1) as string) as TrialTask))}\n`,
);
