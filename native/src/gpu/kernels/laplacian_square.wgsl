// SPDX-License-Identifier: MIT
// The square of the Laplacian of float32 pixels, the edge's repeated beyond it: ops/focus.h. Five reads a pixel, four from the cache.
fn at(y: i32, x: i32) -> f32 {
  let h = i32(params.height);
  let w = i32(params.width);
  return value_in0(u32(clamp(y, 0, h - 1)) * params.width + u32(clamp(x, 0, w - 1)));
}

fn pixel(i: u32) -> out_t {
  let y = i32(i / params.width);
  let x = i32(i % params.width);
  let b = 2 * at(y, x);
  let v = ((at(y - 1, x) - b) + at(y + 1, x)) + ((at(y, x - 1) - b) + at(y, x + 1));
  return v * v;
}
