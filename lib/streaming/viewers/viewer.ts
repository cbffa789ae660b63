// SPDX-License-Identifier: MIT
// A viewer that a run, or a program, wants to have: found running, or started, on its port.

import { existsSync } from "node:fs";
import { TilecastError } from "../../errors.js";
import {
  Endpoint,
  type Instance,
  InstanceManager,
  type Launch,
  type Pong,
  type TransportMode,
  zmqConfigs,
} from "../../runtime/index.js";
import type { DisplayOptions } from "../display.js";
import type { StreamComponent, StreamPayload } from "../payload.js";
import type { SinkWants } from "../sink.js";
import { ViewerStream } from "../viewer-stream.js";
import { ViewerSink } from "./viewer-sink.js";

/** Whose program it is: tilecast's own, or OpenHCS's. */
export type ViewerFlavour = "tilecast" | "openhcs";

/** What is sent to a viewer and how; the same for all of them. */
export interface ViewerOptions {
  /** Data port; control is 1000 above it. Default: napari 5555, Fiji 5565. */
  readonly port?: number;
  /** Default `ipc`: socket files of the user's own. */
  readonly transport?: TransportMode;
  /** Default `tilecast`. */
  readonly flavour?: ViewerFlavour;
  /** Names of the pipeline's steps whose images are shown. Default: those that the run writes. */
  readonly steps?: readonly string[];
  /** Default: images and labels. */
  readonly show?: readonly StreamPayload["kind"][];
  /**
   * When images come faster than the viewer takes them: `latest` never slows the run, and what was passed over is read from the results
   * when it is looked at; `wait` lets the run wait, for at most `waitMs` in all. Default `latest`.
   */
  readonly policy?: "latest" | "wait";
  /** Default 10 000. */
  readonly waitMs?: number;
  /** Tiles that may wait for the viewer at once, in slots of the run's pool. Default 16. */
  readonly slots?: number;
  /** Bytes that the viewer may keep; what is beyond is read from the results again. Default: the viewer's own, a quarter of the memory. */
  readonly memoryBudget?: number;
  /** How long a starting viewer may be silent. Default 60 000. */
  readonly startTimeoutMs?: number;
}

/** How a component is shown: napari's `stack` and `layer`; Fiji's `window`, `channel`, `slice` and `frame`. */
export type ComponentModes<Mode extends string> = Readonly<Partial<Record<StreamComponent, Mode>>>;

export interface StartOptions {
  readonly signal?: AbortSignal;
  /** What the starting viewer says of itself. */
  readonly onStatus?: (message: string) => void;
}

/** What the kinds of viewers differ in. */
export interface ViewerKind {
  /** The pong's `server_type`. */
  readonly type: "napari" | "fiji";
  readonly defaultPort: number;
  /** How it lays out what it gets. */
  readonly display: DisplayOptions;
  /** Finds what is needed to start it. Throws ERR_VIEWER with every place that was tried, and advice. */
  readonly launch: (endpoint: Endpoint, journal: string) => Promise<Launch>;
}

/** Why a window cannot open where DISPLAY is left from a session that has ended, which Qt and Java say at length, or not at all. */
function displayHint(): string {
  const { DISPLAY = "" } = process.env;
  const local = /^(?:unix)?:(\d+)(?:\.\d+)?$/.exec(DISPLAY);
  if (local === null || existsSync(`/tmp/.X11-unix/X${local[1]}`)) return "";
  return `no X server is at DISPLAY ${DISPLAY}; `;
}

/** A viewer on its port. It outlives the run that started it; the next one uses it again. */
export class Viewer<Options extends ViewerOptions = ViewerOptions> {
  readonly endpoint: Endpoint;

  constructor(
    readonly kind: ViewerKind,
    readonly options: Options,
  ) {
    this.endpoint = new Endpoint({
      port: options.port ?? kind.defaultPort,
      ...(options.transport === undefined ? {} : { mode: options.transport }),
      config: options.flavour === "openhcs" ? zmqConfigs.openhcs : zmqConfigs.tilecast,
    });
  }

  /** For people: `napari on port 5555`. */
  get name(): string {
    const whose = this.options.flavour === "openhcs" ? "OpenHCS's " : "";
    return `${whose}${this.kind.type} on port ${this.endpoint.port}`;
  }

  /**
   * Joins the viewer that runs, or starts one. Two that ask at once get the same one.
   *
   * Throws ERR_VIEWER where a program is missing or the viewer ends while it starts, ERR_INSTANCE where something else has the port,
   * ERR_TIMEOUT and ERR_CANCELLED.
   */
  async start({ signal, onStatus }: StartOptions = {}): Promise<Instance> {
    const manager = new InstanceManager({
      endpoint: this.endpoint,
      startTimeoutMs: this.options.startTimeoutMs ?? 60_000,
      reject: (pong) => this.#reject(pong),
      ...(onStatus ? { onStatus: (status) => onStatus(status.message ?? status.phase) } : {}),
      launch: ({ journal }) => this.kind.launch(this.endpoint, journal),
    });
    try {
      return await manager.ensure(signal ? { signal } : {});
    } catch (error) {
      if (!(error instanceof TilecastError) || error.code !== "ERR_INSTANCE") throw error;
      const after = await manager.check();
      // What has the port is not ours to explain away; a process that ended while it started is the viewer's own failure.
      if (after.state === "foreign" || after.state === "hung") throw error;
      throw new TilecastError("ERR_VIEWER", `${this.name} did not start: ${displayHint()}${error.message}`, {
        cause: error,
        retriable: true,
      });
    }
  }

  /** {@link start}, then a stream to it: a sink of a run, or to send by hand. The stream's end leaves the viewer open. */
  async connect(options: StartOptions = {}): Promise<ViewerStream> {
    await this.start(options);
    const { slots, startTimeoutMs } = this.options;
    return ViewerStream.connect({
      endpoint: this.endpoint,
      name: this.name,
      display: this.kind.display,
      wants: this.wants,
      ...(slots === undefined ? {} : { slots }),
      ...(startTimeoutMs === undefined ? {} : { timeoutMs: startTimeoutMs }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  }

  /** A sink that opens this viewer when its run begins, and leaves it open when the run is over. */
  sink(): ViewerSink {
    return new ViewerSink(this);
  }

  /** What it wants of a run. */
  get wants(): SinkWants {
    const { show = ["image", "labels"], steps } = this.options;
    return {
      images: show.includes("image"),
      labels: show.includes("labels"),
      shapes: show.includes("shapes"),
      points: show.includes("points"),
      tables: show.includes("table"),
      ...(steps ? { steps } : {}),
    };
  }

  #reject(pong: Pong): string | undefined {
    return pong.server_type === this.kind.type
      ? undefined
      : `a ${pong.server_type ?? pong.server} answers there, and ${this.kind.type} was expected`;
  }
}
