// SPDX-License-Identifier: MIT
// A part of an image: each pixel read once and written once.
fn pixel(i: u32) -> out_t {
  let y = i / params.out_width;
  let x = i % params.out_width;
  return load_in0((y + params.top) * params.width + x + params.left);
}
