// SPDX-License-Identifier: MIT
// The chain benchmark: ops one after another on a plane, by tilecast, OpenCV and scikit-image. See README.md.

import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { native } from "../../dist/native.js";
import { bench } from "../harness/bench.mjs";
import { cacheFolder, python } from "../harness/machine.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const inNode = (path) => [process.execPath, join(here, "tilecast.mjs"), path];
const inPython = (name) => (path) => [python(), join(here, "peers.py"), name, path];

const programs = {
  tilecast: { title: "tilecast", command: inNode, limit: "slowest" },
  opencv: { title: "OpenCV", command: inPython("opencv"), modules: ["cv2", "tifffile"], limit: "slowest" },
  skimage: {
    title: "scikit-image",
    command: inPython("skimage"),
    modules: ["skimage", "tifffile"],
    limit: "slowest",
  },
  slowest: { title: "limit: its slowest op alone", command: inNode },
};
const chains = ["point-wise", "smooth", "standard"];
const caseName = (chain, cores) => `${chain}, ${cores} ${cores === 1 ? "core" : "cores"}`;

await bench({
  name: "chain",
  unit: "Mpx/s",
  own: {
    side: { kind: "integer", value: "PX", least: 256, fallback: 2048, help: "side of the plane" },
  },
  defaults: { rounds: 5, seconds: 1 },
  quick: { side: 1024, seconds: 0.3 },
  programs: () => programs,
  async prepare({ options: { side }, folder: temporary }) {
    const folder = join(cacheFolder(), `chain-${side}`);
    mkdirSync(folder, { recursive: true });
    await native().bench.writeTiff(join(folder, "plane.tif"), "none", side);
    return {
      folder,
      side,
      path: join(temporary, "task.json"),
      cores: [...new Set([1, availableParallelism()])],
    };
  },
  turns: ({ context, programs: names }) =>
    names.flatMap((program) =>
      context.cores.map((cores) => ({
        program,
        cores,
        cases: chains.map((chain) => caseName(chain, cores)),
      })),
    ),
  labelOf: ({ cores }) => caseName("", cores).slice(2),
  async trial({ options, context: { folder, side, path }, turn, program, run }) {
    const { seconds } = options;
    writeFileSync(path, JSON.stringify({ folder, side, seconds, cores: turn.cores, chains }));
    const { said, cost } = await run(program.command(path), { oneCore: turn.cores === 1 });
    const figures = chains.map((chain) => {
      const s = turn.program === "slowest" ? said[chain].slowest : said[chain].s;
      return [caseName(chain, turn.cores), (side * side) / s / 1e6];
    });
    return { cost, figures: Object.fromEntries(figures) };
  },
  heading: ({ side }) => `A chain of ops on a plane: ${side}x${side} uint16`,
});
