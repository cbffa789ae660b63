// SPDX-License-Identifier: MIT
// Public face of the ops room.

export { describeOp, type OpDescription, opNames, type ParameterDescription } from "./describe.js";
export { type Feature, features, type PlaneFeature, planeFeatures } from "./families/features.js";
export type { Projectable } from "./families/projections.js";
export { type Op, op, printOp } from "./op.js";
export type { ImageSource } from "./parameter.js";
export { type Family, families, type OpSpec, type Size, type TileKind } from "./spec.js";
export { type OpName, type ParametersOf, table as opTable } from "./table.js";
