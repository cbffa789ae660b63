// SPDX-License-Identifier: MIT
// The row of each pixel's nearest seed in its column; of two as near that whose pixel is less.
// Bytes moved: twice the pixels and 8 a pixel.
${include seeds}
fn item(k: u32) {
  let s = k / params.width;
  let x = k - s * params.width;
  let first = s * kStrip;
  let end = min(first + kStrip, params.height);
  var row = ends[2u * k];
  for (var y = first; y < end; y++) {
    let i = y * params.width + x;
    if (is_seed(i)) { row = y; }
    nearest[i] = row;
  }
  row = ends[2u * k + 1u];
  for (var y = end; y > first; y--) {
    let here = y - 1u;
    let i = here * params.width + x;
    if (is_seed(i)) { row = here; }
    let above = nearest[i];
    if (row == kNoRow) { continue; }
    let down = row - here;
    let up = here - above;
    if (above == kNoRow || down < up ||
        (down == up && load_in(row * params.width + x) < load_in(above * params.width + x))) {
      nearest[i] = row;
    }
  }
}
