// SPDX-License-Identifier: MIT
// What op.measure can measure of an object, and op.measurePlane of a plane, by what it needs: its shape, one image, or two.

/** Of an object's pixels alone; bbox becomes four columns, centroid two. */
export const shapeFeatures = [
  "area",
  "centroid",
  "bbox",
  "perimeter",
  "eccentricity",
  "major_axis_length",
  "minor_axis_length",
  "orientation",
  "equivalent_diameter",
  "extent",
  "form_factor",
  "solidity",
] as const;

/** On each intensity image; haralick becomes thirteen columns. */
export const imageFeatures = [
  "integrated_intensity",
  "mean_intensity",
  "max_intensity",
  "min_intensity",
  "std_intensity",
  "lower_quartile_intensity",
  "median_intensity",
  "upper_quartile_intensity",
  "haralick",
] as const;

/** On each pair of intensity images; manders becomes two columns. */
export const pairFeatures = ["pearson", "overlap", "manders"] as const;

/** Features of `op.measure`. */
export const features = [...shapeFeatures, ...imageFeatures, ...pairFeatures] as const;
export type Feature = (typeof features)[number];

/** Columns of features that are more than one number; the others are columns of their own name. */
export const columnsOf: Partial<Record<Feature, readonly string[]>> = {
  centroid: ["centroid_y", "centroid_x"],
  bbox: ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"],
  haralick: [
    "angular_second_moment",
    "contrast",
    "correlation",
    "variance",
    "inverse_difference_moment",
    "sum_average",
    "sum_variance",
    "sum_entropy",
    "entropy",
    "difference_variance",
    "difference_entropy",
    "information_1",
    "information_2",
  ].map((name) => `texture_${name}`),
  manders: ["manders_1", "manders_2"],
};

export const isImageFeature = (f: Feature): boolean => (imageFeatures as readonly string[]).includes(f);
export const isPairFeature = (f: Feature): boolean => (pairFeatures as readonly string[]).includes(f);

/** Of a plane's pixels: `percentiles` and `histogram` become as many columns as asked for. */
export const planeOwnFeatures = [
  "mean",
  "std",
  "min",
  "max",
  "percentiles",
  "saturated",
  "histogram",
  "focus_laplacian",
  "focus_brenner",
  "focus_tenengrad",
  "focus_variance",
] as const;

/** With another image. */
export const planePairFeatures = ["pearson", "overlap", "manders"] as const;

/** Features of `op.measurePlane`. */
export const planeFeatures = [...planeOwnFeatures, ...planePairFeatures] as const;
export type PlaneFeature = (typeof planeFeatures)[number];

/** Columns of plane features that are more than one number whatever the parameters. */
export const planeColumns: Partial<Record<PlaneFeature, readonly string[]>> = {
  manders: ["manders_1", "manders_2"],
};
