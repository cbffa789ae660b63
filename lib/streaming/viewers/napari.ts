// SPDX-License-Identifier: MIT
// napari as a viewer: tilecast's receiver (viewers/napari) or OpenHCS's, started with a Python that has napari.

import { join } from "node:path";
import type { Endpoint, Launch } from "../../runtime/index.js";
import { findPython, packageRoot, requireDisplay, viewerMissing } from "./find-program.js";
import { type ComponentModes, Viewer, type ViewerKind, type ViewerOptions } from "./viewer.js";

export interface NapariOptions extends ViewerOptions {
  /** The Python to start it with. Default: TILECAST_VIEWERS_PYTHON, the active environment, that of `napari` on the PATH, python3. */
  readonly python?: string;
  /** `stack`: an axis of the layer; `layer`: a layer a value. Default: channels are layers, the rest is stacked. */
  readonly modes?: ComponentModes<"stack" | "layer">;
  /** A colour map of napari's for images whose channel has no colour of its own. Default `gray`. */
  readonly colormap?: string;
}

const install = (packages: string): string[] => [
  `python3 -m venv ~/napari && ~/napari/bin/pip install ${packages}`,
  "then: export TILECAST_VIEWERS_PYTHON=~/napari/bin/python",
];

async function launchOwn(endpoint: Endpoint, journal: string, options: NapariOptions): Promise<Launch> {
  const found = await findPython(["napari", "pyzmq", "numpy", "Qt"], options.python, ["tilecast-napari"]);
  if (!found.ok)
    throw viewerMissing(
      "napari cannot be started: no Python with napari, pyzmq and Qt.",
      found.tried,
      install('"napari[pyqt6]" pyzmq'),
    );
  requireDisplay("napari");
  const { python, versions } = found.value;
  // Where the package is not installed, the copy that tilecast ships is used.
  const path = [join(packageRoot, "viewers", "napari"), process.env.PYTHONPATH].filter(Boolean);
  return {
    command: python,
    args: [
      ...["-m", "tilecast_napari", "--port", String(endpoint.port), "--transport", endpoint.mode],
      ...["--startup-status", journal],
      ...(options.memoryBudget === undefined ? [] : ["--memory-budget", String(options.memoryBudget)]),
    ],
    ...(versions["tilecast-napari"] === undefined ? { env: { PYTHONPATH: path.join(":") } } : {}),
  };
}

async function launchOpenhcs(endpoint: Endpoint, options: NapariOptions): Promise<Launch> {
  const found = await findPython(["openhcs", "napari", "Qt"], options.python);
  if (!found.ok)
    throw viewerMissing(
      "OpenHCS's napari viewer cannot be started: no Python with openhcs, napari and Qt.",
      found.tried,
      install('openhcs "napari[pyqt6]"'),
    );
  requireDisplay("napari");
  const title = "OpenHCS Napari Visualization";
  const mode = endpoint.mode === "ipc" ? "IPC" : "TCP";
  return {
    command: found.value.python,
    args: [
      "-c",
      "from openhcs.runtime.napari_viewer_server import run_napari_viewer_process as run\n" +
        "from zmqruntime.config import TransportMode\n" +
        `run(${endpoint.port}, ${JSON.stringify(title)}, False, None, TransportMode.${mode})`,
    ],
    env: { QT_X11_NO_MITSHM: "1" },
  };
}

/** napari on its port (5555). */
export function napari(options: NapariOptions = {}): Viewer<NapariOptions> {
  const kind: ViewerKind = {
    type: "napari",
    defaultPort: 5555,
    display: {
      // A channel has its own colour and contrast, which one layer of all channels could not have.
      modes: { channel: "layer", ...options.modes },
      ...(options.colormap === undefined ? {} : { colormap: options.colormap }),
    },
    launch: (endpoint, journal) =>
      options.flavour === "openhcs"
        ? launchOpenhcs(endpoint, options)
        : launchOwn(endpoint, journal, options),
  };
  return new Viewer(kind, options);
}
