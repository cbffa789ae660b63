// SPDX-License-Identifier: MIT
// Fiji or ImageJ as a viewer: tilecast's receiver (viewers/fiji) with Fiji's ImageJ or the jar that the package ships, or OpenHCS's.

import { delimiter } from "node:path";
import type { Endpoint, Launch } from "../../runtime/index.js";
import { findImageJ, requireDisplay, viewerMissing } from "./find-program.js";
import { type ComponentModes, Viewer, type ViewerKind, type ViewerOptions } from "./viewer.js";

export interface FijiOptions extends ViewerOptions {
  /** The Java to start it with, 17 or newer. Default: TILECAST_JAVA, Fiji's own, JAVA_HOME, the PATH. */
  readonly java?: string;
  /** Fiji's folder. Default: TILECAST_FIJI, or that of `fiji` on the PATH; without one, the ImageJ that tilecast ships. */
  readonly fiji?: string;
  /** What a component is in the window. Default: OpenHCS's (channel, slice for z, frame for the rest), and a window a well. */
  readonly modes?: ComponentModes<"window" | "channel" | "slice" | "frame">;
  /** ImageJ's lookup table of images whose channel has no colour of its own. Default `Grays`. */
  readonly lut?: string;
  /** Set the display range from the pixels, once. Default true. */
  readonly autoContrast?: boolean;
}

async function launch(endpoint: Endpoint, journal: string, options: FijiOptions): Promise<Launch> {
  if (options.flavour === "openhcs")
    throw viewerMissing(
      `OpenHCS's Fiji viewer does not run on port ${endpoint.port}, and OpenHCS has to start it.`,
      [],
      ["start it from OpenHCS, then run this again", "or use tilecast's own: leave flavour away"],
    );
  const found = await findImageJ(options);
  if (!found.ok)
    throw viewerMissing("ImageJ cannot be started: it needs Java 17 or newer and an ImageJ.", found.tried, [
      "Java: apt-get install default-jre",
      "another Fiji than the one on the PATH: export TILECAST_FIJI=/path/to/Fiji.app",
    ]);
  requireDisplay("ImageJ");
  const { java, classPath, fiji } = found.value;
  return {
    command: java,
    args: [
      ...(fiji === null ? [] : [`-Dplugins.dir=${fiji}`]),
      ...["-cp", classPath.join(delimiter), "tilecast.fiji.Main"],
      ...["--port", String(endpoint.port), "--transport", endpoint.mode, "--startup-status", journal],
      ...(options.memoryBudget === undefined ? [] : ["--memory-budget", String(options.memoryBudget)]),
    ],
  };
}

/** ImageJ or Fiji on its port (5565). */
export function fiji(options: FijiOptions = {}): Viewer<FijiOptions> {
  const kind: ViewerKind = {
    type: "fiji",
    defaultPort: 5565,
    display: {
      modes: { well: "window", ...options.modes },
      ...(options.lut === undefined ? {} : { colormap: options.lut }),
      ...(options.autoContrast === undefined ? {} : { autoContrast: options.autoContrast }),
    },
    launch: (endpoint, journal) => launch(endpoint, journal, options),
  };
  return new Viewer(kind, options);
}
