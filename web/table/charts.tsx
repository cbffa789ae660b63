// SPDX-License-Identifier: MIT
// Charts of the measurements: a histogram, and a scatter plot whose brush selects objects.

import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { extent, format } from "../plate/color-map.js";
import { type ObjectKey, picked, sameObject, selectedObjects } from "../state/objects.js";
import { get } from "../state/server.js";
import { objectOf, type Rows, rows } from "../state/table.js";

/** More points than that are a cloud of any shape; the chart says that there are more. */
const mostPoints = 50_000;

interface Counts {
  readonly min: number | null;
  readonly max: number | null;
  readonly counts: readonly number[];
}

/** Keeps a value in a signal that effects can follow, where a property changes. */
function useFollowed<T>(value: T) {
  const followed = useSignal(value);
  useEffect(() => {
    followed.value = value;
  });
  return followed;
}

export function HistogramChart({ id, column, where }: { id: string; column: string; where: string }) {
  const asked = useFollowed(JSON.stringify({ id, column, where }));
  const found = useSignal<Counts | undefined>(undefined);
  useSignalEffect(() => {
    const q = JSON.parse(asked.value) as { id: string; column: string; where: string };
    const controller = new AbortController();
    get<Counts>(
      `api/table/${q.id}`,
      { histogram: q.column, bins: 48, where: q.where },
      controller.signal,
    ).then(
      (counts) => {
        found.value = counts;
      },
      () => {
        if (!controller.signal.aborted) found.value = undefined;
      },
    );
    return () => controller.abort();
  });
  const data = found.value;
  if (data === undefined || data.min === null || data.max === null)
    return <div class="chart empty">No values</div>;
  const top = Math.max(1, ...data.counts);
  const width = 100 / data.counts.length;
  const step = (data.max - data.min) / data.counts.length;
  const min = data.min;
  return (
    <div class="chart">
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={`Histogram of ${column}`}>
        {data.counts.map((n, i) => (
          <rect
            key={i}
            x={i * width + width * 0.06}
            width={width * 0.88}
            y={100 - (100 * n) / top}
            height={(100 * n) / top}
          >
            <title>{`${format(min + i * step)} to ${format(min + (i + 1) * step)}: ${n}`}</title>
          </rect>
        ))}
      </svg>
      <div class="axis">
        <span>{format(data.min)}</span>
        <span class="quiet">at most {top.toLocaleString("en")} in a bar</span>
        <span>{format(data.max)}</span>
      </div>
    </div>
  );
}

const margin = 8;

interface Points {
  readonly rows: Rows;
  readonly objects: readonly ObjectKey[];
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  readonly spanX: readonly [number, number];
  readonly spanY: readonly [number, number];
}

function pointsOf(got: Rows, x: string, y: string): Points | undefined {
  const column = (name: string) => {
    const at = got.columns.indexOf(name);
    return Float64Array.from(got.rows, (row) =>
      typeof row[at] === "number" ? (row[at] as number) : Number.NaN,
    );
  };
  const [xs, ys] = [column(x), column(y)];
  const [spanX, spanY] = [extent(xs), extent(ys)];
  if (spanX === undefined || spanY === undefined) return undefined;
  return { rows: got, objects: got.rows.map((row) => objectOf(got.columns, row)), xs, ys, spanX, spanY };
}

export function ScatterChart({ id, x, y, where }: { id: string; x: string; y: string; where: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const asked = useFollowed(JSON.stringify({ id, x, y, where }));
  const found = useSignal<Points | undefined>(undefined);
  const size = useSignal({ width: 300, height: 160 });
  const brush = useSignal<{ x0: number; y0: number; x1: number; y1: number } | undefined>(undefined);

  useSignalEffect(() => {
    const q = JSON.parse(asked.value) as { id: string; x: string; y: string; where: string };
    const controller = new AbortController();
    const columns = [...new Set(["well", "site", "channel", "timepoint", "label", q.x, q.y])].join(",");
    rows(q.id, { columns, where: q.where, limit: mostPoints }, controller.signal).then(
      (got) => {
        found.value = pointsOf(got, q.x, q.y);
      },
      () => {
        if (!controller.signal.aborted) found.value = undefined;
      },
    );
    return () => controller.abort();
  });

  useEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    const observer = new ResizeObserver(() => {
      size.value = { width: element.clientWidth, height: element.clientHeight };
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const place = (data: Points, i: number): [number, number] => {
    const { width, height } = size.peek();
    const part = (v: number, [min, max]: readonly [number, number]) =>
      max > min ? (v - min) / (max - min) : 0.5;
    return [
      margin + part(data.xs[i] ?? Number.NaN, data.spanX) * (width - 2 * margin),
      height - margin - part(data.ys[i] ?? Number.NaN, data.spanY) * (height - 2 * margin),
    ];
  };

  useSignalEffect(() => {
    const { width, height } = size.value;
    const data = found.value;
    const context = canvas.current?.getContext("2d");
    if (!context || !canvas.current) return;
    canvas.current.width = width * devicePixelRatio;
    canvas.current.height = height * devicePixelRatio;
    context.scale(devicePixelRatio, devicePixelRatio);
    if (data === undefined) return;
    const style = getComputedStyle(canvas.current);
    const chosen = new Set(selectedObjects.value.map((o) => JSON.stringify(o)));
    const one = picked.value;
    const draw = (color: string, radius: number, which: (i: number) => boolean) => {
      context.fillStyle = color;
      for (let i = 0; i < data.objects.length; i++) {
        if (!which(i)) continue;
        const [px, py] = place(data, i);
        context.fillRect(px - radius, py - radius, 2 * radius, 2 * radius);
      }
    };
    context.globalAlpha = data.objects.length > 2000 ? 0.4 : 0.7;
    const isChosen = data.objects.map((o) => chosen.size > 0 && chosen.has(JSON.stringify(o)));
    draw(style.getPropertyValue("--point"), 1.25, (i) => !isChosen[i]);
    context.globalAlpha = 1;
    draw(style.getPropertyValue("--accent"), 1.75, (i) => isChosen[i] === true);
    draw(style.getPropertyValue("--picked"), 4, (i) => sameObject(data.objects[i], one));
    const b = brush.value;
    if (b) {
      context.strokeStyle = style.getPropertyValue("--accent");
      context.strokeRect(
        Math.min(b.x0, b.x1),
        Math.min(b.y0, b.y1),
        Math.abs(b.x1 - b.x0),
        Math.abs(b.y1 - b.y0),
      );
    }
  });

  const at = (event: PointerEvent) => {
    const box = (canvas.current as HTMLCanvasElement).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const finish = () => {
    const b = brush.value;
    const data = found.value;
    brush.value = undefined;
    if (b === undefined || data === undefined) return;
    if (Math.hypot(b.x1 - b.x0, b.y1 - b.y0) < 4) {
      // A click takes the nearest point within reach, or clears.
      let best = -1;
      let reach = 10;
      for (let i = 0; i < data.objects.length; i++) {
        const [px, py] = place(data, i);
        const distance = Math.hypot(px - b.x0, py - b.y0);
        if (distance < reach) [best, reach] = [i, distance];
      }
      if (best >= 0) picked.value = data.objects[best];
      else selectedObjects.value = [];
      return;
    }
    selectedObjects.value = data.objects.filter((_, i) => {
      const [px, py] = place(data, i);
      return (
        px >= Math.min(b.x0, b.x1) &&
        px <= Math.max(b.x0, b.x1) &&
        py >= Math.min(b.y0, b.y1) &&
        py <= Math.max(b.y0, b.y1)
      );
    });
  };

  const data = found.value;
  return (
    <div class="chart">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${y} by ${x}`}
        onPointerDown={(e) => {
          const p = at(e);
          e.currentTarget.setPointerCapture(e.pointerId);
          brush.value = { x0: p.x, y0: p.y, x1: p.x, y1: p.y };
        }}
        onPointerMove={(e) => {
          const b = brush.value;
          if (b === undefined) return;
          const p = at(e);
          brush.value = { ...b, x1: p.x, y1: p.y };
        }}
        onPointerUp={finish}
        onPointerCancel={() => (brush.value = undefined)}
      />
      <div class="axis">
        <span>{data ? format(data.spanX[0]) : ""}</span>
        <span class="quiet">
          {data && data.rows.total > data.objects.length
            ? `the first ${data.objects.length.toLocaleString("en")} of ${data.rows.total.toLocaleString("en")}`
            : data
              ? `vertical ${format(data.spanY[0])} to ${format(data.spanY[1])}`
              : "No values"}
        </span>
        <span>{data ? format(data.spanX[1]) : ""}</span>
      </div>
    </div>
  );
}
