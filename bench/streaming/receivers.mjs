// SPDX-License-Identifier: MIT
// The receivers of the streaming benchmark, each in a home folder of its own, and the display that the real viewer draws on.

import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Endpoint, probeEndpoint, zmqConfigs } from "../../dist/runtime/index.js";
import { ProgramError } from "../harness/launch.mjs";
import { viewersPython } from "../harness/machine.mjs";
import { Stopped, stop } from "../harness/stop.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const viewers = fileURLToPath(new URL("../../viewers", import.meta.url));
const port = 5555;
// Beside OpenHCS's socket, so that every receiver is found in the same place.
const own = ["--port", `${port}`, "--openhcs"];
const startSeconds = 120;

export const receivers = {
  null: () => [process.execPath, join(here, "receiver.mjs"), `${port}`],
  napari: (home) => [viewersPython(), join(here, "napari_server.py"), `${port}`, join(home, "napari.log")],
  "tilecast-napari": () => [viewersPython(), "-m", "tilecast_napari", ...own],
  "tilecast-imagej": () => {
    const target = join(viewers, "fiji/target");
    const jars = [join(target, "tilecast-fiji.jar"), join(target, "lib/ij.jar")].join(":");
    return ["java", "-cp", jars, "tilecast.fiji.Main", ...own];
  },
};

/** An X display without a screen. Throws when there is no Xvfb. */
export async function startDisplay() {
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    // Ctrl-C is for us: we end it.
    detached: true,
  });
  const name = await new Promise((resolve, reject) => {
    server.once("error", (error) => reject(new Error(`Xvfb does not start: ${error.message}`)));
    server.once("exit", () => reject(new Error("Xvfb ended at once")));
    server.stdio[3].once("data", (text) => resolve(`:${String(text).trim()}`));
  });
  return { name, close: () => server.kill() };
}

/** A receiver that is ready. Throws {@link ProgramError}, {@link Stopped}. */
export async function startReceiver(name, home, display) {
  mkdirSync(home, { recursive: true });
  const env = {
    ...process.env,
    HOME: home,
    TMPDIR: home,
    LIBGL_ALWAYS_SOFTWARE: "1",
    QT_QPA_PLATFORM: "xcb",
    PYTHONPATH: join(viewers, "napari"),
  };
  if (display) env.DISPLAY = display;
  const [command, ...args] = receivers[name](home);
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      said += text;
    });
  let gone = false;
  const ended = new Promise((resolve) => {
    const end = () => {
      gone = true;
      resolve();
    };
    child.once("exit", end).once("error", end);
  });
  const close = async () => {
    if (!gone) child.kill("SIGKILL");
    await ended;
  };
  const config = { ...zmqConfigs.openhcs, ipcSocketDir: join(home, ".openhcs/ipc") };
  const endpoint = new Endpoint({ mode: "ipc", port, config });
  const until = performance.now() + startSeconds * 1000;
  while ((await probeEndpoint(endpoint)).state !== "ready") {
    const reason = gone ? "it ended" : `it was not ready in ${startSeconds} s`;
    if (gone || stop.aborted || performance.now() > until) {
      await close();
      if (stop.aborted) throw new Stopped();
      throw new ProgramError(`the receiver ${name} does not start: ${reason}`, said.slice(-2000));
    }
    await delay(100);
  }
  return { port, env: { HOME: home }, close };
}
