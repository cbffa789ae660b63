// SPDX-License-Identifier: MIT
// Which values of each component exist, and their names ("DAPI"): what a viewer needs to lay out axes before everything has come.

import { type ComponentValues, type StreamComponent, streamComponents } from "./payload.js";

export type ComponentValue = string | number;
export type ValueDomain = { readonly [C in StreamComponent]?: readonly ComponentValue[] };
/** Names by component and value: `{ channel: { 1: "DAPI" } }`. */
export type ValueNames = {
  readonly [C in StreamComponent]?: Readonly<Record<string, string | null>>;
};

const natural = new Intl.Collator("en", { numeric: true });

const asNumber = (value: ComponentValue): number | undefined =>
  typeof value === "number" || /^-?\d+$/.test(value) ? Number(value) : undefined;

/**
 * Numbers (and texts of digits) first, by value, then texts in natural order: A2 before A10. Only values of the same text are equal, so
 * that 1 and "1" are one value.
 */
export function compareValues(a: ComponentValue, b: ComponentValue): number {
  const [x, y] = [asNumber(a), asNumber(b)];
  if (x !== undefined && y === undefined) return -1;
  if (x === undefined && y !== undefined) return 1;
  const [s, t] = [String(a), String(b)];
  const order = x !== undefined && y !== undefined ? x - y : natural.compare(s, t);
  return order || (s < t ? -1 : Number(s > t));
}

/** Grows with what is sent; what was declared at the start is there from the start. */
export class ComponentCatalogue {
  readonly #values: Record<StreamComponent, Set<ComponentValue>>;
  #names: ValueNames = {};
  #sorted: { readonly [C in StreamComponent]: readonly ComponentValue[] } | undefined;
  /** Changes whenever a value is added. */
  revision = 0;

  constructor(declared: { readonly values?: ValueDomain; readonly names?: ValueNames } = {}) {
    this.#values = Object.fromEntries(streamComponents.map((c) => [c, new Set()])) as Record<
      StreamComponent,
      Set<ComponentValue>
    >;
    this.declare(declared);
  }

  /** Adds values, and names over those of before. */
  declare({ values = {}, names = {} }: { readonly values?: ValueDomain; readonly names?: ValueNames }): void {
    for (const c of streamComponents) {
      for (const value of values[c] ?? []) this.#values[c].add(value);
      if (names[c]) this.#names = { ...this.#names, [c]: { ...this.#names[c], ...names[c] } };
    }
    this.#sorted = undefined;
    this.revision++;
  }

  add(components: ComponentValues): void {
    for (const component of streamComponents) {
      const known = this.#values[component];
      const value = components[component];
      if (known.has(value)) continue;
      known.add(value);
      this.#sorted = undefined;
      this.revision++;
    }
  }

  /** `component_value_domain`: every component, values in their order. */
  get domain(): { readonly [C in StreamComponent]: readonly ComponentValue[] } {
    this.#sorted ??= Object.fromEntries(
      streamComponents.map((c) => [c, [...this.#values[c]].sort(compareValues)]),
    ) as { [C in StreamComponent]: ComponentValue[] };
    return this.#sorted;
  }

  /** `component_names_metadata`. */
  get names(): ValueNames {
    return this.#names;
  }
}
