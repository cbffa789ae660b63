// SPDX-License-Identifier: MIT
// The planes of one layer as an array of many dimensions: axes that grow as values come, planes that are missing, sizes that differ.

import { type ComponentValue, compareValues } from "./component-values.js";
import { paddedSize } from "./projection.js";

/** A change to a stack, as a receiver must follow it. */
export interface StackChange {
  /** The place of the plane, along each axis. */
  readonly index: readonly number[];
  /** The values along some axis, or the padded size, are not what they were: indices and the shape of before are void. */
  readonly reshaped: boolean;
  /** A plane was there already. */
  readonly replaced: boolean;
}

interface Entry<P> {
  readonly at: readonly ComponentValue[];
  readonly size: readonly [number, number];
  readonly plane: P;
}

/**
 * Sparse: what was not put is missing, which a receiver shows as zeros. Axes of one value are kept, so that the number of dimensions never
 * changes. Planes smaller than the largest are padded at the end of rows and columns.
 */
export class PlaneStack<P> {
  readonly #values: ComponentValue[][];
  readonly #known: Set<string>[];
  readonly #planes = new Map<string, Entry<P>>();
  #size: readonly [number, number] = [0, 0];

  constructor(
    readonly axes: readonly string[],
    /** Values that will come, where they are known: the stack then keeps its shape. */
    declared: readonly (readonly ComponentValue[])[] = [],
  ) {
    this.#values = axes.map((_, i) => [...(declared[i] ?? [])].sort(compareValues));
    this.#known = this.#values.map((values) => new Set(values.map(String)));
  }

  #key(at: readonly ComponentValue[]): string {
    return JSON.stringify(at.map(String));
  }

  /** Along each axis, in order. */
  get values(): readonly (readonly ComponentValue[])[] {
    return this.#values;
  }

  /** Axes first, then height and width of the largest plane. */
  get shape(): readonly number[] {
    return [...this.#values.map((values) => values.length), ...this.#size];
  }

  /** Planes that are there. */
  get planes(): number {
    return this.#planes.size;
  }

  /** Places whose plane has not come. */
  get missing(): number {
    return this.#values.reduce((product, values) => product * values.length, 1) - this.#planes.size;
  }

  put(at: readonly ComponentValue[], size: readonly [number, number], plane: P): StackChange {
    if (at.length !== this.axes.length)
      throw new RangeError(`${at.length} values for ${this.axes.length} axes`);
    let reshaped = false;
    at.forEach((value, i) => {
      const [values, known] = [this.#values[i] as ComponentValue[], this.#known[i] as Set<string>];
      if (known.has(String(value))) return;
      known.add(String(value));
      const before = values.findIndex((other) => compareValues(value, other) < 0);
      values.splice(before < 0 ? values.length : before, 0, value);
      reshaped = true;
    });
    const key = this.#key(at);
    const old = this.#planes.get(key);
    this.#planes.set(key, { at: [...at], size, plane });
    const shrinks = old !== undefined && (old.size[0] > size[0] || old.size[1] > size[1]);
    const padded = shrinks
      ? paddedSize([...this.#planes.values()].map((e) => e.size))
      : paddedSize([this.#size, size]);
    if (padded[0] !== this.#size[0] || padded[1] !== this.#size[1]) {
      this.#size = padded;
      reshaped = true;
    }
    return { index: this.indexOf(at) as number[], reshaped, replaced: old !== undefined };
  }

  /** The place of these values; undefined for a value that no axis has. */
  indexOf(at: readonly ComponentValue[]): readonly number[] | undefined {
    const index = at.map((value, i) =>
      (this.#values[i] as ComponentValue[]).findIndex((other) => String(other) === String(value)),
    );
    return index.includes(-1) ? undefined : index;
  }

  /** The plane at a place; undefined when it is missing. Throws RangeError outside of the shape. */
  plane(index: readonly number[]): P | undefined {
    const at = index.map((n, i) => {
      const value = this.#values[i]?.[n];
      if (value === undefined) throw new RangeError(`${n} is outside of axis ${this.axes[i]}`);
      return value;
    });
    return this.#planes.get(this.#key(at))?.plane;
  }

  /** Every plane with its place. */
  *entries(): IterableIterator<readonly [index: readonly number[], plane: P]> {
    for (const { at, plane } of this.#planes.values()) yield [this.indexOf(at) as readonly number[], plane];
  }
}
