// SPDX-License-Identifier: MIT
// Draws fields with deck.gl and viv on WebGL2: one pane, or two that pan and zoom together; no more than drawing and coordinates.

import { Deck, type Layer, OrthographicView } from "@deck.gl/core";
import { MultiscaleImageLayer, XRLayer } from "@vivjs/layers";
import type { Field, PlaneIndex } from "./field.js";
import { LabelLayer, type Marks } from "./label-layer.js";
import { type ChannelColor, LutExtension, lutOf } from "./lut-extension.js";
import { LevelSource } from "./tile-source.js";

export interface ChannelLook {
  readonly visible: boolean;
  readonly color: ChannelColor;
  readonly limits: readonly [number, number];
}

export interface Pane {
  readonly id: "main" | "input";
  readonly field: Field;
  readonly plane: Omit<PlaneIndex, "c">;
  /** One a channel of the field. */
  readonly channels: readonly ChannelLook[];
}

export interface LabelLook {
  readonly field: Field;
  readonly plane: PlaneIndex;
  readonly filled: boolean;
  readonly opacity: number;
  readonly marks: Marks;
}

export interface Camera {
  readonly target: readonly [number, number];
  /** log2 of screen pixels per image pixel. */
  readonly zoom: number;
}

/** viv's types are of its own React components' props; deck.gl's of any layer are what is needed here. */
const TiledLayer = MultiscaleImageLayer as unknown as new (props: object) => Layer;

/** viv draws so many channels at once. */
export const mostChannels = 10;
const tables = [new LutExtension()];
const [minZoom, maxZoom] = [-10, 6];

interface TileProps {
  readonly id: string;
  readonly tile: {
    readonly index: { readonly x: number; readonly y: number; readonly z: number };
    readonly bbox: {
      readonly left: number;
      readonly top: number;
      readonly right: number;
      readonly bottom: number;
    };
  };
  readonly data: { readonly width: number; readonly height: number } | null;
  readonly loader: readonly LevelSource[];
}

/** A tile as a layer of the given class; unlike viv's own it never interpolates, so that a pixel on screen is a pixel of the file. */
function tileLayer(Kind: typeof XRLayer) {
  return (props: TileProps) => {
    const { bbox, index } = props.tile;
    const { data, loader } = props;
    const [base] = loader;
    if (data === null || base === undefined || data.width === 0 || data.height === 0) return null;
    const [height, width] = base.shape.slice(-2) as [number, number];
    const right = data.width < base.tileSize ? width : bbox.right;
    const bottom = data.height < base.tileSize ? height : bbox.bottom;
    return new Kind(props, {
      id: `${props.id}-${index.z}-${index.x}-${index.y}`,
      channelData: data,
      bounds: [bbox.left, bottom, right, bbox.top],
      interpolation: "nearest",
      dtype: base.dtype,
    });
  };
}
const imageTile = tileLayer(XRLayer);
const labelTile = tileLayer(LabelLayer as unknown as typeof XRLayer);

const levelsOf = new WeakMap<Field, LevelSource[]>();
/** The same array each time: a new one makes viv load everything again. */
function levels(field: Field): LevelSource[] {
  let made = levelsOf.get(field);
  if (made === undefined) {
    made = field.levels.map((_, level) => new LevelSource(field, level));
    levelsOf.set(field, made);
  }
  return made;
}

export class Viewer {
  readonly #deck: Deck<OrthographicView[]>;
  #camera: Camera | undefined;
  #panes: readonly Pane[] = [];
  #labels: LabelLook | undefined;
  #size: readonly [number, number] = [1, 1];
  /** Whether the user has not moved the camera since it was fitted. */
  #fitted = true;
  readonly #selections = new Map<string, { key: string; value: PlaneIndex[] }>();

  constructor(
    readonly container: HTMLDivElement,
    readonly on: {
      /** The camera moved, or the panes changed size. */
      readonly camera: (camera: Camera) => void;
      readonly error: (error: Error) => void;
      /** All that is to be seen at this camera has been drawn. */
      readonly drawn: () => void;
    },
  ) {
    this.#deck = new Deck<OrthographicView[]>({
      parent: container,
      views: this.#views(1),
      viewState: {},
      layers: [],
      useDevicePixels: Math.min(2, devicePixelRatio),
      // Layers are not picked: coordinates are all that is needed, and picking would draw everything twice.
      pickingRadius: 0,
      layerFilter: ({ layer, viewport }) =>
        layer.id.endsWith(`@${viewport.id}`) || layer.id.includes(`@${viewport.id}-`),
      getCursor: ({ isDragging }) => (isDragging ? "grabbing" : "crosshair"),
      onResize: ({ width, height }) => {
        this.#size = [width, height];
        if (this.#fitted) this.fit();
        else this.#place();
      },
      onViewStateChange: ({ viewState }) => {
        const { target, zoom } = viewState as unknown as { target: number[]; zoom: number };
        this.#fitted = false;
        this.move({ target: [target[0] ?? 0, target[1] ?? 0], zoom });
      },
      onError: (error) => on.error(error),
      deviceProps: { type: "webgl" },
    });
  }

  get camera(): Camera | undefined {
    return this.#camera;
  }

  /** Panes side by side. */
  #views(count: number): OrthographicView[] {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const controller = {
      inertia: still ? 0 : 200,
      scrollZoom: { speed: 0.006, smooth: !still },
      doubleClickZoom: false,
      keyboard: false,
      touchRotate: false,
    };
    const width = count === 1 ? "100%" : "50%";
    const views = [new OrthographicView({ id: "main", x: count === 1 ? 0 : "50%", width, controller })];
    if (count > 1) views.push(new OrthographicView({ id: "input", x: 0, width, controller }));
    return views;
  }

  show(panes: readonly Pane[], labels: LabelLook | undefined): void {
    const before = this.#panes;
    this.#panes = panes;
    this.#labels = labels;
    const [main] = panes;
    if (before.length !== panes.length) this.#deck.setProps({ views: this.#views(panes.length) });
    const resized =
      before[0]?.field.width !== main?.field.width || before[0]?.field.height !== main?.field.height;
    this.#deck.setProps({ layers: this.#layers() });
    if (main && (resized || (this.#fitted && before.length !== panes.length))) this.fit();
    else this.#place();
  }

  /** Planes of a pane's channels that are seen; the same array while they are the same, for the same reason as levels. */
  #seen(pane: Pane): { indexes: number[]; selections: PlaneIndex[] } {
    const indexes = pane.channels
      .map((_, c) => c)
      .filter((c) => pane.channels[c]?.visible && c < pane.field.channels)
      .slice(0, mostChannels);
    const key = `${pane.plane.t}/${pane.plane.z}/${indexes}`;
    const known = this.#selections.get(pane.id);
    if (known?.key === key) return { indexes, selections: known.value };
    const value = indexes.map((c) => ({ ...pane.plane, c }));
    this.#selections.set(pane.id, { key, value });
    return { indexes, selections: value };
  }

  #layers(): Layer[] {
    const layers: Layer[] = [];
    for (const pane of this.#panes) {
      const { indexes, selections } = this.#seen(pane);
      const loader = levels(pane.field);
      if (selections.length > 0)
        layers.push(
          new TiledLayer({
            id: `image@${pane.id}`,
            loader,
            dtype: pane.field.dtype,
            selections,
            lut: lutOf(indexes.map((c) => (pane.channels[c] as ChannelLook).color)),
            contrastLimits: indexes.map((c) => pane.channels[c]?.limits),
            channelsVisible: indexes.map(() => true),
            extensions: tables,
            viewportId: pane.id,
            renderSubLayers: imageTile,
            refinementStrategy: "best-available",
            excludeBackground: true,
            maxCacheSize: 96,
            maxRequests: 12,
            pickable: false,
            onViewportLoad: pane.id === "main" ? this.on.drawn : null,
          }),
        );
      const labels = this.#labels;
      if (labels === undefined) continue;
      layers.push(
        new TiledLayer({
          id: `labels@${pane.id}`,
          loader: levels(labels.field),
          dtype: labels.field.dtype,
          selections: this.#labelSelection(labels.plane),
          contrastLimits: [[0, 1]],
          channelsVisible: [true],
          extensions: [],
          viewportId: pane.id,
          renderSubLayers: labelTile,
          refinementStrategy: "no-overlap",
          excludeBackground: true,
          maxCacheSize: 48,
          pickable: false,
          filled: labels.filled,
          labelOpacity: labels.opacity,
          marks: labels.marks,
        }),
      );
    }
    return layers;
  }

  #labelSelection(plane: PlaneIndex): PlaneIndex[] {
    const key = `${plane.t}/${plane.z}/${plane.c}`;
    const known = this.#selections.get("labels");
    if (known?.key === key) return known.value;
    const value = [plane];
    this.#selections.set("labels", { key, value });
    return value;
  }

  #paneSize(): [number, number] {
    return [this.#size[0] / Math.max(1, this.#panes.length), this.#size[1]];
  }

  #place(): void {
    const camera = this.#camera;
    if (camera === undefined) return;
    const state = { target: [...camera.target, 0], zoom: camera.zoom, minZoom, maxZoom };
    this.#deck.setProps({ viewState: { main: state, input: state } as never });
    this.on.camera(camera);
  }

  move({ target, zoom }: Camera): void {
    const field = this.#panes[0]?.field;
    const inside = (v: number, size = 0) => Math.min(size, Math.max(0, v));
    this.#camera = {
      target: [inside(target[0], field?.width), inside(target[1], field?.height)],
      zoom: Math.min(maxZoom, Math.max(minZoom, zoom)),
    };
    this.#place();
  }

  /** The whole image in the pane. */
  fit(): void {
    const field = this.#panes[0]?.field;
    const [width, height] = this.#paneSize();
    if (field === undefined || width < 2 || height < 2) return;
    const scale = Math.min(width / field.width, height / field.height);
    this.move({ target: [field.width / 2, field.height / 2], zoom: Math.log2(scale * 0.98) });
    this.#fitted = true;
  }

  /** Moves by screen pixels and zooms by powers of two, about the middle or about a point of the container. */
  nudge(dx: number, dy: number, dz = 0): void {
    const camera = this.#camera;
    if (camera === undefined) return;
    const scale = 2 ** camera.zoom;
    this.#fitted = false;
    this.move({
      target: [camera.target[0] + dx / scale, camera.target[1] + dy / scale],
      zoom: camera.zoom + dz,
    });
  }

  zoomTo(zoom: number): void {
    if (this.#camera === undefined) return;
    this.#fitted = false;
    this.move({ ...this.#camera, zoom });
  }

  /** The image pixel at a point of the container, and in which pane; it may lie outside of the image. */
  pixelAt(x: number, y: number): { pane: Pane; x: number; y: number } | undefined {
    const camera = this.#camera;
    const [width, height] = this.#paneSize();
    // With two panes the input is on the left.
    const at = Math.min(this.#panes.length - 1, Math.max(0, Math.floor(x / width)));
    const pane = this.#panes.length > 1 ? this.#panes[1 - at] : this.#panes[0];
    if (camera === undefined || pane === undefined) return undefined;
    const scale = 2 ** camera.zoom;
    return {
      pane,
      x: Math.floor(camera.target[0] + (x - at * width - width / 2) / scale),
      y: Math.floor(camera.target[1] + (y - height / 2) / scale),
    };
  }

  /** What is shown, as a canvas of the screen's pixels. */
  snapshot(): HTMLCanvasElement {
    this.#deck.redraw("export");
    const shown = this.#deck.getCanvas() as HTMLCanvasElement;
    const copy = document.createElement("canvas");
    copy.width = shown.width;
    copy.height = shown.height;
    const context = copy.getContext("2d") as CanvasRenderingContext2D;
    context.fillStyle = "#000";
    context.fillRect(0, 0, copy.width, copy.height);
    // In the same task as drawing: the browser may clear the drawing buffer afterwards.
    context.drawImage(shown, 0, 0);
    return copy;
  }

  close(): void {
    this.#deck.finalize();
  }
}
