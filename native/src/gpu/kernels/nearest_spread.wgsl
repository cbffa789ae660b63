// SPDX-License-Identifier: MIT
// From each strip's own seeds to the last row with a seed above it and the first one below. A
// thread a column.
const kNoRow = 0xffffffffu;
fn item(x: u32) {
  var above = kNoRow;
  for (var s = 0u; s < params.strips; s++) {
    let k = s * params.count + x;
    ends[2u * k] = above;
    if (strips[2u * k + 1u] != kNoRow) { above = strips[2u * k + 1u]; }
  }
  var below = kNoRow;
  for (var s = params.strips; s > 0u; s--) {
    let k = (s - 1u) * params.count + x;
    ends[2u * k + 1u] = below;
    if (strips[2u * k] != kNoRow) { below = strips[2u * k]; }
  }
}
