// SPDX-License-Identifier: MIT
// Reads the XML of microscopes: well-formed documents of any size, element by element, without a tree of the whole.
//
// A subset of XML 1.0 on purpose: no document types, hence no entities but the five of the standard and character
// references, and nothing external. Prefixes are dropped from names: each of these formats uses one namespace. An index of
// a plate can have a hundred thousand entries in 200 MB, so only the elements that the caller wants are ever built.

import { TilecastError } from "../errors.js";

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string;
  /** By name without prefix; namespace declarations are left out. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Character data of the element itself, as it stands. */
  readonly text: string;
}

export interface XmlRoot {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** URI of the root's namespace; empty without one. */
  readonly namespace: string;
}

interface Frame {
  /** With prefix, for the closing tag. */
  readonly raw: string;
  readonly visit: ((element: XmlElement) => void) | undefined;
  readonly element: {
    name: string;
    attributes: Map<string, string>;
    children: XmlElement[];
    text: string;
  } | null;
}

/** The formats nest six or seven levels; a deeper document is damaged or hostile. */
const maxDepth = 64;
const maxAttributes = 256;

const nameAt = /[A-Za-z_\u0080-\uffff][-.\w\u0080-\uffff]*(?::[A-Za-z_\u0080-\uffff][-.\w\u0080-\uffff]*)?/y;
const attributeAt = /\s+([A-Za-z_\u0080-\uffff][-.:\w\u0080-\uffff]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const spaceAt = /\s*/y;

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const none: ReadonlyMap<string, string> = new Map();

const localName = (name: string) => name.slice(name.indexOf(":") + 1);

/**
 * Reads `text` and calls `visitors[name]` with each element of that name, with everything in it, when it ends. `source`
 * names the document in errors. Returns the root's own name and attributes.
 *
 * Throws ERR_METADATA, with the character's offset, at the first place that is not well-formed; elements that ended before
 * it have been visited.
 */
export function readXml(
  text: string,
  source: string,
  visitors: Readonly<Record<string, (element: XmlElement) => void>>,
): XmlRoot {
  const fail = (at: number, what: string): never => {
    throw new TilecastError("ERR_METADATA", `${source} is no readable XML: ${what} at character ${at}`, {
      offset: at,
    });
  };
  const decode = (value: string, at: number): string =>
    value.includes("&")
      ? value.replace(/&([^&;]{0,32};)?/g, (_, reference: string | undefined) => {
          const name = reference?.slice(0, -1) ?? "";
          const code = /^#x[0-9a-fA-F]{1,6}$/.test(name)
            ? Number.parseInt(name.slice(2), 16)
            : /^#\d{1,7}$/.test(name)
              ? Number(name.slice(1))
              : -1;
          if (code > 0 && code <= 0x10ffff) return String.fromCodePoint(code);
          return Object.hasOwn(entities, name)
            ? (entities[name] as string)
            : fail(at, `the unknown entity "&${name.slice(0, 20)}"`);
        })
      : value;

  const stack: Frame[] = [];
  let root: XmlRoot | undefined;
  let at = text.startsWith("\ufeff") ? 1 : 0;

  const append = (piece: string) => {
    const element = stack.at(-1)?.element;
    if (element) element.text += piece;
  };
  const close = (frame: Frame) => {
    if (frame.element === null) return;
    stack.at(-1)?.element?.children.push(frame.element);
    frame.visit?.(frame.element);
  };

  const openTag = (open: number): void => {
    nameAt.lastIndex = open + 1;
    const raw = nameAt.exec(text)?.[0] ?? fail(open, "a tag without a name");
    at = open + 1 + raw.length;
    let attributes: Map<string, string> | undefined;
    let namespaces: Map<string, string> | undefined;
    for (;;) {
      attributeAt.lastIndex = at;
      const match = attributeAt.exec(text);
      if (match === null) break;
      const [whole, key, double, single] = match as unknown as [string, string, string?, string?];
      const value = decode(double ?? (single as string), at);
      at += whole.length;
      if (key === "xmlns" || key.startsWith("xmlns:")) {
        if (root === undefined) {
          namespaces ??= new Map();
          namespaces.set(key, value);
        }
        continue;
      }
      attributes ??= new Map();
      const local = localName(key);
      if (attributes.has(local)) fail(at, `the attribute ${key} twice`);
      if (attributes.size >= maxAttributes) fail(at, `more than ${maxAttributes} attributes`);
      attributes.set(local, value);
    }
    spaceAt.lastIndex = at;
    at += (spaceAt.exec(text)?.[0] ?? "").length;
    const empty = text.startsWith("/>", at);
    if (!empty && text[at] !== ">")
      fail(at, at >= text.length ? "the end of the document" : "a malformed tag");
    at += empty ? 2 : 1;

    const name = localName(raw);
    if (root === undefined) {
      const prefix = raw.includes(":") ? `xmlns:${raw.slice(0, raw.indexOf(":"))}` : "xmlns";
      root = { name, attributes: attributes ?? none, namespace: namespaces?.get(prefix) ?? "" };
    } else if (stack.length === 0) fail(open, "a second root element");
    if (stack.length >= maxDepth) fail(open, `elements nested deeper than ${maxDepth}`);
    const visit = Object.hasOwn(visitors, name) ? visitors[name] : undefined;
    const wanted = visit !== undefined || stack.at(-1)?.element != null;
    const frame: Frame = {
      raw,
      visit,
      element: wanted
        ? { name, attributes: attributes ?? (none as Map<string, string>), children: [], text: "" }
        : null,
    };
    if (empty) close(frame);
    else stack.push(frame);
  };

  for (;;) {
    const open = text.indexOf("<", at);
    const end = open < 0 ? text.length : open;
    if (stack.length > 0) {
      if (stack.at(-1)?.element) append(decode(text.slice(at, end), at));
    } else if (!/^[\s\0]*$/.test(text.slice(at, Math.min(end, at + 4096))))
      fail(at, "text outside the root element");
    if (open < 0) break;
    if (text.startsWith("</", open)) {
      const gt = text.indexOf(">", open);
      if (gt < 0) fail(open, "the end of the document");
      const name = text.slice(open + 2, gt).trimEnd();
      const frame = stack.pop();
      if (frame === undefined || frame.raw !== name)
        fail(open, `</${name.slice(0, 40)}> where ${frame ? `</${frame.raw}>` : "nothing"} is open`);
      close(frame as Frame);
      at = gt + 1;
    } else if (text.startsWith("<!--", open)) at = skip("-->", open);
    else if (text.startsWith("<?", open)) at = skip("?>", open);
    else if (text.startsWith("<![CDATA[", open) && stack.length > 0) {
      at = skip("]]>", open);
      append(text.slice(open + 9, at - 3));
    } else if (text.startsWith("<!", open)) fail(open, "a document type or other declaration");
    else openTag(open);
  }
  const unclosed = stack.at(-1);
  if (unclosed) fail(text.length, `the end of the document inside <${unclosed.raw}>`);
  return root ?? fail(0, "no element");

  function skip(terminator: string, from: number): number {
    const found = text.indexOf(terminator, from + 2);
    return found < 0 ? fail(from, "the end of the document") : found + terminator.length;
  }
}

/** First child of that name. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

/** Trimmed text of the first child of that name; empty text is `undefined` too. */
export function childText(element: XmlElement, name: string): string | undefined {
  return childOf(element, name)?.text.trim() || undefined;
}

/** A finite number; anything else is `undefined`. */
export function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** A whole number from 0 to a million, which no component of a plate exceeds; anything else is `undefined`. */
export function indexOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*\d{1,7}\s*$/.test(text) && Number(text) <= 1_000_000
    ? Number(text)
    : undefined;
}
