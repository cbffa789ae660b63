// SPDX-License-Identifier: MIT
// The XML reader: what it hands out, what it refuses, and where it says the damage is.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTilecastError } from "../../lib/errors.js";
import { readXml, type XmlElement } from "../../lib/plates/xml.js";
import { thrown } from "../helpers/throws.js";

function elements(text: string, name: string): XmlElement[] {
  const found: XmlElement[] = [];
  readXml(text, "x.xml", { [name]: (element) => found.push(element) });
  return found;
}

describe("reading XML", () => {
  test("gives wanted elements with everything in them, without prefixes", () => {
    const text = `\ufeff<?xml version="1.0"?><!-- <a/> --><b:root xmlns:b="urn:x" b:v="1"><b:a i='1 &amp; 2'>t&#181;<b:c/>u<![CDATA[<&]]></b:a><d><b:a/></d></b:root>\n`;
    const seen: XmlElement[] = [];
    expect(readXml(text, "x.xml", { a: (element) => seen.push(element) })).toEqual({
      name: "root",
      namespace: "urn:x",
      attributes: new Map([["v", "1"]]),
    });
    expect(seen).toEqual([
      {
        name: "a",
        attributes: new Map([["i", "1 & 2"]]),
        text: "tµu<&",
        children: [{ name: "c", attributes: new Map(), text: "", children: [] }],
      },
      { name: "a", attributes: new Map(), text: "", children: [] },
    ]);
  });

  test("text and attributes come back as they were written", () => {
    const escaped = (s: string) =>
      s.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
    const word = fc.string({ unit: "grapheme" }).filter((s) => !/[\0\ufeff]/.test(s));
    fc.assert(
      fc.property(word, word, (value, text) => {
        const [element] = elements(`<r><a v="${escaped(value)}">${escaped(text)}</a></r>`, "a");
        expect([element?.attributes.get("v"), element?.text]).toEqual([value, text]);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["", "no element at character 0"],
    ["words", "text outside the root element at character 0"],
    ["<a", "the end of the document at character 2"],
    ["<a><b></a>", "</a> where </b> is open at character 6"],
    ["<a></a></a>", "</a> where nothing is open at character 7"],
    ["<a><b>", "the end of the document inside <b> at character 6"],
    ["<a/><b/>", "a second root element at character 4"],
    ["<a v=1/>", "a malformed tag at character 3"],
    ['<a v="1" v="2"/>', "the attribute v twice at character 14"],
    ["<a>&nbsp;</a>", 'the unknown entity "&nbsp" at character 3'],
    ["<a>&</a>", 'the unknown entity "&" at character 3'],
    ["<a><!-- </a>", "the end of the document at character 3"],
    [
      '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
      "a document type or other declaration at character 0",
    ],
    ["<a>".repeat(65), "elements nested deeper than 64 at character 192"],
  ])("refuses %j", async (text, message) => {
    const error = await thrown(() => readXml(text, "x.xml", { a: () => {} }));
    expect([error.code, error.message]).toEqual(["ERR_METADATA", `x.xml is no readable XML: ${message}`]);
  });

  test("any damage is an ERR_METADATA, never anything else, and ends", () => {
    const good = `<?xml version="1.0"?><r a="1"><b c="&lt;">text<!-- c --><![CDATA[d]]></b><e/></r>`;
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(8), fc.string({ maxLength: 6 }), (at, length, insert) => {
        try {
          readXml(good.slice(0, at) + insert + good.slice(at + length), "x.xml", { b: () => {} });
        } catch (error) {
          expect(isTilecastError(error, "ERR_METADATA"), String(error)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("elements before the damage have been handed out", async () => {
    const seen: string[] = [];
    await thrown(() =>
      readXml('<r><a i="1"/><a i="2"/><a', "x.xml", { a: (e) => seen.push(e.attributes.get("i") ?? "") }),
    );
    expect(seen).toEqual(["1", "2"]);
  });
});
