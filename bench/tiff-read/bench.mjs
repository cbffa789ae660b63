// SPDX-License-Identifier: MIT
// The tiff-read benchmark: TIFF file to pixels on one core, by tilecast and by the readers people use. See README.md.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { shuffled } from "../../dist/bench/shuffle.js";
import { UsageError } from "../harness/args.mjs";
import { bench } from "../harness/bench.mjs";
import { output } from "../harness/launch.mjs";
import { cacheFolder, python } from "../harness/machine.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const inNode = (file) => (task) => [process.execPath, join(here, file), task];
const inPython = (name) => (task) => [python(), join(here, "readers.py"), name, task];
const reader = (title, command, needs = {}) => ({ title, command, limit: ["codec", "read"], ...needs });

const programs = {
  tilecast: reader("tilecast", inNode("tilecast.mjs")),
  tifffile: reader("tifffile", inPython("tifffile"), { modules: ["tifffile", "imagecodecs"] }),
  opencv: reader("OpenCV", inPython("opencv"), { modules: ["cv2"] }),
  pyvips: reader("pyvips", inPython("pyvips"), { modules: ["pyvips"] }),
  imagecodecs: reader("by hand + imagecodecs", inPython("imagecodecs"), { modules: ["imagecodecs"] }),
  sharp: reader("sharp", inNode("sharp.mjs"), { npm: ["sharp"] }),
  geotiff: reader("geotiff.js", inNode("geotiff.mjs"), { npm: ["geotiff"] }),
  read: { title: "limit: read the file", command: inPython("read") },
  codec: { title: "limit: the codec alone", command: inNode("codec.mjs") },
  copy: { title: "limit: copy the pixels", command: inPython("copy") },
};

/** The limit is the codec's library where there is one, and reading the file elsewhere. */
const hasLibrary = ({ codec }) => ["deflate", "lzw", "zstd"].includes(codec);

/** The files, made at the first need. */
async function prepare({ options, folder: temporary, say }) {
  const folder = join(cacheFolder(), "tiff");
  const listing = join(folder, "files.json");
  if (!existsSync(listing)) {
    say("writing the TIFF files ...");
    await output(python(), [join(here, "make_files.py"), folder]);
  }
  const all = JSON.parse(readFileSync(listing, "utf8"));
  const files = all.files
    .filter((f) => f.file.includes(options.files))
    .map((f) => ({ ...f, name: `${f.codec}, predictor ${f.predictor}, ${f.layout}, 1 core` }));
  if (files.length === 0) throw new UsageError(`--files: none of ${all.files.map((f) => f.file).join(", ")}`);
  return {
    ...all,
    folder,
    files,
    task: join(temporary, "task.json"),
    megabytes: (all.width * all.height * 2) / 1e6,
  };
}

await bench({
  name: "tiff-read",
  unit: "MB/s",
  own: {
    files: {
      kind: "text",
      value: "TEXT",
      fallback: "",
      help: "only files whose name has this in it: deflate, p2, tiles",
    },
  },
  defaults: { rounds: 3, seconds: 0.3 },
  quick: { files: "strips" },
  programs: () => programs,
  prepare,
  turns: ({ context, programs: names }) =>
    names.map((program) => ({
      program,
      cases: context.files.filter((f) => program !== "codec" || hasLibrary(f)).map((f) => f.name),
    })),
  async trial({ options, context, turn, program, random, run }) {
    const { files: all, task, ...about } = context;
    const files = all.filter((f) => turn.cases.includes(f.name));
    const items = shuffled(files, random).map((f) => f.file);
    writeFileSync(task, JSON.stringify({ ...about, items, seconds: options.seconds }));
    const { said, cost } = await run(program.command(task), { oneCore: true });
    const figures = files.map(({ file, name }) => [
      name,
      said[file].error ? said[file] : context.megabytes / said[file].s,
    ]);
    return { cost, figures: Object.fromEntries(figures) };
  },
  heading: ({ width, height, dtype }) =>
    `TIFF to pixels: ${width}x${height} ${dtype}, one core, page cache warm`,
  facts: ({ context: { files, megabytes } }) => ({
    files: files.map((f) => ({ ...f, storedShare: f.bytes / (megabytes * 1e6) })),
  }),
});
