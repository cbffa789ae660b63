// SPDX-License-Identifier: MIT
// Writes small Yokogawa plates for tests: every plane another value, with .mlf, .mrf, .mes and .wpi as a CV8000 writes them.
//
// Elements and attributes as in the CV8000 data set of fmi-faim/faim-ipa (resources/CV8000) and as Bio-Formats' CV7000Reader
// wants them; error records as described by fractal-uzh-converters (they have no FieldIndex when focusing failed).

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeTiff } from "./tiff.js";

export interface YokogawaPlane {
  readonly well: string;
  readonly field: number;
  readonly z: number;
  readonly channel: number;
  readonly timepoint: number;
  readonly action: number;
  readonly actionName: string;
  /** All pixels have it. */
  readonly value: number;
  readonly name: string;
}

export interface YokogawaOptions {
  readonly wells?: readonly string[];
  readonly fields?: number;
  readonly timepoints?: number;
  /** What an action takes. Default: 3D of 2 slices with channel 1, 2D with channel 2. */
  readonly actions?: readonly { readonly name: string; readonly slices: number; readonly channel: number }[];
  readonly withhold?: (plane: YokogawaPlane) => boolean;
  /** Changes a record, or takes it out. */
  readonly record?: (plane: YokogawaPlane, xml: string) => string | null;
  /** Further records. */
  readonly records?: readonly string[];
  /** Files of metadata to leave out. */
  readonly without?: readonly ("mlf" | "mrf" | "mes" | "wpi")[];
}

const padded = (n: number, width: number) => String(n).padStart(width, "0");
const xmlns = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"';

function recordOf(p: YokogawaPlane): string {
  const [row, column] = [p.well.charCodeAt(0) - 64, Number(p.well.slice(1))];
  return `<bts:MeasurementRecord bts:Type="IMG" bts:Time="2023-09-18T13:58:44.438+02:00" bts:Column="${column}" bts:Row="${row}" bts:TimePoint="${p.timepoint}" bts:FieldIndex="${p.field}" bts:ZIndex="${p.z}" bts:TimelineIndex="1" bts:ActionIndex="${p.action}" bts:Action="${p.actionName}" bts:X="${(p.field - 1.5) * 650}" bts:Y="402.9" bts:Z="${(p.z - 1) * 3}" bts:Ch="${p.channel}">${p.name}</bts:MeasurementRecord>`;
}

/** Writes a plate into `root` and returns its planes, by timepoint, well, field, channel and slice. */
export function yokogawaPlate(root: string, options: YokogawaOptions = {}): YokogawaPlane[] {
  const {
    wells = ["D08", "E03"],
    fields = 2,
    timepoints = 1,
    actions = [
      { name: "3D", slices: 2, channel: 1 },
      { name: "2D", slices: 1, channel: 2 },
    ],
    without = [],
  } = options;
  const all: YokogawaPlane[] = [];
  let value = 0;
  for (let timepoint = 1; timepoint <= timepoints; timepoint++)
    for (const well of wells)
      for (let field = 1; field <= fields; field++)
        for (const [i, { name: actionName, slices, channel }] of actions.entries())
          for (let z = 1; z <= slices; z++) {
            const name = `exp 1_${well}_T${padded(timepoint, 4)}F${padded(field, 3)}L01A${padded(i + 1, 2)}Z${padded(z, 2)}C${padded(channel, 2)}.tif`;
            all.push({ well, field, z, channel, timepoint, action: i + 1, actionName, value: ++value, name });
          }
  mkdirSync(root, { recursive: true });
  for (const p of all) {
    if (options.withhold?.(p)) continue;
    writeTiff(join(root, p.name), { width: 16, height: 12, dtype: "uint16", value: () => p.value });
  }
  const channels = [...new Set(actions.map((a) => a.channel))];
  const records = all.map((p) => (options.record ? options.record(p, recordOf(p)) : recordOf(p)));
  const files = {
    mlf: [
      "MeasurementData.mlf",
      `<bts:MeasurementData bts:Version="1.0" ${xmlns}>\n${[...records.filter((r) => r !== null), ...(options.records ?? [])].join("\n")}\n</bts:MeasurementData>`,
    ],
    mrf: [
      "MeasurementDetail.mrf",
      `<bts:MeasurementDetail bts:Version="1.0" bts:Title="exp 1" bts:BeginTime="2023-09-18T13:58:39.4014935+02:00" bts:EndTime="2023-09-18T13:59:15.9664907+02:00" bts:MeasurementSettingFileName="exp.mes" bts:ColumnCount="12" bts:RowCount="8" bts:TimePointCount="${timepoints}" bts:FieldCount="${fields}" bts:ZCount="2" bts:TargetSystem="CV8000" ${xmlns}>
<bts:MeasurementSamplePlate bts:Name="exp 1" bts:WellPlateFileName="exp.wpi" bts:WellPlateProductFileName="p.wpp" />
${channels.map((c) => `<bts:MeasurementChannel bts:Ch="${c}" bts:HorizontalPixelDimension="0.325" bts:VerticalPixelDimension="0.325" bts:CameraNumber="1" bts:InputBitDepth="16" bts:HorizontalPixels="16" bts:VerticalPixels="12" bts:ShadingCorrectionSource="SC_1.tif" />`).join("\n")}
</bts:MeasurementDetail>`,
    ],
    mes: [
      "exp.mes",
      `<bts:MeasurementSetting bts:Version="1.0" bts:Columns="12" bts:Rows="8" ${xmlns}><bts:Timelapse><bts:Timeline bts:Name="Time Line 1" bts:InitialTime="0" bts:Period="1" bts:Interval="0"><bts:ActionList bts:RunMode="sequential">
${actions.map((a) => `<bts:ActionAcquire${a.name} bts:XOffset="0" bts:YOffset="0"><bts:Ch>${a.channel}</bts:Ch></bts:ActionAcquire${a.name}>`).join("\n")}
</bts:ActionList></bts:Timeline></bts:Timelapse><bts:ChannelList>
${channels.map((c) => `<bts:Channel bts:Ch="${c}" bts:Target="${c === 1 ? "405" : "488"}" bts:Acquisition="${c === 1 ? "BP445/45" : "BP525/50"}" bts:Fluorophore=""><bts:LightSourceName>x</bts:LightSourceName></bts:Channel>`).join("\n")}
</bts:ChannelList></bts:MeasurementSetting>`,
    ],
    wpi: [
      "exp.wpi",
      `<bts:WellPlate bts:Version="1.0" bts:Name="exp 1" bts:ProductID="1009680001" bts:Columns="12" bts:Rows="8" ${xmlns}><bts:Description>x</bts:Description></bts:WellPlate>`,
    ],
  } as const;
  for (const [key, [name, text]] of Object.entries(files)) {
    if (!without.includes(key as keyof typeof files))
      writeFileSync(join(root, name), `\ufeff<?xml version="1.0" encoding="utf-8"?>\n${text}\n`);
  }
  return all;
}
