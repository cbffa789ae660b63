// SPDX-License-Identifier: MIT
// Colours of channels: the same in the report and in the OME-Zarr metadata.

// What dyes emit, in the order tried; shown on screen a little lighter than pure, so that they read on black.
const dyes: readonly (readonly [RegExp, string])[] = [
  [/dapi|hoechst|draq|dna|nucle|405|bfp/i, "#4d7dff"],
  [/gfp|fitc|alexa ?488|488|egfp|calcein/i, "#38e07b"],
  [/cy5|647|far.?red|apc|640|draq/i, "#ff4fd8"],
  [/yfp|514/i, "#f2e34a"],
  [/tritc|cy3|rfp|mcherry|texas|tx ?red|555|561|568|594|rhod|actin|phalloidin/i, "#ff5b45"],
  [/bright|phase|trans|dic|\btl\b/i, "#d9d9d9"],
];

const spare = ["#4d7dff", "#38e07b", "#ff5b45", "#ff4fd8", "#f2e34a", "#37d6e6"];

/** `#rrggbb` for each channel by the name of its dye, else the next one that is free. */
export function channelTints(names: readonly string[]): string[] {
  const used = new Set<string>();
  return names.map((name) => {
    const known = dyes.find(([pattern, colour]) => pattern.test(name) && !used.has(colour))?.[1];
    const colour = known ?? spare.find((c) => !used.has(c)) ?? "#ffffff";
    used.add(colour);
    return colour;
  });
}
