// SPDX-License-Identifier: MIT
// The image of a field, beside the plane it was made of if wanted: opens what the address asks for, and again when planes arrive.

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import * as address from "../state/address.js";
import { fieldPath, input, onTile, source, well } from "../state/model.js";
import { type ObjectKey, picked, placeOf, selectedByPlace } from "../state/objects.js";
import { Controls } from "./controls.js";
import { histograms, labelChannel, labelFilled, labelName, labelOpacity, looks } from "./display.js";
import { middle, type Opened, openAll } from "./open-field.js";
import { saveImage } from "./save-image.js";
import { ScaleBar } from "./scale-bar.js";
import { type Camera, type Pane, Viewer } from "./viewer.js";

/** Planes of a field come in quick succession; they are fetched together. */
const refetchMs = 250;

interface Pointer {
  readonly x: number;
  readonly y: number;
  readonly pane: Pane["id"];
  readonly values: readonly (number | undefined)[];
  readonly label: number | undefined;
}

const noWebGl2 =
  "Images need WebGL2, which this browser does not give: enable hardware acceleration, or use another browser.";

function hasWebGl2(): boolean {
  const context = document.createElement("canvas").getContext("webgl2");
  // Browsers allow a few contexts at a time; this one is not waited for until it is collected.
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

export function ImageView() {
  const container = useRef<HTMLDivElement>(null);
  const viewer = useRef<Viewer | undefined>(undefined);
  const opened = useSignal<Opened | undefined>(undefined);
  const failure = useSignal("");
  const loading = useSignal(true);
  const camera = useSignal<Camera | undefined>(undefined);
  const pointer = useSignal<Pointer | undefined>(undefined);
  const arrivals = useSignal(0);

  useEffect(() => {
    if (!hasWebGl2()) {
      failure.value = noWebGl2;
      return;
    }
    const made = new Viewer(container.current as HTMLDivElement, {
      camera: (c) => {
        camera.value = c;
      },
      error: (error) => {
        failure.value = error.message;
      },
      drawn: () => {
        if (performance.getEntriesByName("first-pixels").length === 0) performance.mark("first-pixels");
        container.current?.setAttribute("data-drawn", opened.peek()?.key ?? "");
      },
    });
    viewer.current = made;
    return () => {
      viewer.current = undefined;
      made.close();
    };
  }, []);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = onTile((tile) => {
      if (tile.source !== source.peek()?.id) return;
      const path = fieldPath.peek();
      if (path === undefined || !(tile.path === path || tile.path.startsWith(`${path}/`))) return;
      timer ??= setTimeout(() => {
        timer = undefined;
        arrivals.value++;
      }, refetchMs);
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, []);

  const wanted = useComputed(() =>
    [
      source.value?.id,
      fieldPath.value,
      // The ranges of a run's end, and its last planes.
      source.value?.live,
      address.beside.value && input.value?.id,
      labelName.value,
      address.slice.value,
      address.timepoint.value,
      arrivals.value,
    ].join("|"),
  );

  useSignalEffect(() => {
    const key = wanted.value;
    if (source.peek() === undefined || fieldPath.peek() === undefined) {
      loading.value = false;
      return;
    }
    const controller = new AbortController();
    loading.value = true;
    openAll(key, controller.signal).then(
      (all) => {
        if (viewer.current) failure.value = "";
        loading.value = false;
        opened.value = all;
      },
      (error: Error) => {
        if (controller.signal.aborted) return;
        loading.value = false;
        opened.value = undefined;
        failure.value = source.peek()?.live
          ? "This field has not been written yet. It appears with its first plane."
          : `The image cannot be read: ${error.message}`;
      },
    );
    return () => controller.abort();
  });

  /** Channel whose labels are drawn. */
  const labelled = useComputed(() => {
    const all = opened.value;
    const chosen = labelChannel.value;
    return chosen !== undefined && chosen < (all?.labels?.channels ?? 0) ? chosen : (all?.firstLabelled ?? 0);
  });

  const plane = () => ({ t: address.timepoint.value, z: address.slice.value });

  /** Of the labels' channel in the shown field, the numbers by which measurements name it. */
  const place = useComputed<Omit<ObjectKey, "label"> | undefined>(() => {
    const s = source.value;
    const name = well.value;
    const all = opened.value;
    if (s === undefined || name === undefined || all === undefined) return undefined;
    const index = s.fields[name]?.indexOf(fieldPath.value ?? "") ?? 0;
    return {
      well: name,
      site: s.sites[name]?.[index] ?? index,
      channel: s.channels[labelled.value]?.number ?? labelled.value + 1,
      timepoint: address.timepoint.value + 1,
    };
  });

  useSignalEffect(() => {
    const all = opened.value;
    const s = source.value;
    if (all === undefined || s === undefined || viewer.current === undefined) return;
    const panes: Pane[] = [
      { id: "main", field: all.main, plane: plane(), channels: looks(s, all.main.channels) },
    ];
    const other = input.value;
    if (all.beside && other) {
      const besidePlane = { t: plane().t, z: middle(all.beside, plane().z) };
      panes.push({
        id: "input",
        field: all.beside,
        plane: besidePlane,
        // Ranges that are the same show what the run has changed; of another pixel type they would show nothing.
        channels: looks(all.beside.dtype === all.main.dtype ? s : other, all.beside.channels),
      });
    }
    const at = place.value;
    const selected = (at && selectedByPlace.value.get(placeOf(at))) ?? new Set<number>();
    const own = at && picked.value && placeOf(picked.value) === placeOf(at) ? picked.value.label : undefined;
    viewer.current.show(
      panes,
      all.labels && {
        field: all.labels,
        plane: { ...plane(), c: labelled.value },
        filled: labelFilled.value,
        opacity: labelOpacity.value,
        marks: { selected, picked: own },
      },
    );
  });

  const read = async (x: number, y: number): Promise<Pointer | undefined> => {
    const all = opened.peek();
    const hit = viewer.current?.pixelAt(x, y);
    if (all === undefined || hit === undefined) return undefined;
    const { pane } = hit;
    const probe = all.probes.get(pane.field);
    const values = await Promise.all(
      pane.channels.map((c, i) => (c.visible ? probe?.at(hit.x, hit.y, { ...pane.plane, c: i }) : undefined)),
    );
    const of = all.labels && all.probes.get(all.labels);
    const label = await of?.at(hit.x, hit.y, { ...plane(), c: labelled.value });
    if (hit.x < 0 || hit.y < 0 || hit.x >= pane.field.width || hit.y >= pane.field.height) return undefined;
    return { x: hit.x, y: hit.y, pane: pane.id, values, label };
  };

  /** Only the newest place is asked for: reading one may wait for its tile. */
  const asking = useRef(0);
  const point = (event: PointerEvent) => {
    const box = (container.current as HTMLDivElement).getBoundingClientRect();
    const turn = ++asking.current;
    requestAnimationFrame(async () => {
      if (turn !== asking.current) return;
      const found = await read(event.clientX - box.left, event.clientY - box.top).catch(() => undefined);
      if (turn === asking.current) pointer.value = found;
    });
  };

  const pressed = useRef<{ x: number; y: number } | undefined>(undefined);
  const pick = async (event: PointerEvent) => {
    const from = pressed.current;
    pressed.current = undefined;
    if (from === undefined || event.button !== 0) return;
    // A drag moves the image.
    if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > 4) return;
    const box = (container.current as HTMLDivElement).getBoundingClientRect();
    const found = await read(event.clientX - box.left, event.clientY - box.top).catch(() => undefined);
    const at = place.peek();
    picked.value = found?.label && at ? { ...at, label: found.label } : undefined;
  };

  const fieldCount = source.value?.fields[well.value ?? ""]?.length ?? 0;
  const turn = (by: number) => {
    const next = Math.min(fieldCount - 1, Math.max(0, address.field.value + by));
    address.go(() => (address.field.value = next), next !== address.field.value);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const v = viewer.current;
    if (v === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 200 : 50;
    const keys: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => v.nudge(-step, 0),
      ArrowRight: () => v.nudge(step, 0),
      ArrowUp: () => v.nudge(0, -step),
      ArrowDown: () => v.nudge(0, step),
      "+": () => v.nudge(0, 0, 0.5),
      "=": () => v.nudge(0, 0, 0.5),
      "-": () => v.nudge(0, 0, -0.5),
      "0": () => v.fit(),
      "1": () => v.zoomTo(0),
      "[": () => turn(-1),
      "]": () => turn(1),
      Escape: () => {
        picked.value = undefined;
      },
    };
    const act = keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  };

  const shown = source.value;
  const all = opened.value;
  const title = `${(shown?.kind === "image" ? shown.name : well.value) ?? ""}${fieldCount > 1 ? `, field ${Math.min(address.field.value, fieldCount - 1) + 1}` : ""}`;
  return (
    <div class="image-view">
      <div class="image-stage">
        <div class="image-bar">
          <h1 class="image-title">{title}</h1>
          {fieldCount > 1 && (
            <span class="group">
              <button
                type="button"
                aria-label="Previous field"
                disabled={address.field.value <= 0}
                onClick={() => turn(-1)}
              >
                {"\u2039"}
              </button>
              <span class="number">
                {Math.min(address.field.value, fieldCount - 1) + 1} / {fieldCount}
              </span>
              <button
                type="button"
                aria-label="Next field"
                disabled={address.field.value >= fieldCount - 1}
                onClick={() => turn(1)}
              >
                {"\u203a"}
              </button>
            </span>
          )}
          <span class="group">
            <button type="button" onClick={() => viewer.current?.fit()} title="Fit (0)">
              Fit
            </button>
            <button
              type="button"
              onClick={() => viewer.current?.zoomTo(0)}
              title="One image pixel is one screen pixel (1)"
            >
              1:1
            </button>
            <button type="button" aria-label="Zoom out" onClick={() => viewer.current?.nudge(0, 0, -0.5)}>
              {"\u2212"}
            </button>
            <button type="button" aria-label="Zoom in" onClick={() => viewer.current?.nudge(0, 0, 0.5)}>
              +
            </button>
          </span>
          {input.value && (
            <button
              type="button"
              aria-pressed={address.beside.value}
              onClick={() => address.go(() => (address.beside.value = !address.beside.value))}
            >
              Input beside
            </button>
          )}
          <span class="space" />
          <button
            type="button"
            disabled={all === undefined}
            onClick={() => {
              const v = viewer.current;
              if (v && shown) void saveImage(v, shown, title);
            }}
          >
            Save PNG
          </button>
        </div>
        <div
          class="image-canvas"
          ref={container}
          role="application"
          aria-label={`Image of ${title}. Arrow keys move, plus and minus zoom, 0 fits, 1 is full size, brackets change the field.`}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the canvas is moved and zoomed by keys
          tabIndex={0}
          onKeyDown={onKeyDown}
          onPointerDown={(e) => {
            pressed.current = { x: e.clientX, y: e.clientY };
            container.current?.focus({ preventScroll: true });
          }}
          onPointerUp={(e) => void pick(e)}
          onPointerMove={point}
          onPointerLeave={() => {
            asking.current++;
            pointer.value = undefined;
          }}
        />
        {all?.beside && (
          <div class="pane-names" aria-hidden="true">
            <span>{input.value?.name} (input)</span>
            <span>{shown?.name} (results)</span>
          </div>
        )}
        {all && histograms.value.every((h) => h === undefined) && shown?.live && (
          <p class="image-note">Waiting for the planes of this field</p>
        )}
        {failure.value !== "" && (
          <p class="image-note" role="alert">
            {failure.value}
          </p>
        )}
        {loading.value && all === undefined && <p class="image-note">Loading {title}</p>}
        {camera.value && shown && <ScaleBar camera={camera.value} pixelSize={shown.pixelSize} />}
        <output class="image-status" aria-label="Pixel under the pointer">
          {pointer.value && shown ? (
            <>
              <span class="number">
                x {pointer.value.x} y {pointer.value.y}
              </span>
              {pointer.value.values.map((v, c) =>
                v === undefined ? null : (
                  <span class="number" key={shown.channels[c]?.number} data-channel={c}>
                    {(pointer.value?.pane === "input" ? input.value : shown)?.channels[c]?.name}{" "}
                    <b>{Number.isInteger(v) ? v : v.toPrecision(5)}</b>
                  </span>
                ),
              )}
              {pointer.value.label ? <span class="number">object {pointer.value.label}</span> : null}
            </>
          ) : (
            <span>{camera.value ? `${(100 * 2 ** camera.value.zoom).toPrecision(3)} %` : ""}</span>
          )}
        </output>
      </div>
      <Controls field={all?.main} labels={all?.labels} labelled={labelled.value} />
    </div>
  );
}
