// SPDX-License-Identifier: MIT
// The number of a root among the roots, from 0.
fn rank_of(pixel: u32) -> u32 {
  let y = pixel / params.width;
  let x = pixel - y * params.width;
  let m = y * params.per_row + (x >> 5u);
  return sums[m >> 8u] + ranks[m] + countOneBits(roots[m] & ((1u << (x & 31u)) - 1u));
}

fn is_root(pixel: u32) -> bool {
  let y = pixel / params.width;
  let x = pixel - y * params.width;
  return ((roots[y * params.per_row + (x >> 5u)] >> (x & 31u)) & 1u) != 0u;
}
