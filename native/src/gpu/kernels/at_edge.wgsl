// SPDX-License-Identifier: MIT
// Pixels of in0 by row and column, the edge's beyond it.
fn at(y: i32, x: i32) -> f32 {
  let h = i32(params.height);
  let w = i32(params.width);
  return value_in0(u32(clamp(y, 0, h - 1)) * params.width + u32(clamp(x, 0, w - 1)));
}
