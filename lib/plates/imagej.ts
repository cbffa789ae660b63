// SPDX-License-Identifier: MIT
// Reads the ImageDescription that ImageJ and Fiji write: how the pages of a hyperstack are channels, slices and frames.
//
// Lines of key=value, the first `ImageJ=<version>`; ImageJ's order of pages is xyczt, channel fastest (ij.ImagePlus,
// ij.io.TiffDecoder, FileInfo).

export interface ImageJStack {
  readonly channels: number;
  readonly slices: number;
  readonly frames: number;
  readonly zStepUm: number | null;
}

const micrometre = new Set(["um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer", "micrometre"]);

/** `null` when it is not ImageJ's, or says no more than that the pages are a stack. */
export function parseImageJ(description: string): ImageJStack | null {
  if (!description.startsWith("ImageJ=")) return null;
  const values = new Map<string, string>();
  for (const line of description.slice(0, 8192).split(/\r\n|\r|\n/)) {
    const at = line.indexOf("=");
    if (at > 0 && !values.has(line.slice(0, at))) values.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  const size = (key: string) => {
    const text = values.get(key) ?? "1";
    return /^\d{1,6}$/.test(text) && Number(text) > 0 ? Number(text) : Number.NaN;
  };
  const [channels, slices, frames, images] = [
    size("channels"),
    size("slices"),
    size("frames"),
    size("images"),
  ] as [number, number, number, number];
  // A product that is not the number of images is nobody's hyperstack; the pages alone then say what there is.
  if (channels * slices * frames !== images || images === 1) return null;
  const spacing = Number(values.get("spacing"));
  const known = micrometre.has((values.get("unit") ?? "").toLowerCase()) && spacing > 0;
  return { channels, slices, frames, zStepUm: known ? spacing : null };
}
