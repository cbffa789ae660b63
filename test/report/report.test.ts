// SPDX-License-Identifier: MIT
// The report as a file: complete, self-contained, escaped, and small enough for 1536 wells.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatNumber, formatSeconds, niceTicks } from "../../lib/orchestrator/report/format.js";
import { embedJson, html } from "../../lib/orchestrator/report/html.js";
import { makeScale } from "../../lib/orchestrator/report/plate-map.js";
import { renderReport } from "../../lib/orchestrator/report/report.js";
import type { ReportData } from "../../lib/orchestrator/report/report-data.js";
import { verdict } from "../../lib/orchestrator/report/sections.js";
import { makeReport } from "./report-fixture.js";

const small = makeReport({ rows: 2, columns: 3, side: 16 });

/** The page without the parts that are ours alone. */
const withoutScripts = (page: string) => page.replace(/<(script|style)[^>]*>[\s\S]*?<\/\1>/g, "");

describe("the page", () => {
  test("has every section, the key figures and the legend's numbers without a script", () => {
    const page = withoutScripts(renderReport(small));
    for (const id of ["plate", "montage", "performance", "failures", "notices", "run", "open"]) {
      expect(page).toContain(`id="${id}"`);
    }
    for (const text of [
      "2026-11-21 kinase screen, plate 7",
      "All 6 wells are done.",
      "Mpx/s",
      "planes/s, peak",
      "MB/s, peak",
      "otsu() → label(minArea: 30)",
      "None. Every plane that was started was processed.",
      "1152 thumbnails of the microscope (_thumb) were ignored.",
      "napari --plugin napari-ome-zarr plate.ome.zarr",
      "zarr.open_group(&quot;plate.ome.zarr/B/03/0&quot;",
      "new FileSystemStore(&quot;plate.ome.zarr&quot;)",
      'href="./objects.csv"',
    ]) {
      expect(page).toContain(text);
    }
    expect(page.match(/class="well done"/g)?.length).toBe(6);
    expect(page.match(/style="fill:#[0-9a-f]{6}"/g)?.length).toBe(6);
  });

  test("asks for nothing: every address in it is a data URI, a fragment or a file beside it", () => {
    const page = renderReport(small);
    const addresses = [...withoutScripts(page).matchAll(/\b(?:src|href|action|data|poster)="([^"]*)"/g)].map(
      (m) => m[1] as string,
    );
    expect(addresses.length).toBeGreaterThan(20);
    expect(addresses.filter((a) => !/^(data:image\/png;base64,|#|\.\/)/.test(a))).toEqual([]);
    expect(page).not.toMatch(/@import|url\((?!#)/);
  });

  test("its policy allows its own script by hash and nothing from elsewhere", () => {
    const page = renderReport(small);
    const script = /<script>([\s\S]*?)<\/script>/.exec(page)?.[1] as string;
    const hash = createHash("sha256").update(script).digest("base64");
    expect(page).toContain("default-src &#39;none&#39;");
    expect(page).toContain(`script-src &#39;sha256-${hash}&#39;`);
  });

  test("is the same text for the same data", () => {
    expect(renderReport(small)).toBe(renderReport(small));
  });

  test("1536 wells fit, each with its pictures", () => {
    const page = renderReport(
      makeReport({ rows: 32, columns: 48, side: 64, samples: 20_000, seconds: 30_000 }),
    );
    expect(page.length).toBeLessThan(15e6);
    expect(page.match(/<g class="well done/g)?.length).toBe(1536);
    expect(page.match(/class="tile/g)?.length).toBe(1536);
    expect(page).toContain(">AF48<");
  });

  test("failed, unprocessed, reused and flawed wells are told apart in words and marks", () => {
    const base = makeReport({
      rows: 1,
      columns: 5,
      side: 8,
      status: (_, c) => (c === 1 ? "failed" : c === 2 ? "pending" : "done"),
    });
    const wells = base.wells.map((w, i) =>
      i === 3 ? { ...w, failedPlanes: 2 } : i === 4 ? { ...w, reused: true } : w,
    );
    const page = withoutScripts(renderReport({ ...base, wells }));
    expect(page).toContain('aria-label="A02, failed, 3 of 12 planes failed, DAPI: objects: no value"');
    expect(page).toContain('aria-label="A03, not started, DAPI: objects: no value"');
    expect(page).toContain('aria-label="A04, done, 2 of 12 planes failed, DAPI: objects: ');
    expect(page).toContain('aria-label="A05, done earlier, reused, DAPI: objects: ');
    for (const mark of [
      'class="cross"',
      'class="dash"',
      'class="corner"',
      "key-failed",
      "key-pending",
      "key-partly",
    ])
      expect(page).toContain(mark);
    expect(page).toContain("3 of 5 wells are done, 1 failed, 1 lost single planes, 1 was not processed.");
    expect(page).toContain("strip 12 ends at byte 284112, but the file has 131072 bytes");
  });

  test("a run without wells, measurements, pictures or samples still has a page", () => {
    const empty: ReportData = {
      ...small,
      wells: [],
      measurements: [],
      thumbnails: [],
      contrast: [],
      throughput: [],
      stages: [],
      notices: [],
      run: {
        ...small.run,
        seconds: 0,
        steps: [],
        command: null,
        planes: { done: 0, failed: 0, cancelled: 0, pending: 0 },
      },
      outputs: { images: null, exampleImage: null, tables: [] },
    };
    const page = withoutScripts(renderReport(empty));
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
    for (const text of [
      "The run made no thumbnails.",
      "The pipeline measures nothing",
      "too short to sample",
      "No worker time was recorded.",
      "The run wrote no images.",
    ]) {
      expect(page).toContain(text);
    }
  });

  test("more failures than a page can show are counted", () => {
    const failure = {
      well: "A01",
      site: 1,
      channel: 1,
      timepoint: 1,
      code: "ERR_IO",
      message: "disk is gone",
      path: null,
    };
    const page = renderReport({ ...small, failures: Array.from({ length: 12_000 }, () => failure) });
    expect(page.match(/disk is gone/g)?.length).toBe(1000 + 5);
    expect(page).toContain("The first 1,000 of 12,000 are shown.");
  });

  test("a well whose name is no position is listed beside the map", () => {
    const wells = [
      ...small.wells,
      { ...(small.wells[0] as ReportData["wells"][number]), well: "control <1>" },
      { ...(small.wells[0] as ReportData["wells"][number]), well: "H12" },
    ];
    expect(renderReport({ ...small, wells })).toContain(
      "Not on the map, because their names are no positions of it: control &lt;1&gt;, H12.",
    );
  });
});

describe("untrusted text", () => {
  test("is escaped in content and attributes", () => {
    expect(html`<a title="${`"'<&>`}">${"<b>"}</a>`.text).toBe(
      '<a title="&quot;&#39;&lt;&amp;&gt;">&lt;b&gt;</a>',
    );
  });

  test("cannot reverse how a path reads", () => {
    expect(html`${"a\u202Egpj.exe\u0000\u2066"}`.text).toBe("a\uFFFDgpj.exe\uFFFD\uFFFD");
    expect(html`${"Größe µm 細胞 🔬\n"}`.text).toBe("Größe µm 細胞 🔬\n");
  });

  test("leaves the script element in no JSON, and every JSON reads back", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: "binary" }),
          fc.constantFrom("</script><!--", "<!--<script>", "\u2028"),
        ),
        (text) => {
          const json = embedJson({ [text]: [text] }).text;
          expect(json).not.toMatch(/[<>&\u2028\u2029]/);
          expect(Object.keys(JSON.parse(json))).toHaveLength(1);
        },
      ),
    );
    expect(JSON.parse(embedJson({ a: "</script>" }).text)).toEqual({ a: "</script>" });
  });

  test("never becomes markup, wherever it enters", () => {
    const evil = `"><x-evil onload='1'></title></style></script><!--`;
    const w = small.wells[0] as ReportData["wells"][number];
    const page = renderReport({
      ...small,
      plate: {
        ...small.plate,
        name: evil,
        root: evil,
        format: evil,
        channels: small.plate.channels.map((c) => ({ ...c, name: evil })),
      },
      run: {
        ...small.run,
        started: evil,
        tilecast: evil,
        node: evil,
        machine: evil,
        pipeline: evil,
        steps: [evil, `${evil}: ${evil}`],
        command: evil,
      },
      stages: [{ name: evil, seconds: 1 }],
      wells: [
        { ...w, well: evil, values: { [evil]: 1 } },
        { ...w, values: { [evil]: 2 } },
      ],
      measurements: [evil, "constructor"],
      failures: [{ well: evil, site: 1, channel: 9, timepoint: 1, code: evil, message: evil, path: evil }],
      notices: [evil],
      thumbnails: small.thumbnails.map((t) => ({ ...t, well: evil })),
      outputs: { images: evil, exampleImage: evil, tables: [`javascript:alert(1)`, evil] },
    });
    expect(page).not.toContain("<x-evil");
    expect(page.match(/<\/script>/g)).toHaveLength(2);
    expect(page.match(/<\/style>/g)).toHaveLength(1);
    expect(page).toContain('href="./javascript%3Aalert(1)"');
  });
});

describe("numbers for people", () => {
  test("keep their meaning at every size", () => {
    expect([0, 12, 1234567, 0.123456, 12345.678, 0.0000123, 3e14, Number.NaN].map(formatNumber)).toEqual([
      "0",
      "12",
      "1,234,567",
      "0.1235",
      "12,346",
      "1.23e-5",
      "3.00e14",
      "n/a",
    ]);
    expect([0.0123, 5.5, 59.94, 61, 3599.6, 7261].map(formatSeconds)).toEqual([
      "12 ms",
      "5.50 s",
      "59.9 s",
      "1 min 01 s",
      "1 h 00 min",
      "2 h 01 min",
    ]);
  });

  test("ticks are round, inside the range, and without noise of floating point", () => {
    expect(niceTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(niceTicks(-0.3, 0.31, 5)).toEqual([-0.2, 0, 0.2]);
    expect(niceTicks(47, 256, 5)).toEqual([50, 100, 150, 200, 250]);
    expect(niceTicks(3, 3, 5)).toEqual([3]);
    fc.assert(
      fc.property(
        fc.double({ min: -1e9, max: 1e9, noNaN: true }),
        fc.double({ min: 1e-6, max: 1e9, noNaN: true }),
        (low, span) => {
          const high = low + span;
          if (high - low < Math.abs(low) * 1e-9) return;
          const ticks = niceTicks(low, high, 5);
          expect(ticks.length).toBeLessThanOrEqual(7);
          const slack = (high - low) * 1e-6;
          for (const t of ticks)
            expect(t >= low - slack && t <= high + slack && !Object.is(t, -0)).toBe(true);
        },
      ),
    );
  });

  test("a scale spans its values; a missing one has no colour", () => {
    const wells = [10, null, 30, 20].map((v, i) => ({
      ...(small.wells[0] as ReportData["wells"][number]),
      well: `A0${i + 1}`,
      values: { m: v },
    }));
    const scale = makeScale("m", wells);
    expect(scale.steps).toEqual([0, -1, 255, 128]);
    expect(scale.texts).toEqual(["10", "no value", "30", "20"]);
    expect(scale.summary).toBe("min 10 · median 20 · max 30 · 3 wells");
    expect(makeScale("m", wells.slice(0, 1)).steps).toEqual([128]);
    expect(makeScale("toString", wells).summary).toBe("No well has a value.");
  });

  test("the verdict says what a person has to look after", () => {
    expect(verdict(makeReport({ rows: 1, columns: 1, side: 8 }))).toBe("The well is done.");
    expect(verdict(makeReport({ rows: 1, columns: 2, side: 8, status: () => "cancelled" }))).toBe(
      "0 of 2 wells are done, 2 were not processed.",
    );
  });
});
