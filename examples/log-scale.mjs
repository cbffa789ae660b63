// SPDX-License-Identifier: MIT
// A function of your own as an op: the logarithm of every pixel, computed on a worker thread on views of shared memory.
import { op, pipeline } from "tilecast";

/** Fills `out` (float32, the same shape) from `data`; `params` is what the op was given. */
export function logScale({ data, params }, out) {
  const offset = params.offset ?? 1;
  for (let i = 0; i < data.length; i++) out[i] = Math.log(data[i] + offset);
}

export default pipeline("log-scale")
  .step("project", op.maxProject())
  .step("log", op.javascript({ module: import.meta.url, export: "logScale", params: { offset: 1 } }));
