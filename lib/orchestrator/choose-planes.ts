// SPDX-License-Identifier: MIT
// Which planes of a plate a pipeline reads.

import type { PlaneRef, Plate } from "../plates/plate.js";
import type { Pipeline } from "./pipeline.js";

/** Planes that the pipeline reads, and the ones it leaves out with the reason. */
export function choosePlanes(
  pipeline: Pick<Pipeline, "planes">,
  plate: Plate,
  wells: ReadonlySet<string> | null,
) {
  const stacked = new Set<string>();
  const key = (p: PlaneRef) => `${p.timepoint}/${p.well}/${p.site}/${p.channel}`;
  for (const p of plate.planes) if (p.z_index !== null) stacked.add(key(p));
  const planes: PlaneRef[] = [];
  const unused: { plane: PlaneRef; reason: string }[] = [];
  for (const plane of plate.planes) {
    if (wells !== null && !wells.has(plane.well)) continue;
    const stored = plane.z_index === null;
    if (pipeline.planes === "stack" && stored)
      unused.push({ plane, reason: 'stored outside a z stack; the pipeline reads planes: "stack"' });
    else if (pipeline.planes === "stored" && !stored)
      unused.push({ plane, reason: 'slice of a z stack; the pipeline reads planes: "stored"' });
    else if (pipeline.planes === "auto" && stored && stacked.has(key(plane)))
      unused.push({ plane, reason: 'acquired projection beside a z stack; planes: "stored" reads it' });
    else planes.push(plane);
  }
  return { planes, unused };
}
