// SPDX-License-Identifier: MIT
// The streaming benchmark: images a second to viewers, by tilecast and by OpenHCS's own sender, and latencies. See README.md.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../../dist/bench/result.js";
import { shuffled } from "../../dist/bench/shuffle.js";
import { UsageError } from "../harness/args.mjs";
import { bench } from "../harness/bench.mjs";
import { runTrial } from "../harness/launch.mjs";
import { viewersPython } from "../harness/machine.mjs";
import { lacksFile } from "../harness/programs.mjs";
import { receivers, startDisplay, startReceiver } from "./receivers.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const inNode = (file) => (task) => [process.execPath, join(here, file), JSON.stringify(task)];
const sender = (title, command, more = {}) => ({ title, command, limit: "limit", ...more });

const programs = {
  tilecast: sender("tilecast", inNode("sender.mjs"), { npm: ["zeromq"] }),
  arrays: sender("tilecast, from arrays (one copy)", inNode("sender.mjs"), { npm: ["zeromq"] }),
  openhcs: sender(
    "OpenHCS's sender",
    (task) => [viewersPython(), join(here, "sender.py"), JSON.stringify(task)],
    {
      lacks: lacksFile(viewersPython(), "no Python with OpenHCS: scripts/setup, or TILECAST_VIEWERS_PYTHON"),
    },
  ),
  // To the null receiver only: it is about messages.
  limit: { title: "limit: the messages alone", command: inNode("limit.mjs"), npm: ["zeromq"] },
};

const caseOf = (receiver, { size, batch }) => `${receiver}, ${size} px, ${batch} a call`;

async function prepare({ options, folder }) {
  const names = options.receivers.split(",");
  const unknown = names.filter((n) => !(n in receivers));
  if (unknown.length > 0)
    throw new UsageError(`--receivers: no ${unknown.join(", ")} among ${Object.keys(receivers).join(", ")}`);
  const kinds = options.sizes.flatMap((size) => options.batches.map((batch) => ({ size, batch })));
  const { said: latency } = await runTrial(
    [process.execPath, join(here, "latency.mjs"), options.quick ? "200" : "2000"],
    { folder, timeLimitS: options["time-limit"] },
  );
  const context = { kinds, latency, receivers: names, folder, homes: 0 };
  if (names.every((name) => name === "null")) return context;
  // Without a display the trials with viewers fail, each with this reason.
  return startDisplay().then(
    (display) => ({ ...context, display }),
    (error) => ({ ...context, noDisplay: error.message }),
  );
}

await bench({
  name: "streaming",
  unit: "images/s",
  own: {
    receivers: {
      kind: "text",
      value: "LIST",
      fallback: "null,napari,tilecast-napari,tilecast-imagej",
      help: "null, napari (OpenHCS's own server), tilecast-napari, tilecast-imagej; all but null need Xvfb",
    },
    sizes: {
      kind: "integers",
      value: "LIST",
      least: 1,
      fallback: "512,1080,2160",
      help: "edge of the square u16 images",
    },
    batches: { kind: "integers", value: "LIST", least: 1, fallback: "1,8,64", help: "images a call" },
  },
  defaults: { rounds: 3, seconds: 2 },
  quick: { receivers: "null", sizes: "1080", batches: "1,8" },
  programs: () => programs,
  prepare,
  close: ({ display }) => display?.close(),
  turns: ({ context, programs: names }) =>
    context.receivers.flatMap((receiver) =>
      names
        .filter((program) => program !== "limit" || receiver === "null")
        // tilecast's own viewers get what OpenHCS's sender cannot give: memory that they may keep.
        .filter((program) => program === "tilecast" || !receiver.startsWith("tilecast-"))
        .map((program) => ({ program, receiver, cases: context.kinds.map((k) => caseOf(receiver, k)) })),
    ),
  labelOf: ({ receiver }) => `to ${receiver}`,
  async trial({ options, context, turn, program, random, run }) {
    const home = join(context.folder, `h${context.homes++}`);
    const server = await startReceiver(turn.receiver, home, context.display?.name);
    try {
      const cases = shuffled(context.kinds, random);
      const task = { port: server.port, program: turn.program, cases, seconds: options.seconds };
      const { said, cost } = await run(program.command(task), { env: server.env });
      const rates = said.map((r) => [caseOf(turn.receiver, r), r.batch / median(r.calls)]);
      const results = said.map(({ calls, ...r }) => ({ ...r, calls: calls.length }));
      return { cost, figures: Object.fromEntries(rates), results };
    } finally {
      await server.close();
      rmSync(home, { recursive: true, force: true });
    }
  },
  heading: () => "Images to a viewer, until it has taken them",
  notes({ context: { latency, noDisplay }, trials }) {
    const copied = trials
      .filter((t) => t.program === "tilecast")
      .flatMap((t) => t.results ?? [])
      .reduce((sum, r) => sum + r.copiedBytes, 0);
    const shown = trials
      .filter((t) => t.program === "tilecast" && t.receiver !== "null")
      .flatMap((t) => (t.results ?? []).map((r) => ({ name: caseOf(t.receiver, r), ...r.shown })));
    const names = [...new Set(shown.map((s) => s.name))].sort();
    const ms = ({ p50, p99 }) => `${p50.toFixed(3)} (p99 ${p99.toFixed(3)})`;
    return [
      `Bytes of pixels that tilecast copied in all its trials: ${copied}.`,
      `Ping over IPC, ms: ${ms(latency.ping)}; submission to acceptance, ms: ${ms(latency.submit)}.`,
      ...names.map((name) => {
        const of = shown.filter((s) => s.name === name && s.count > 0);
        if (of.length === 0) return `${name}: ready to on screen unknown: no acknowledgements.`;
        const at = (key) => median(of.map((s) => s[key])).toFixed(0);
        return `${name}: ready to on screen, ms: ${at("p50")} (p99 ${at("p99")}).`;
      }),
      ...(noDisplay === undefined ? [] : [`No display for napari: ${noDisplay}.`]),
    ].join("\n");
  },
  facts: ({ context: { latency } }) => ({ latency }),
});
