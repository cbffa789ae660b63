// SPDX-License-Identifier: MIT
// The first and the last row with a seed of each strip of each column.
${include seeds}
fn item(k: u32) {
  let s = k / params.width;
  let x = k - s * params.width;
  var first = kNoRow;
  var last = kNoRow;
  for (var y = s * kStrip; y < min(s * kStrip + kStrip, params.height); y++) {
    if (is_seed(y * params.width + x)) {
      if (first == kNoRow) { first = y; }
      last = y;
    }
  }
  strips[2u * k] = first;
  strips[2u * k + 1u] = last;
}
