// SPDX-License-Identifier: MIT
// What changes how an image looks: channels with colour, histogram and range, slices and timepoints, labels; and the picked object.

import { useSignal, useSignalEffect } from "@preact/signals";
import { colorAt, gradientOf, isMapName, mapNames } from "../color-maps.js";
import { format } from "../plate/color-map.js";
import * as address from "../state/address.js";
import { source } from "../state/model.js";
import { picked } from "../state/objects.js";
import { type Cell, rows, table, whereObject } from "../state/table.js";
import type { SourceDescription } from "../state/types.js";
import {
  colorOf,
  histograms,
  labelChannel,
  labelFilled,
  labelName,
  labelOpacity,
  limitsOf,
  mapOf,
  setColor,
  setLimits,
  setMap,
} from "./display.js";
import type { Field } from "./field.js";
import type { Histogram } from "./histogram.js";

export function Controls(props: { field: Field | undefined; labels: Field | undefined; labelled: number }) {
  const { field, labels, labelled } = props;
  const s = source.value;
  if (s === undefined) return null;
  return (
    <aside class="controls" aria-label="Display">
      <section>
        <h2>
          Channels
          <button
            type="button"
            class="link"
            onClick={() => {
              for (const [c, h] of histograms.value.entries()) if (h) setLimits(s, c, h.auto);
            }}
          >
            auto
          </button>
        </h2>
        {s.channels.slice(0, field?.channels ?? s.channels.length).map((_, c) => (
          <Channel key={s.channels[c]?.number} s={s} c={c} histogram={histograms.value[c]} />
        ))}
      </section>
      {(field?.slices ?? 1) > 1 && <Slider title="Slice" count={field?.slices ?? 1} value={address.slice} />}
      {(field?.timepoints ?? 1) > 1 && (
        <Slider title="Timepoint" count={field?.timepoints ?? 1} value={address.timepoint} />
      )}
      {s.labels.length > 0 && (
        <section>
          <h2>Objects</h2>
          <div class="pair">
            <select
              aria-label="Label image"
              value={labelName.value ?? "-"}
              onChange={(e) => address.go(() => (address.label.value = e.currentTarget.value))}
            >
              {s.labels.map((name) => (
                <option key={name}>{name}</option>
              ))}
              <option value="-">not drawn</option>
            </select>
            <span class="group">
              <button
                type="button"
                aria-pressed={!labelFilled.value}
                onClick={() => (labelFilled.value = false)}
              >
                Outline
              </button>
              <button
                type="button"
                aria-pressed={labelFilled.value}
                onClick={() => (labelFilled.value = true)}
              >
                Fill
              </button>
            </span>
          </div>
          {labels !== undefined && labels.channels > 1 && (
            <label class="row">
              <span class="quiet">Of channel</span>
              <select
                value={labelled}
                onChange={(e) => {
                  labelChannel.value = Number(e.currentTarget.value);
                }}
              >
                {s.channels.slice(0, labels.channels).map((c, i) => (
                  <option value={i} key={c.number}>
                    {c.name}
                  </option>
                ))}
              </select>
            </label>
          )}
          {labelName.value !== undefined && (
            <label class="row">
              <span class="quiet">Opacity</span>
              <input
                type="range"
                min="0.1"
                max="1"
                step="0.05"
                value={labelOpacity.value}
                onInput={(e) => (labelOpacity.value = e.currentTarget.valueAsNumber)}
              />
            </label>
          )}
          {labelName.value !== undefined && labels === undefined && (
            <p class="quiet">No objects of this field yet.</p>
          )}
        </section>
      )}
      <PickedObject />
    </aside>
  );
}

function Channel({ s, c, histogram }: { s: SourceDescription; c: number; histogram: Histogram | undefined }) {
  const visible = !address.hidden.value.includes(c);
  const [low, high] = limitsOf(s, c);
  const min = Math.min(histogram?.min ?? 0, low);
  const max = Math.max(histogram?.max ?? 255, high);
  const step = Number.isInteger(min) && Number.isInteger(max) ? 1 : (max - min) / 1000;
  const name = s.channels[c]?.name ?? `Channel ${c + 1}`;
  const map = mapOf(s, c);
  const color = map === undefined ? colorOf(s, c) : `rgb(${colorAt(map, 0.7).join(" ")})`;
  const toggle = () =>
    address.go(() => {
      const others = address.hidden.value.filter((n) => n !== c);
      address.hidden.value = visible ? [...others, c].sort((a, b) => a - b) : others;
    });
  return (
    <div class={`channel ${visible ? "" : "off"}`} style={{ "--channel": color }}>
      <div class="channel-head">
        <label>
          <input type="checkbox" checked={visible} onChange={toggle} />
          {name}
        </label>
        <select
          class="map"
          aria-label={`Colour map of ${name}`}
          value={map ?? "colour"}
          onChange={({ currentTarget: { value } }) => setMap(s, c, isMapName(value) ? value : undefined)}
        >
          <option value="colour">colour</option>
          {mapNames.map((m) => (
            <option key={m}>{m}</option>
          ))}
        </select>
        {map === undefined ? (
          <input
            type="color"
            aria-label={`Colour of ${name}`}
            value={colorOf(s, c)}
            onInput={(e) => setColor(s, c, e.currentTarget.value)}
          />
        ) : (
          <span class="ramp" style={{ background: gradientOf(map) }} aria-hidden="true" />
        )}
      </div>
      <HistogramPlot histogram={histogram} min={min} max={max} limits={[low, high]} />
      <div class="channel-limits number quiet" aria-hidden="true">
        <span>{format(low)}</span>
        <span>{format(high)}</span>
      </div>
      <div class="range">
        <input
          type="range"
          aria-label={`Black of ${name}`}
          min={min}
          max={max}
          step={step}
          value={low}
          onInput={(e) => setLimits(s, c, [Math.min(e.currentTarget.valueAsNumber, high - step), high])}
        />
        <input
          type="range"
          aria-label={`White of ${name}`}
          min={min}
          max={max}
          step={step}
          value={high}
          onInput={(e) => setLimits(s, c, [low, Math.max(e.currentTarget.valueAsNumber, low + step)])}
        />
      </div>
    </div>
  );
}

/** Heights are logarithmic: images are mostly background. */
function HistogramPlot(props: {
  histogram: Histogram | undefined;
  min: number;
  max: number;
  limits: readonly [number, number];
}) {
  const { histogram, min, max, limits } = props;
  const span = max - min || 1;
  const x = (v: number) => ((v - min) / span) * 100;
  if (histogram === undefined) return <div class="histogram empty" />;
  const { counts } = histogram;
  const top = Math.log1p(Math.max(...counts));
  const width = (histogram.max - histogram.min) / counts.length;
  const points = counts.map((n, i) => {
    const y = 24 - (24 * Math.log1p(n)) / top;
    const left = x(histogram.min + i * width).toFixed(2);
    return `${left},${y.toFixed(2)} ${x(histogram.min + (i + 1) * width).toFixed(2)},${y.toFixed(2)}`;
  });
  return (
    <svg class="histogram" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`${x(histogram.min)},24 ${points.join(" ")} ${x(histogram.max)},24`} />
      <rect class="cut" x="0" y="0" width={x(limits[0])} height="24" />
      <rect class="cut" x={x(limits[1])} y="0" width={Math.max(0, 100 - x(limits[1]))} height="24" />
    </svg>
  );
}

function Slider(props: { title: string; count: number; value: typeof address.slice }) {
  const { title, count, value } = props;
  const shown = Math.min(value.value, count - 1);
  return (
    <section>
      <label class="row">
        <span>{title}</span>
        <input
          type="range"
          min="0"
          max={count - 1}
          value={shown}
          onInput={(e) => {
            const n = e.currentTarget.valueAsNumber;
            address.go(() => (value.value = n));
          }}
        />
        <span class="number">
          {shown + 1} / {count}
        </span>
      </label>
    </section>
  );
}

function PickedObject() {
  const found = useSignal<{ columns: readonly string[]; row: readonly Cell[] } | undefined>(undefined);
  const note = useSignal("");
  useSignalEffect(() => {
    const object = picked.value;
    const t = table.value;
    found.value = undefined;
    note.value = "";
    if (object === undefined || t.kind !== "ready") return;
    const controller = new AbortController();
    rows(t.source, { where: whereObject(object), limit: 1 }, controller.signal).then(
      ({ columns, rows: [row] }) => {
        if (row) found.value = { columns, row };
        else note.value = "It has no measurements.";
      },
      (error: Error) => {
        if (!controller.signal.aborted) note.value = error.message;
      },
    );
    return () => controller.abort();
  });
  const object = picked.value;
  if (object === undefined) return null;
  return (
    <section class="picked">
      <h2>
        Object {object.label}
        <button type="button" class="link" onClick={() => (picked.value = undefined)}>
          clear
        </button>
      </h2>
      {table.value.kind === "later" && <p class="quiet">Measurements come when the run has ended.</p>}
      {note.value !== "" && <p class="quiet">{note.value}</p>}
      {found.value && (
        <>
          <table>
            <tbody>
              {found.value.columns.map((name, i) => (
                <tr key={name}>
                  <th scope="row">{name.replaceAll("_", " ")}</th>
                  <td data-column={name}>
                    {typeof found.value?.row[i] === "number"
                      ? format(found.value.row[i] as number)
                      : found.value?.row[i]}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          <button type="button" onClick={() => address.go(() => (address.view.value = "table"), true)}>
            Show in the table
          </button>
        </>
      )}
    </section>
  );
}
