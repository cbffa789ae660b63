// SPDX-License-Identifier: MIT
// The results of a benchmark that puts them together by itself: bench/handoff.

import { writeResult as write } from "./result.mjs";

export { figure, table } from "./result.mjs";

export function writeResult(name, { stamp, ...rest }) {
  return write(name, { machine: stamp.machine, commit: stamp.commit, versions: stamp.versions, ...rest }, {});
}
