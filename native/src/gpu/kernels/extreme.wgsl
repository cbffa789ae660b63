// SPDX-License-Identifier: MIT
// The least or the greatest of two keys, and the key that never wins.
const kLeast = ${least};
const kNone = select(0u, 0xffffffffu, kLeast);
fn extreme(a: u32, b: u32) -> u32 {
  if (kLeast) { return min(a, b); }
  return max(a, b);
}
