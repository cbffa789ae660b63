// SPDX-License-Identifier: MIT
// Gradient magnitude: ops/detail.h, SobelMagnitude. One pixel beyond the edge is the edge's.
fn at(y: i32, x: i32) -> f32 {
  let h = i32(params.height);
  let w = i32(params.width);
  return value_in(u32(clamp(y, 0, h - 1)) * params.width + u32(clamp(x, 0, w - 1)));
}

fn pixel(i: u32) -> out_t {
  let y = i32(i / params.width);
  let x = i32(i % params.width);
  let a = at(y - 1, x - 1); let b = at(y - 1, x); let c = at(y - 1, x + 1);
  let d = at(y, x - 1); let f = at(y, x + 1);
  let g = at(y + 1, x - 1); let h = at(y + 1, x); let k = at(y + 1, x + 1);
  let across = ((c - a) + 2 * (f - d) + (k - g)) / 4;
  let down = ((g - a) + 2 * (h - b) + (k - c)) / 4;
  return sqrt((across * across + down * down) / 2);
}
