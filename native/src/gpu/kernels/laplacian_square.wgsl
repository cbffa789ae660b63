// SPDX-License-Identifier: MIT
// The square of the Laplacian of float32 pixels, the edge's repeated beyond it: ops/focus.h. Five reads a pixel, four from the cache.
${include at_edge}
fn pixel(i: u32) -> out_t {
  let y = i32(i / params.width);
  let x = i32(i % params.width);
  let b = 2 * at(y, x);
  let v = ((at(y - 1, x) - b) + at(y + 1, x)) + ((at(y, x - 1) - b) + at(y, x + 1));
  return v * v;
}
