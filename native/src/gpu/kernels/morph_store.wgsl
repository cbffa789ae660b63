// SPDX-License-Identifier: MIT
// Keys as pixels again, or what lies between them and the pixels of the source.
${include order_key}
const kMode = ${mode};  // 0: as they are, 1: source - they, 2: they - source

fn pixel(i: u32) -> out_t {
  let result = pixel_of_key(keys[i]);
  if (kMode == 1) { return load_in(i) - result; }
  if (kMode == 2) { return result - load_in(i); }
  return result;
}
