// SPDX-License-Identifier: MIT
// Resampling: ops/geometry.h, Resize, with weights rounded to float32. Columns, then rows; a pixel of the result reads what it takes from,
// which its neighbours read as well.
fn pixel(i: u32) -> out_t {
  let y = 3u * (i / params.out_width);
  let x = 3u * (i % params.out_width);
  var sum = 0.0;
  for (var k = along[x + 1u]; k < along[x + 2u]; k++) {
    let column = along[x] + (k - along[x + 1u]);
    var part = 0.0;
    for (var j = down[y + 1u]; j < down[y + 2u]; j++) {
      part += value_in0((down[y] + (j - down[y + 1u])) * params.width + column) * bitcast<f32>(down[j]);
    }
    sum += part * bitcast<f32>(along[k]);
  }
  return ${OUT};
}
