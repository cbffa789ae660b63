// SPDX-License-Identifier: MIT
// Commands to a viewer: clear, settle, state, screenshot, navigate, macros and tables; in tilecast's plain form or as OpenHCS's dataclasses.

import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import { type DType, dtypeSize, type TypedArray, typedView } from "../image/dtype.js";
import type { CallOptions, ZmqClient } from "../runtime/client.js";
import { asDict } from "../runtime/message-schema.js";
import { type PickleValue, PyFloat, PyOpaque, PyTuple } from "../runtime/pickle-value.js";
import { cancelled, pause } from "../runtime/zmq.js";
import type { ComponentValue } from "./component-values.js";
import type { ViewerType } from "./display.js";
import type { StreamComponent } from "./payload.js";
import type { Flavour } from "./wire-batch.js";
import { planeOf } from "./wire-reader.js";

type Signal = { readonly signal?: AbortSignal };

export interface SettleResult {
  /** `running` only when the time was over before the viewer was done. */
  readonly phase: "running" | "complete" | "failed";
  readonly done: number;
  readonly total: number;
  readonly message: string;
}

/** One layer or window, as far as the viewer tells. */
export interface ViewerLayer {
  readonly routeKey: string;
  readonly title: string;
  readonly kind: string | undefined;
  /** Of the whole stack, axes first. */
  readonly shape: readonly number[];
  readonly dtype: string | undefined;
  readonly axes: readonly string[];
  readonly scale: readonly number[];
  readonly visible: boolean;
  readonly contrast: readonly [number, number] | undefined;
  /** Planes it knows, and those whose pixels it has at hand. */
  readonly planes: number;
  readonly resident: number | undefined;
  /** As the viewer wrote it. */
  readonly raw: { readonly [key: string]: unknown };
}

export interface Screenshot {
  readonly path: string;
  readonly width: number;
  readonly height: number;
}

export interface MacroResult {
  /** What the macro returned; "" when nothing. */
  readonly result: string;
  /** What it wrote to ImageJ's log. */
  readonly log: string;
}

export interface ResultsTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

export interface PlaneRead {
  readonly shape: readonly number[];
  readonly dtype: DType | "bool";
  /** C order; of `bool` a byte each. */
  readonly data: TypedArray;
  /** Whether the viewer had it at hand; else it read it from its store. */
  readonly resident: boolean;
}

const controls = "openhcs.runtime.viewer_controls";
const snapshots = "pyqt_reactive.services.window_snapshot";

const instance = (module: string, qualname: string, state: PickleValue): PyOpaque =>
  new PyOpaque({ module, qualname, origin: "newobj", state });
const member = (module: string, qualname: string, value: string): PyOpaque =>
  new PyOpaque({ module, qualname, origin: "reduce", args: [value] });

const list = (value: unknown): readonly unknown[] =>
  value instanceof PyTuple ? value.items : Array.isArray(value) ? value : [];
const numbers = (value: unknown): number[] => list(value).map(Number);
const strings = (value: unknown): string[] => list(value).map(String);

function readLayer(value: unknown): ViewerLayer {
  const raw = asDict(value) ?? {};
  const native = asDict(raw.native_transform);
  const contrast = numbers(raw.contrast ?? asDict(raw.native_intensity)?.contrast_limits);
  const planes = Number(raw.planes ?? raw.item_count ?? 0);
  return {
    routeKey: String(raw.route_key ?? ""),
    title: String(raw.title ?? ""),
    kind: (raw.kind ?? list(raw.data_types)[0]) as string | undefined,
    shape: numbers(raw.shape ?? raw.data_shape),
    dtype: raw.dtype as string | undefined,
    axes: strings(raw.axes ?? raw.axis_labels),
    scale: numbers(raw.scale ?? native?.scale),
    visible: raw.visible === true,
    contrast: contrast.length === 2 ? (contrast as [number, number]) : undefined,
    planes,
    resident: typeof raw.resident === "number" ? raw.resident : undefined,
    raw,
  };
}

/** Commands. Each throws ERR_REMOTE with the viewer's words, ERR_TIMEOUT, ERR_CANCELLED, and ERR_STREAM for what this viewer cannot do. */
export class ViewerControls {
  constructor(
    private readonly client: ZmqClient,
    readonly flavour: Flavour,
    readonly viewer: ViewerType,
  ) {}

  async #ask(
    type: string,
    payload: PickleValue | undefined,
    options: CallOptions = {},
  ): Promise<{ readonly [key: string]: unknown }> {
    const reply = await this.client.call({ type, ...(payload !== undefined && { payload }) }, options);
    const fields = asDict(reply) ?? {};
    // OpenHCS's Fiji answers whatever it does not know with a success that says nothing.
    if (fields.status === "error" || fields.status === undefined) {
      const why = fields.error ?? fields.message ?? "no reason given";
      throw new TilecastError("ERR_REMOTE", `${type} on ${this.client.endpoint}: ${String(why)}`);
    }
    return fields;
  }

  #cannot(what: string): TilecastError {
    const whose = this.flavour === "openhcs" ? "OpenHCS's " : "";
    return new TilecastError("ERR_STREAM", `${whose}${this.viewer} viewer: it cannot ${what}`);
  }

  /** Forgets everything that was sent; layers and windows go. */
  async clear(options: Signal = {}): Promise<void> {
    await this.#ask("clear_state", undefined, options);
  }

  /** Has the viewer draw what waits, and asks until it has, at most `timeoutMs` (default 30 s). */
  async settle(options: Signal & { readonly timeoutMs?: number } = {}): Promise<SettleResult> {
    const { signal, timeoutMs = 30_000 } = options;
    const end = Date.now() + timeoutMs;
    for (let wait = 5; ; wait = Math.min(2 * wait, 50)) {
      if (signal?.aborted) throw cancelled(signal, "settling a viewer");
      const reply = asDict(
        await this.client.call({ type: "settle" }, options.signal ? { signal: options.signal } : {}),
      );
      const phase = reply?.settle_phase;
      if (phase !== "running" && phase !== "complete" && phase !== "failed")
        throw new TilecastError("ERR_REMOTE", `settle on ${this.client.endpoint}: ${String(reply?.message)}`);
      if (phase !== "running" || Date.now() >= end)
        return {
          phase,
          done: Number(reply?.completed_update_count ?? 0),
          total: Number(reply?.total_update_count ?? 0),
          message: String(reply?.message ?? ""),
        };
      await pause(wait, signal);
    }
  }

  /** The layers or windows, of one key or all. OpenHCS's Fiji viewer does not tell. */
  async state(options: Signal & { readonly routeKey?: string } = {}): Promise<ViewerLayer[]> {
    const { routeKey = null, ...rest } = options;
    const payload =
      this.flavour === "openhcs"
        ? instance(controls, "ViewerStateControlOptions", [routeKey, true, null, true, null])
        : routeKey === null
          ? undefined
          : { route_key: routeKey };
    return list((await this.#ask("state", payload, rest)).layers)
      .map(readLayer)
      .filter((layer) => routeKey === null || layer.routeKey === routeKey);
  }

  /** Writes what is on screen to `path`, as PNG; the viewer writes the file, so that it must be on the same host. */
  async screenshot(path: string, options: Signal = {}): Promise<Screenshot> {
    const file = resolve(path);
    if (this.flavour === "tilecast") {
      const { width, height } = await this.#ask("screenshot", { path: file }, options);
      return { path: file, width: Number(width), height: Number(height) };
    }
    if (this.viewer === "fiji") throw this.#cannot("take a screenshot");
    // It chooses the file's name itself.
    const folder = mkdtempSync(join(tmpdir(), "tilecast-shot-"));
    try {
      const spec = instance(snapshots, "WindowSnapshotCaptureSpec", {
        output_dir_path: folder,
        capture_scope: member(snapshots, "WindowSnapshotCaptureScope", "widget"),
        frame_condition: member(snapshots, "WindowSnapshotFrameCondition", "immediate"),
        observation_timeout_s: new PyFloat(5),
      });
      const { resource, width, height } = await this.#ask("screenshot", spec, options);
      copyFileSync(String(asDict(resource)?.path), file);
      return { path: file, width: Number(width), height: Number(height) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Shows the plane with these values, of the layer `routeKey` or wherever they are. */
  async navigate(
    values: Partial<Readonly<Record<StreamComponent, ComponentValue>>>,
    options: Signal & { readonly routeKey?: string } = {},
  ): Promise<void> {
    const { routeKey, ...rest } = options;
    if (this.flavour === "tilecast") {
      await this.#ask(
        "navigate",
        {
          axis_indices: { ...values } as { [key: string]: PickleValue },
          ...(routeKey && { route_key: routeKey }),
        },
        rest,
      );
      return;
    }
    if (this.viewer === "fiji") throw this.#cannot("navigate");
    const layers = await this.state(options);
    const layer = layers[0];
    if (layer === undefined)
      throw new TilecastError("ERR_REMOTE", "navigate: the viewer shows no such layer");
    // It counts places along the axes instead of naming values.
    const indices: { [component: string]: number } = {};
    for (const [component, value] of Object.entries(values)) {
      const axis = list(asDict(layer.raw.axis_component_values)?.[component]);
      const at = axis.findIndex((v) => String(v) === String(value));
      if (at >= 0) indices[component] = at;
      else if (axis.length > 0)
        throw new TilecastError(
          "ERR_INVALID_ARGUMENT",
          `values.${component} must be one of ${axis.join(", ")}, got ${value}`,
          {
            argument: `values.${component}`,
          },
        );
    }
    const payload = [layer.routeKey, indices, true, true, null];
    await this.#ask("navigate", instance(controls, "ViewerNavigationControlOptions", payload), rest);
  }

  /** The pixels of one plane of a layer as the viewer has them, at most 32 MiB. tilecast's viewers only. */
  async readPlane(
    values: Partial<Readonly<Record<StreamComponent, ComponentValue>>>,
    options: Signal & { readonly routeKey: string },
  ): Promise<PlaneRead> {
    if (this.flavour === "openhcs") throw this.#cannot("give pixels back");
    const { routeKey, ...rest } = options;
    const payload = { route_key: routeKey, axis_indices: { ...values } as { [key: string]: PickleValue } };
    const reply = await this.#ask("read_plane", payload, rest);
    const { shape, dtype, bytes } = planeOf({
      path: "",
      data_type: "image",
      metadata: {},
      shape: numbers(reply.shape),
      dtype: String(reply.dtype),
    });
    const raw = Buffer.from(String(reply.data), "base64");
    if (raw.length !== bytes)
      throw new TilecastError("ERR_WIRE", `read_plane: expected ${bytes} bytes, and got ${raw.length}`);
    const type = dtype === "bool" ? "uint8" : dtype;
    // A buffer of its own, aligned for every dtype.
    const data = typedView(new Uint8Array(raw).buffer, type, 0, bytes / dtypeSize(type));
    return { shape, dtype, data, resident: reply.resident === true };
  }

  /** Fiji: runs an ImageJ macro. Throws ERR_REMOTE with the macro's error. */
  async runMacro(
    macro: string,
    argument?: string,
    options: Signal & { readonly timeoutMs?: number } = {},
  ): Promise<MacroResult> {
    if (this.viewer !== "fiji" || this.flavour === "openhcs") throw this.#cannot("run macros");
    const reply = await this.#ask(
      "run_macro",
      { macro, ...(argument !== undefined && { argument }) },
      { timeoutMs: 60_000, ...options },
    );
    return { result: String(reply.result ?? ""), log: String(reply.log ?? "") };
  }

  /** Fiji: a results table, by its title or the current one. */
  async resultsTable(title?: string, options: Signal = {}): Promise<ResultsTable> {
    if (this.viewer !== "fiji" || this.flavour === "openhcs") throw this.#cannot("give tables back");
    const reply = await this.#ask("results_table", title === undefined ? {} : { title }, options);
    return {
      title: String(reply.title ?? ""),
      columns: strings(reply.columns),
      rows: list(reply.rows).map((row) => list(row) as (string | number | null)[]),
    };
  }

  /** Ends the viewer's process. */
  async shutdown(options: Signal & { readonly force?: boolean } = {}): Promise<void> {
    const { force, ...rest } = options;
    await this.#ask(force ? "force_shutdown" : "shutdown", undefined, rest);
  }
}
