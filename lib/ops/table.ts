// SPDX-License-Identifier: MIT
// The op table: every op once, with its parameters, the dtypes it takes and gives, its exact definition and the source of it.
// The constructors (op.ts), the compiler, the help texts and docs/ops.md derive from it.

import { type DType, dtypes } from "../image/dtype.js";
import {
  anything,
  flag,
  integer,
  listOf,
  number,
  oneOf,
  optional,
  type Parameter,
  required,
  text,
} from "./parameter.js";

/** What flows through a chain at some point. */
export type TileKind = "image" | "mask" | "labels";

/** Which ops may be projected over; the well and the channel are never collapsed. */
export const projectable = ["z_index", "site", "timepoint"] as const;
export type Projectable = (typeof projectable)[number];

/** Features of `op.measure`, in the order of the table's columns; bbox becomes four columns. */
export const features = [
  "area",
  "centroid",
  "bbox",
  "integrated_intensity",
  "mean_intensity",
  "max_intensity",
  "min_intensity",
  "perimeter",
  "eccentricity",
] as const;
export type Feature = (typeof features)[number];

/** An image to measure intensities on: a step's result by name, of this channel or another one. */
export type IntensitySource = string | { readonly step?: string; readonly channel?: number | string };

const real: readonly DType[] = dtypes;
const otsuTypes: readonly DType[] = ["uint8", "int8", "uint16", "int16", "float32", "float64"];
const plainImage: readonly TileKind[] = ["image"];

export interface OpSpec {
  readonly summary: string;
  /** The exact definition: boundary, rounding, bins. */
  readonly definition: string;
  /** Paper, specification or implementation that defines it. */
  readonly source: string;
  readonly takes: readonly TileKind[];
  readonly gives: TileKind | "same" | "nothing";
  readonly accepts: readonly DType[];
  /** dtype of the result. */
  result(input: DType, parameters: Readonly<Record<string, unknown>>): DType;
  readonly parameters: Readonly<Record<string, Parameter<never, boolean> | unknown>>;
}

const over = optional(
  anything<Projectable | readonly Projectable[]>(
    `one or several of ${projectable.map((p) => `"${p}"`).join(", ")}`,
    (v) =>
      !(Array.isArray(v) && v.length === 0) &&
      [v].flat().every((x) => (projectable as readonly unknown[]).includes(x)),
  ),
  undefined,
  "Component to project over. Default: the step's variable components, which are z_index unless said otherwise.",
);

const isPlainObject = (v: unknown): v is Readonly<Record<string, unknown>> =>
  typeof v === "object" && v !== null && !Array.isArray(v);

function isIntensitySource(v: unknown): boolean {
  if (typeof v === "string") return v.length > 0;
  if (!isPlainObject(v)) return false;
  const { step, channel, ...rest } = v;
  return (
    Object.keys(rest).length === 0 &&
    (step === undefined || typeof step === "string") &&
    (channel === undefined || typeof channel === "string" || typeof channel === "number")
  );
}

/** One source, or several by column suffix. Strict, since a misspelt key would silently measure another image. */
function isIntensity(v: unknown): boolean {
  return (
    isIntensitySource(v) ||
    (isPlainObject(v) &&
      Object.entries(v).every(([suffix, s]) => /^\w+$/.test(suffix) && isIntensitySource(s)))
  );
}

function sumType(input: DType): DType {
  if (input === "uint8" || input === "uint16") return "uint32";
  if (input === "int8" || input === "int16") return "int32";
  return "float64";
}

export const table = {
  maxProject: {
    summary: "Maximum over a component (z slices, sites, timepoints).",
    definition:
      "Per pixel the largest value; source dtype, exact. A channel stored without slices passes unchanged.",
    source: "numpy.max over the stacked axis",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: (d: DType): DType => d,
    parameters: { over },
  },
  meanProject: {
    summary: "Mean over a component.",
    definition: "Exact integer (or float64) sum, divided by the count in float64, rounded once to float32.",
    source: "numpy.mean over the stacked axis",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: (): DType => "float32",
    parameters: { over },
  },
  sumProject: {
    summary: "Sum over a component.",
    definition: "uint8/uint16 -> uint32, int8/int16 -> int32, everything else -> float64.",
    source: "numpy.sum over the stacked axis",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: sumType,
    parameters: { over },
  },
  flatField: {
    summary: "Divides by the channel's illumination.",
    definition:
      "float32(pixel) - background, divided by the illumination image; float32, one rounding each. `from` estimates the illumination " +
      "from up to `images` fields of the plate per channel: block means of `shrink` px, per-pixel median (or mean), Gaussian of `sigma` px, " +
      "bilinear enlargement, scaled to mean 1, floored at 0.05.",
    source: "Singh et al., J. Microscopy 256(3), 2014; CellProfiler CorrectIlluminationCalculate",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: (): DType => "float32",
    parameters: {
      image: optional(
        text("path of a TIFF; {channel} stands for the channel number"),
        undefined,
        "Illumination image, of the planes' size.",
      ),
      from: optional(
        oneOf("median", "mean"),
        undefined,
        'Estimate it from the plate instead. Default "median" when no image is given: dust and bright cells do not pull it.',
      ),
      background: optional(
        number("intensity"),
        0,
        "Subtracted first. Default 0: cameras differ, and a wrong offset is worse than none.",
      ),
      sigma: optional(
        number("px", 0),
        50,
        "Smoothing of the estimate. Default 50: wider than cells, narrower than vignetting.",
      ),
      images: optional(
        integer("fields", 1),
        64,
        "Most fields a channel's estimate reads. Default 64: enough for a stable median, a few seconds of reading.",
      ),
      shrink: optional(
        integer("px", 1),
        8,
        "Block size of the estimate. Default 8: illumination has no finer detail, and memory falls 64-fold.",
      ),
    },
  },
  subtractBackground: {
    summary: "Subtracts a constant, or a percentile of the plane.",
    definition:
      "float32(pixel) - float32(value). The percentile is exact (numpy's linear interpolation) over all pixels of the plane. Nothing is clipped.",
    source: "numpy.percentile(method='linear')",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: (): DType => "float32",
    parameters: {
      value: optional(number("intensity"), undefined, "Constant to subtract."),
      percentile: optional(number("%", 0, 100), undefined, "Percentile to subtract instead of a constant."),
    },
  },
  gaussian: {
    summary: "Gaussian blur.",
    definition:
      "float32; radius int(4 sigma + 0.5), weights normalised in float64, rows after columns, boundary half-sample symmetric (d c b a | a b c d).",
    source: "scipy.ndimage.gaussian_filter(mode='reflect', truncate=4)",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: (): DType => "float32",
    parameters: { sigma: required(number("px", 0, 4096), "Standard deviation.") },
  },
  threshold: {
    summary: "Mask of pixels above a fixed value.",
    definition: "pixel > value (strict); NaN is background.",
    source: "numpy comparison",
    takes: plainImage,
    gives: "mask",
    accepts: real,
    result: (): DType => "uint8",
    parameters: { value: required(number("intensity"), "Pixels strictly above it are foreground.") },
  },
  otsu: {
    summary: "Mask of pixels above Otsu's threshold of the plane.",
    definition:
      "Floats: 256 equal bins over min..max by numpy.histogram's rule, threshold = centre of the first best bin. 8/16-bit integers: one bin a value. pixel > threshold (strict).",
    source: "Otsu, IEEE Trans. SMC 9(1), 1979; skimage.filters.threshold_otsu",
    takes: plainImage,
    gives: "mask",
    accepts: otsuTypes,
    result: (): DType => "uint8",
    parameters: {},
  },
  label: {
    summary: "Numbers the connected objects of a mask.",
    definition:
      "8-connected components, numbered from 1 in raster order of their first pixel; filters apply to the original components, then numbers are closed up. int32.",
    source: "skimage.measure.label(connectivity=2); He, Chao, Suzuki, IEEE TIP 17(5), 2008",
    takes: ["mask"],
    gives: "labels",
    accepts: ["uint8"],
    result: (): DType => "int32",
    parameters: {
      minArea: optional(integer("px", 0), 0, "Smaller objects are dropped. Default 0: keep all."),
      maxArea: optional(integer("px", 0), undefined, "Larger objects are dropped. Default: no limit."),
      clearBorder: optional(flag(), false, "Drop objects that touch the edge of the image."),
      name: optional(
        anything<string>(
          "name of letters, digits, - and _",
          (v) => typeof v === "string" && /^[A-Za-z0-9][\w-]*$/.test(v),
        ),
        "objects",
        "Name of the label image in the OME-Zarr (labels/<name>).",
      ),
    },
  },
  measure: {
    summary: "One table row an object.",
    definition:
      "area px; centroid mean of pixel centres (y, x); bbox half-open; integrated intensity an exact sum (int64 or float64), mean = sum / area; " +
      "perimeter and eccentricity as regionprops.",
    source: "skimage.measure.regionprops",
    takes: ["labels"],
    gives: "same",
    accepts: ["int32"],
    result: (d: DType): DType => d,
    parameters: {
      features: optional(
        listOf(oneOf(...features)),
        ["area", "centroid", "bbox", "integrated_intensity", "mean_intensity", "max_intensity"],
        "What to measure.",
      ),
      intensity: optional(
        anything<IntensitySource | Readonly<Record<string, IntensitySource>>>(
          "step name, { step, channel }, or an object of column suffix: step name or { step, channel }",
          isIntensity,
        ),
        undefined,
        "Images to measure intensities on. Default: the image that the run writes (projected, uncorrected).",
      ),
    },
  },
  convert: {
    summary: "Another dtype.",
    definition: "Rounded half to even and clamped to the range of an integer dtype; NaN becomes 0 there.",
    source: "numpy.rint, numpy.clip",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: (_: DType, p: Readonly<Record<string, unknown>>): DType => p.dtype as DType,
    parameters: { dtype: required(oneOf(...dtypes), "The dtype wanted.") },
  },
  rescale: {
    summary: "pixel * scale + offset.",
    definition: "Computed in float64, then as convert.",
    source: "numpy arithmetic",
    takes: plainImage,
    gives: "image",
    accepts: real,
    result: (_: DType, p: Readonly<Record<string, unknown>>): DType =>
      (p.dtype as DType | undefined) ?? "float32",
    parameters: {
      scale: optional(number(), 1, "Factor."),
      offset: optional(number(), 0, "Added after scaling."),
      dtype: optional(
        oneOf(...dtypes),
        "float32",
        "dtype of the result. Default float32: nothing is clamped.",
      ),
    },
  },
  save: {
    summary: "Writes the image at this point as the field's image.",
    definition:
      "Without it, a chain that labels writes its image after the last projection; any other writes its last image.",
    source: "tilecast",
    takes: ["image", "mask"],
    gives: "same",
    accepts: real,
    result: (d: DType): DType => d,
    parameters: {},
  },
  javascript: {
    summary: "A function of yours, on a worker thread.",
    definition:
      "The module's export is called as fn({ data, shape, dtype, components, params }, out) with typed-array views of shared memory, valid during " +
      "the call; it fills `out` (same shape, dtype `output`). It may be async. Throwing fails the plane.",
    source: "yours",
    takes: ["image", "mask", "labels"],
    gives: "image",
    accepts: real,
    result: (_: DType, p: Readonly<Record<string, unknown>>): DType => p.output as DType,
    parameters: {
      module: required(
        anything<string | URL>(
          "URL or absolute path of an ES module",
          (v) => typeof v === "string" || v instanceof URL,
        ),
        'ES module that holds the function: new URL("./mine.mjs", import.meta.url).',
      ),
      export: optional(text(), "default", "Name of the export."),
      output: optional(oneOf(...dtypes), "float32", "dtype of the result."),
      kind: optional(
        oneOf("image", "mask", "labels"),
        "image",
        "What the result is: labels (int32) can be measured.",
      ),
      params: optional(
        anything<Readonly<Record<string, unknown>>>(
          "plain JSON object",
          (v) => typeof v === "object" && v !== null && !Array.isArray(v),
        ),
        undefined,
        "Passed to the function as `params`.",
      ),
    },
  },
} as const satisfies Record<string, OpSpec>;

export type OpName = keyof typeof table;

type Specs<N extends OpName> = (typeof table)[N]["parameters"];
type ValueOf<P> = P extends Parameter<infer T, boolean> ? T : never;
type OptionalKeys<S> = { [K in keyof S]: S[K] extends Parameter<infer _, true> ? K : never }[keyof S];

/** The parameters of an op as its constructor takes them. */
export type ParametersOf<N extends OpName> = {
  [K in Exclude<keyof Specs<N>, OptionalKeys<Specs<N>>>]: ValueOf<Specs<N>[K]>;
} & { [K in OptionalKeys<Specs<N>>]?: ValueOf<Specs<N>[K]> | undefined };
