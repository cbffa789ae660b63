// SPDX-License-Identifier: MIT
// 1 where a pixel is the greatest around it, above the threshold and inside the border; not in a
// constant plane. -0 is 0, and NaN is no peak.
${include order_key}
fn even(v: in_t) -> u32 {
  let key = key_of(v);
  if (kKeyFloats && key == 0x7fffffffu) { return 0x80000000u; }
  return key;
}

fn pixel(i: u32) -> out_t {
  let y = i / params.width;
  let x = i - y * params.width;
  let v = load_in(i);
  if (y < params.border || x < params.border || y + params.border >= params.height ||
      x + params.border >= params.width || varies[0] == 0u) {
    return 0u;
  }
  let key = key_of(v);
  if (kKeyFloats && key == 0xffc00000u) { return 0u; }
  if (even(v) != even(pixel_of_key(greatest[i])) || load_enough(i) == 0u) { return 0u; }
  return 1u;
}
