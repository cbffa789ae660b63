// SPDX-License-Identifier: MIT
// The page in a real Chromium: starts to the first pixels, frames while an image is panned, and a run of 10 752 planes with the page open. Prints JSON.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { writeOmeTiff } from "../../dist/stores/index.js";

const { quick } = JSON.parse(process.argv[2] ?? "{}");
const folder = process.env.TMPDIR;
const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const names = ["chromium", "chromium-browser", "google-chrome"];
const executablePath = (process.env.PATH ?? "")
  .split(delimiter)
  .flatMap((f) => names.map((n) => join(f, n)))
  .find(existsSync);
if (executablePath === undefined) throw new Error("no Chromium");

const size = 2160;
const channels = 4;

/** Noise on a slope: it compresses as camera images do, and no two tiles are equal. */
function plane(width, height, seed) {
  const data = new Uint16Array(width * height);
  let state = seed + 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = 400 + ((i % width) >> 2) + (state >>> 25) + (((i >> 5) ^ (i >> 17)) % 7 === 0 ? 900 : 0);
  }
  return data;
}

async function writePlate(root, { rows, columns, sites, channels: count, edge }) {
  mkdirSync(root, { recursive: true });
  const planes = Array.from({ length: 4 }, (_, c) => plane(edge, edge, c));
  for (let r = 0; r < rows; r++)
    for (let col = 1; col <= columns; col++)
      for (let s = 1; s <= sites; s++)
        for (let c = 1; c <= count; c++) {
          const row = r < 26 ? String.fromCharCode(65 + r) : `A${String.fromCharCode(65 + r - 26)}`;
          const path = join(root, `p_${row}${String(col).padStart(2, "0")}_s${s}_w${c}.TIF`);
          const pixels = planes[(s + c) % 4];
          await writeOmeTiff(
            path,
            { width: edge, height: edge, dtype: "uint16", planes: [pixels] },
            { compression: "none", tile: 0 },
          );
        }
}

const pattern = "{plate}_{well}_s{site:1}_w{channel:1}.TIF";

/** A command of tilecast; resolves with the process when it has printed a line that `is` finds something in. */
function start(args, is) {
  const began = performance.now();
  const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise((resolve) => child.once("close", resolve));
  let said = "";
  const found = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text) => {
        said += text;
        const what = is(said);
        if (what) resolve({ child, closed, what, ms: performance.now() - began, began });
      });
    child.once("close", (code) =>
      reject(new Error(`tilecast ${args[0]} ended with ${code}: ${said.slice(-300)}`)),
    );
  });
  return found;
}

const address = (text) => /http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\//.exec(text)?.[0];

async function end({ child, closed }) {
  child.kill("SIGINT");
  await closed;
}

const memoryMb = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
const rank = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--enable-precise-memory-info",
  ],
});
const blank = async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1 });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  return page;
};
const open = async (url) => {
  const page = await blank();
  await page.goto(url);
  return page;
};
const drawn = (page) => page.locator(".image-canvas[data-drawn]:not([data-drawn=''])").waitFor();

/** From the start of the command; the browser itself runs already, as a user's does. */
async function starts(path, times) {
  const out = [];
  for (let i = 0; i < times; i++) {
    const view = await start(["view", path, "--no-open"], address);
    const page = await open(view.what);
    await page.waitForFunction(() => performance.getEntriesByName("first-pixels").length > 0);
    const { pixels, paint } = await page.evaluate(() => ({
      pixels: performance.timeOrigin + performance.getEntriesByName("first-pixels")[0].startTime,
      paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN,
    }));
    // Both are on the clock of this machine.
    out.push({ addressMs: view.ms, pixelsMs: pixels - performance.timeOrigin - view.began, paintMs: paint });
    await page.context().close();
    await end(view);
  }
  return out;
}

/** Drags the image to and fro at 1:1 and takes the intervals between animation frames. */
async function pan(url, what, seconds) {
  const page = await blank();
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable");
  await page.goto(url);
  await drawn(page);
  await page.getByRole("button", { name: "1:1" }).click();
  await page.waitForLoadState("networkidle");
  const renderer = await page.evaluate(() => {
    const gl = document.createElement("canvas").getContext("webgl2");
    return gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info").UNMASKED_RENDERER_WEBGL);
  });
  const box = await page.locator(".image-canvas").boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.evaluate(() => {
    const taken = { frames: [], tasks: [] };
    window.taken = taken;
    let last = performance.now();
    const frame = (now) => {
      taken.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) taken.tasks.push(entry.duration);
    }).observe({ type: "longtask" });
  });
  await page.mouse.move(x, y);
  await page.mouse.down();
  const began = performance.now();
  for (let step = 0; performance.now() - began < seconds * 1000; step++) {
    // A curve over the whole image, so that tiles come and go.
    const turn = (performance.now() - began) / 900;
    await page.mouse.move(x + 300 * Math.sin(turn), y + 260 * Math.sin(1.3 * turn));
    if (step % 60 === 59) {
      // Taken up again elsewhere: the image moves on beyond what one drag reaches.
      await page.mouse.up();
      await page.mouse.move(x - 300 + 120 * ((step / 60) % 5), y - 200);
      await page.mouse.down();
    }
  }
  await page.mouse.up();
  const { frames, tasks } = await page.evaluate(() => window.taken);
  const { metrics } = await client.send("Performance.getMetrics");
  await page.context().close();
  frames.shift();
  const sorted = [...frames].sort((a, b) => a - b);
  const all = frames.reduce((a, b) => a + b, 0);
  return {
    what,
    renderer,
    perSecond: (1000 * frames.length) / all,
    p50: rank(sorted, 0.5),
    p95: rank(sorted, 0.95),
    longest: sorted.at(-1),
    // Of the page's thread since the page was opened; what workers and the GPU's process do is not in it.
    scriptS: metrics.find((m) => m.name === "ScriptDuration").value,
    longTasks: tasks.length,
    longTaskMs: tasks.reduce((a, b) => a + b, 0),
  };
}

/** A run with the page open, followed through the page's own WebSocket. */
async function watchRun(plate, steps, { planes, wells }) {
  const out = join(folder, "run-out");
  const page = await blank();
  let tiles = 0;
  let first;
  let last;
  const state = { processMb: [], heapMb: [], at: [] };
  const sample = async () => {
    const heap = await page.evaluate(() => performance.memory.usedJSHeapSize / 2 ** 20);
    state.processMb.push(memoryMb(run.child.pid));
    state.heapMb.push(heap);
    state.at.push(tiles);
  };
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  client.on("Network.webSocketFrameReceived", ({ response }) => {
    for (const event of JSON.parse(response.payloadData)) {
      if (event.type !== "tile") continue;
      tiles++;
      first ??= performance.now();
      last = performance.now();
    }
  });
  const run = await start(
    ["run", plate, "--pattern", pattern, "-p", steps, "-o", out, "--view", "web"],
    address,
  );
  await page.goto(`${run.what}#view=run`);
  const timer = setInterval(() => sample().catch(() => undefined), quick ? 300 : 1000);
  await run.closed;
  clearInterval(timer);
  await page.context().close();
  return { planes, wells, tiles, seconds: (last - first) / 1000, ...state };
}

const result = {};
try {
  const field = join(folder, "field");
  await writePlate(field, { rows: 1, columns: 1, sites: 1, channels, edge: size });
  const steps = join(folder, "steps.mjs");
  const lib = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
  writeFileSync(
    steps,
    `import { op, pipeline } from ${JSON.stringify(lib)};\nexport default pipeline("copy").step("smooth", op.gaussian({ sigma: 1 }));\n`,
  );
  const results = join(folder, "field-out");
  const made = await start(["run", field, "--pattern", pattern, "-p", steps, "-o", results], (t) =>
    t.includes("run.json"),
  );
  await made.closed;
  result.starts = await starts(results, quick ? 2 : 7);
  const view = await start(["view", results, "--no-open"], address);
  result.frames = [
    await pan(view.what, `${size} x ${size} px in ${channels} channels, Blosc-LZ4 chunks`, quick ? 3 : 10),
  ];
  await end(view);
  const [rows, columns, sites] = quick ? [16, 24, 7] : [32, 48, 7];
  const plate = join(folder, "plate");
  await writePlate(plate, { rows, columns, sites, channels: 1, edge: 64 });
  const wells = rows * columns;
  result.run = await watchRun(plate, steps, { planes: wells * sites, wells });
} finally {
  await browser.close();
}
console.log(JSON.stringify(result));
