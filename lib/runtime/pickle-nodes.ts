// SPDX-License-Identifier: MIT
// The half-built values of a pickle that is being read, and their turning into values, where depth, cycles and size are found.

import {
  isBytes,
  type OpaqueOrigin,
  type PickleLimits,
  type PickleValue,
  type PyByteArray,
  PyFrozenSet,
  PyOpaque,
  PyTuple,
  wireError,
} from "./pickle-value.js";

// While a pickle is read its containers are still filled, by way of the memo even after they sit in others. They are nodes until STOP, and
// become values in one walk that also finds depth, cycles and the expanded size.
export type Scalar = null | boolean | number | bigint | string | Uint8Array | PyByteArray;
export class ListNode {
  readonly items: Item[] = [];
}
export class DictNode {
  /** Key, value, key, value, ... */
  readonly flat: Item[] = [];
}
export class SetNode {
  constructor(readonly items: Item[] = []) {}
}
export class TupleNode {
  constructor(readonly items: Item[]) {}
}
export class FrozenSetNode {
  constructor(readonly items: Item[]) {}
}
export class OpaqueNode {
  state: Item | undefined;
  readonly listItems: Item[] = [];
  readonly dictItems: Item[] = [];
  constructor(
    readonly module: string,
    readonly qualname: string,
    readonly origin: OpaqueOrigin,
    readonly args: Item[] = [],
    readonly kwargs?: Item,
  ) {}
}
export type Node = ListNode | DictNode | SetNode | TupleNode | FrozenSetNode | OpaqueNode;
export type Item = Scalar | Node;

export const mark = Symbol("mark");

export const nodeNames: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [ListNode, "a list"],
  [DictNode, "a dict"],
  [SetNode, "a set"],
  [TupleNode, "a tuple"],
  [FrozenSetNode, "a frozenset"],
]);

export function nameOf(item: Item | typeof mark | undefined): string {
  if (item === undefined) return "nothing";
  if (item === mark) return "a mark";
  if (item === null) return "None";
  if (item instanceof OpaqueNode) return `an object of ${item.module}.${item.qualname}`;
  return nodeNames.get((item as object).constructor) ?? (isBytes(item) ? "bytes" : typeof item);
}

export const isHashable = (item: Item): boolean =>
  !(item instanceof ListNode || item instanceof DictNode || item instanceof SetNode);

interface Converted {
  readonly value: PickleValue;
  /** Values in it, itself included, shared ones counted each time. */
  readonly size: number;
}

/** Turns nodes into values. Recursion is bounded by `maxDepth`. */
export class Converter {
  readonly #done = new Map<Node, Converted | "open">();
  constructor(private readonly limits: PickleLimits) {}

  convert(item: Item, depth: number): Converted {
    if (
      !(
        item instanceof ListNode ||
        item instanceof DictNode ||
        item instanceof SetNode ||
        item instanceof TupleNode ||
        item instanceof FrozenSetNode ||
        item instanceof OpaqueNode
      )
    )
      return { value: item, size: 1 };
    const before = this.#done.get(item);
    if (before === "open")
      throw wireError("pickle", "values without cycles", `${nameOf(item)} inside itself`);
    if (before !== undefined) return before;
    if (depth >= this.limits.maxDepth)
      throw wireError("pickle", `at most ${this.limits.maxDepth} containers within each other`, "more");
    this.#done.set(item, "open");
    let size = 1;
    const inner = (x: Item): PickleValue => {
      const c = this.convert(x, depth + 1);
      size += c.size;
      if (size > this.limits.maxElements)
        throw wireError(
          "pickle",
          `at most ${this.limits.maxElements} values`,
          "more, by references to shared ones",
        );
      return c.value;
    };
    const value = this.#value(item, inner);
    const converted = { value, size };
    this.#done.set(item, converted);
    return converted;
  }

  #value(item: Node, inner: (x: Item) => PickleValue): PickleValue {
    if (item instanceof ListNode) return item.items.map(inner);
    if (item instanceof TupleNode) return new PyTuple(item.items.map(inner));
    if (item instanceof SetNode) return new Set(item.items.map(inner));
    if (item instanceof FrozenSetNode) return new PyFrozenSet([...new Set(item.items.map(inner))]);
    if (item instanceof DictNode) {
      const pairs = this.#pairs(item.flat, inner);
      if (pairs.every(([key]) => typeof key === "string")) {
        const dict = Object.create(null) as { [key: string]: PickleValue };
        for (const [key, value] of pairs) dict[key as string] = value;
        return dict;
      }
      return new Map(pairs);
    }
    return new PyOpaque({
      module: item.module,
      qualname: item.qualname,
      origin: item.origin,
      args: item.args.map(inner),
      ...(item.kwargs === undefined ? {} : { kwargs: inner(item.kwargs) }),
      ...(item.state === undefined ? {} : { state: inner(item.state) }),
      ...(item.listItems.length === 0 ? {} : { listItems: item.listItems.map(inner) }),
      ...(item.dictItems.length === 0 ? {} : { dictItems: this.#pairs(item.dictItems, inner) }),
    });
  }

  #pairs(flat: Item[], inner: (x: Item) => PickleValue): [PickleValue, PickleValue][] {
    const pairs: [PickleValue, PickleValue][] = [];
    for (let i = 0; i < flat.length; i += 2) pairs.push([inner(flat[i] as Item), inner(flat[i + 1] as Item)]);
    return pairs;
  }
}
