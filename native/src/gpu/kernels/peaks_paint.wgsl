// SPDX-License-Identifier: MIT
// Each peak's number, in raster order.
fn pixel(i: u32) -> out_t {
  if (load_mask(i) == 0u) { return 0; }
  let y = i / params.width;
  let x = i - y * params.width;
  let m = y * params.per_row + (x >> 5u);
  return i32(sums[m >> 8u] + ranks[m] + countOneBits(roots[m] & ((1u << (x & 31u)) - 1u)) + 1u);
}
