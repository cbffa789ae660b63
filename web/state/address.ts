// SPDX-License-Identifier: MIT
// What is shown, kept in the address after the `#`, so that it can be reloaded, sent, and gone back to.

import { batch, signal } from "@preact/signals";

export const views = ["image", "table", "run", "machine"] as const;
export type View = (typeof views)[number];

export const view = signal<View>("image");
/** Id of the source; empty: the first one. */
export const sourceId = signal("");
/** The well whose image is shown; empty: the first one. */
export const well = signal("");
/** Index among the well's fields. */
export const field = signal(0);
export const slice = signal(0);
export const timepoint = signal(0);
/** Indexes of channels that are not shown. */
export const hidden = signal<readonly number[]>([]);
/** Whether the input is shown beside the results. */
export const beside = signal(false);
/** Name of the label image that is drawn over; "-" none, empty: the first one. */
export const label = signal("");
/** What the plate is coloured by; empty: the state of the run, else the number of objects. */
export const measure = signal("");

const whole = (text: string | null): number => {
  const n = Number(text ?? 0);
  return Number.isSafeInteger(n) && n >= 0 ? n : 0;
};

function read(): void {
  const q = new URLSearchParams(location.hash.slice(1));
  const v = q.get("view") as View | null;
  batch(() => {
    view.value = v !== null && views.includes(v) ? v : "image";
    sourceId.value = q.get("source") ?? "";
    well.value = q.get("well") ?? "";
    field.value = whole(q.get("field"));
    slice.value = whole(q.get("z"));
    timepoint.value = whole(q.get("t"));
    hidden.value = (q.get("hide") ?? "")
      .split(",")
      .filter((n) => /^\d+$/.test(n))
      .map(Number);
    beside.value = q.get("beside") === "1";
    label.value = q.get("label") ?? "";
    measure.value = q.get("by") ?? "";
  });
}

function write(): string {
  const q = new URLSearchParams();
  const put = (name: string, value: string | number, absent: string | number) => {
    if (value !== absent) q.set(name, String(value));
  };
  put("view", view.value, "image");
  put("source", sourceId.value, "");
  put("well", well.value, "");
  put("field", field.value, 0);
  put("z", slice.value, 0);
  put("t", timepoint.value, 0);
  put("hide", hidden.value.join(","), "");
  put("beside", beside.value ? 1 : 0, 0);
  put("label", label.value, "");
  put("by", measure.value, "");
  return `#${q}`;
}

/** Changes what is shown. `step` makes it a step that the back button undoes. */
export function go(change: () => void, step = false): void {
  batch(change);
  const hash = write();
  if (hash === location.hash || (hash === "#" && location.hash === "")) return;
  if (step) history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
}

/** Reads the address, now and when the user goes back. */
export function followAddress(): void {
  read();
  addEventListener("popstate", read);
  addEventListener("hashchange", read);
}
