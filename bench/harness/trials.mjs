// SPDX-License-Identifier: MIT
// The rounds of a question: every turn once a round, in a shuffled order, each as a trial that may fail without ending the others.

import { seededRandom, shuffled } from "../../dist/bench/shuffle.js";
import { ProgramError } from "./launch.mjs";
import { quiet } from "./machine.mjs";

/**
 * `turns`: `{ program, cases, ... }`, a program and the names of the cases that it answers in one trial. `once(turn, random)` runs the trial and gives
 * `figures`, a value for each of the turn's cases, or `{ error }`, and whatever else is to be kept. A turn that has failed is not tried again: its rows
 * say why, and waiting for it to hang once more would tell nothing.
 */
export async function runRounds({ options, turns, titleOf, once, say }) {
  const random = seededRandom(options.seed);
  const trials = [];
  const failed = new Set();
  for (let round = 1; round <= options.rounds; round++) {
    for (const turn of shuffled(turns, random)) {
      if (failed.has(turn)) continue;
      const busyBefore = await quiet(options["max-wait"]);
      const { cases, ...about } = turn;
      const name = `round ${round} of ${options.rounds}, ${titleOf(turn)}`;
      let outcome;
      try {
        outcome = await once(turn, random);
        say(name);
      } catch (error) {
        if (!(error instanceof ProgramError)) throw error;
        failed.add(turn);
        say(`${name}: ${error.message}`);
        outcome = {
          figures: Object.fromEntries(cases.map((c) => [c, { error: error.message }])),
          output: error.output,
        };
      }
      trials.push({ round, ...about, busyBefore, ...outcome });
    }
  }
  return trials;
}
