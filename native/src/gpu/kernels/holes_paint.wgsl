// SPDX-License-Identifier: MIT
// 0 where the background reaches the plane's edge, 1 elsewhere.
fn pixel(i: u32) -> out_t {
  let y = i / params.width;
  let x = i - y * params.width;
  let w = bits[y * params.per_row + (x >> 5u)];
  let bit = x & 31u;
  if (((w >> bit) & 1u) == 0u) { return 1u; }
  let start = 32u - countLeadingZeros(~w & ((1u << bit) - 1u));
  let root = parents[i - bit + start];
  let root_y = root / params.width;
  let root_x = root - root_y * params.width;
  let is_open = (open[root_y * params.per_row + (root_x >> 5u)] >> (root_x & 31u)) & 1u;
  return 1u - is_open;
}
