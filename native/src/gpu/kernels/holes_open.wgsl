// SPDX-License-Identifier: MIT
// Marks the roots of the background's components that reach the plane's edge, a bit a pixel.
${include segments}
fn item(m: u32) {
  let w = bits[m];
  let y = m / params.per_row;
  let x = (m - y * params.per_row) * 32u;
  let at = pixel_of_word(m);
  let outer = y == 0u || y == params.height - 1u;
  for (var starts = w & ~(w << 1u); starts != 0u; starts &= starts - 1u) {
    let start = countTrailingZeros(starts);
    let segment = lowest_segment(w & ~((1u << start) - 1u));
    let last = x + 31u - countLeadingZeros(segment);
    if (outer || x + start == 0u || last == params.width - 1u) {
      let root = parents[at + start];
      let root_y = root / params.width;
      let root_x = root - root_y * params.width;
      atomicOr(&open[root_y * params.per_row + (root_x >> 5u)], 1u << (root_x & 31u));
    }
  }
}
