// SPDX-License-Identifier: MIT
// Writes small Opera Phenix plates for tests: every plane another value, beside an index as Harmony writes it.
//
// Elements, units and namespaces follow what readers of such exports rely on: Bio-Formats' OperettaReader (which wants them
// in Index.idx.xml), OpenHCS's opera_phenix_xml_parser, and fixtures of pyphenix for HarmonyV7.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeTiff } from "./tiff.js";

export interface PhenixPlane {
  readonly row: number;
  readonly column: number;
  readonly field: number;
  readonly plane: number;
  readonly channel: number;
  /** sk of the name, from 1. */
  readonly timepoint: number;
  /** All pixels have it. */
  readonly value: number;
  readonly name: string;
}

export interface PhenixOptions {
  /** Row and column from 1. */
  readonly wells?: readonly (readonly [number, number])[];
  readonly fields?: number;
  readonly planes?: number;
  readonly channels?: readonly string[];
  readonly timepoints?: number;
  /** Default Index.idx.xml. */
  readonly index?: string | null;
  readonly namespace?: string;
  /** Folder of images and index. Default Images. */
  readonly folder?: string;
  /** Files that are listed and not written. */
  readonly withhold?: (plane: PhenixPlane) => boolean;
  /** Changes an entry of the index, or takes it out. */
  readonly entry?: (plane: PhenixPlane, xml: string) => string | null;
  readonly name?: (plane: Omit<PhenixPlane, "name">) => string;
  /** Channel names and pixel sizes in Maps only, as newer versions have it. */
  readonly maps?: boolean;
}

const two = (n: number) => String(n).padStart(2, "0");

export const harmonyName = (p: Omit<PhenixPlane, "name">) =>
  `r${two(p.row)}c${two(p.column)}f${two(p.field)}p${two(p.plane)}-ch${p.channel}sk${p.timepoint}fk1fl1.tiff`;

function optics(name: string): string {
  return `<ChannelName>${name}</ChannelName><ImageResolutionX Unit="m">2.9688E-07</ImageResolutionX><ImageResolutionY Unit="m">2.9688E-07</ImageResolutionY>`;
}

function entryOf(p: PhenixPlane, channels: readonly string[], maps: boolean): string {
  const [x, y] = [(p.field - 1) % 2, Math.floor((p.field - 1) / 2)];
  return `<Image Version="1"><id>${two(p.row)}${two(p.column)}K${p.timepoint}F${p.field}P${p.plane}R${p.channel}</id><State>Ok</State><URL>${p.name}</URL>
<Row>${p.row}</Row><Col>${p.column}</Col><FieldID>${p.field}</FieldID><PlaneID>${p.plane}</PlaneID><TimepointID>${p.timepoint - 1}</TimepointID><ChannelID>${p.channel}</ChannelID><FlimID>1</FlimID>
${maps ? "" : optics(channels[p.channel - 1] as string)}<ImageSizeX>16</ImageSizeX><ImageSizeY>12</ImageSizeY>
<PositionX Unit="m">${(x - 0.5) * 6.4e-4}</PositionX><PositionY Unit="m">${(0.5 - y) * 6.4e-4}</PositionY><PositionZ Unit="m">${p.plane * 2e-6}</PositionZ><AbsPositionZ Unit="m">${0.13 + p.plane * 2.04e-6}</AbsPositionZ>
<MeasurementTimeOffset Unit="s">0</MeasurementTimeOffset><AbsTime>2023-02-21T10:00:00.000+01:00</AbsTime><ExposureTime Unit="s">0.1</ExposureTime><OrientationMatrix>[[1,0,0,0],[0,1,0,0],[0,0,1,0]]</OrientationMatrix></Image>`;
}

/** Writes a plate into `root` and returns its planes, by timepoint, well, field, channel and plane. */
export function phenixPlate(root: string, options: PhenixOptions = {}): PhenixPlane[] {
  const {
    wells = [
      [1, 1],
      [1, 2],
    ],
    fields = 1,
    planes = 1,
    channels = ["DAPI", "Alexa 488"],
    timepoints = 1,
    index = "Index.idx.xml",
    namespace = "http://www.perkinelmer.com/PEHH/HarmonyV5",
    folder = "Images",
    maps = false,
    name = harmonyName,
  } = options;
  const all: PhenixPlane[] = [];
  let value = 0;
  for (let timepoint = 1; timepoint <= timepoints; timepoint++)
    for (const [row, column] of wells)
      for (let field = 1; field <= fields; field++)
        for (let channel = 1; channel <= channels.length; channel++)
          for (let plane = 1; plane <= planes; plane++) {
            const p = { row, column, field, plane, channel, timepoint, value: ++value };
            all.push({ ...p, name: name(p) });
          }
  const images = join(root, folder);
  mkdirSync(images, { recursive: true });
  for (const p of all) {
    if (options.withhold?.(p)) continue;
    writeTiff(join(images, p.name), { width: 16, height: 12, dtype: "uint16", value: () => p.value });
  }
  if (index === null) return all;
  const entries = all.map((p) => {
    const xml = entryOf(p, channels, maps);
    return options.entry ? options.entry(p, xml) : xml;
  });
  const wellId = ([row, column]: readonly [number, number]) => two(row) + two(column);
  const text = `<?xml version="1.0" encoding="utf-8"?>
<EvaluationInputData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" Version="1" xmlns="${namespace}">
<User>someone</User><InstrumentType>Phenix</InstrumentType>
<Plates><Plate><PlateID>P7</PlateID><MeasurementID>m</MeasurementID><MeasurementStartTime>2023-02-21T10:00:00+01:00</MeasurementStartTime><Name>P7 &amp; more</Name><PlateTypeName>96 PerkinElmer</PlateTypeName><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns>${wells.map((w) => `<Well id="${wellId(w)}"/>`).join("")}</Plate></Plates>
<Wells>${wells.map((w) => `<Well><id>${wellId(w)}</id><Row>${w[0]}</Row><Col>${w[1]}</Col><Image id="${wellId(w)}K1F1P1R1"/></Well>`).join("")}</Wells>
<Maps><Map>${channels.map((c, i) => `<Entry ChannelID="${i + 1}">${maps ? optics(c) : "<FlatfieldProfile>{Background: {}}</FlatfieldProfile>"}</Entry>`).join("")}</Map></Maps>
<Images>
${entries.filter((e) => e !== null).join("\n")}
</Images></EvaluationInputData>
`;
  writeFileSync(join(images, index), text);
  return all;
}
