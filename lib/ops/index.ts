// SPDX-License-Identifier: MIT
// Public face of the ops room.

export { type Op, op, printOp } from "./op.js";
export {
  type Feature,
  features,
  type IntensitySource,
  type OpName,
  type OpSpec,
  type ParametersOf,
  type Projectable,
  table as opTable,
} from "./table.js";
