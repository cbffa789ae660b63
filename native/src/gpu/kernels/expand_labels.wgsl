// SPDX-License-Identifier: MIT
// The label of the nearest labelled pixel within reach, the least of several: ExpandLabels of
// ops/distance.h.
fn pixel(i: u32) -> out_t {
  let y = i / params.width;
  let x = i - y * params.width;
  var best = params.most + 1u;  // the square of the distance
  var label = 0i;
  for (var k = 0u; k <= params.reach && k * k <= best; k++) {
    for (var side = 0u; side < 2u; side++) {
      if (side == 0u && k > x) { continue; }
      if (side == 1u && (k == 0u || x + k >= params.width)) { continue; }
      let at = select(x - k, x + k, side == 1u);
      let row = nearest[y * params.width + at];
      if (row == 0xffffffffu) { continue; }
      let d = max(row, y) - min(row, y);
      if (d > params.reach) { continue; }
      let square = d * d + k * k;
      if (square > params.most || square > best) { continue; }
      let other = load_in(row * params.width + at);
      if (square < best || other < label) {
        best = square;
        label = other;
      }
    }
  }
  return label;
}
