// SPDX-License-Identifier: MIT
// Gradient magnitude: ops/detail.h, SobelMagnitude. One pixel beyond the edge is the edge's. Each pixel is read nine times, eight of them
// from the first-level cache: 2 + 4 bytes of memory a pixel from uint16.
${include at_edge}
fn pixel(i: u32) -> out_t {
  let y = i32(i / params.width);
  let x = i32(i % params.width);
  let a = at(y - 1, x - 1); let b = at(y - 1, x); let c = at(y - 1, x + 1);
  let d = at(y, x - 1); let f = at(y, x + 1);
  let g = at(y + 1, x - 1); let h = at(y + 1, x); let k = at(y + 1, x + 1);
  let down = ((a + 2 * b + c) - (g + 2 * h + k)) * 0.25;
  let across = ((a + 2 * d + g) - (c + 2 * f + k)) * 0.25;
  return sqrt((down * down + across * across) * 0.5);
}
