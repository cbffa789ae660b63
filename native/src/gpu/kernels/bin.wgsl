// SPDX-License-Identifier: MIT
// Means of blocks: ops/resample.h, BlockMean. A thread a block, row by row; each pixel is read once.
fn pixel(i: u32) -> out_t {
  let top = i / params.out_width * params.factor;
  let left = i % params.out_width * params.factor;
  let bottom = min(top + params.factor, params.height);
  let right = min(left + params.factor, params.width);
  var sum = ${SUM}(0);
  for (var y = top; y < bottom; y++) {
    var part = ${SUM}(0);
    for (var x = left; x < right; x++) { part += ${SUM}(load_in0(y * params.width + x)); }
    sum += part;
  }
  return f32(sum) / f32((bottom - top) * (right - left));
}
