// SPDX-License-Identifier: MIT
// Every pixel's number. Bytes moved: 4 a pixel, 1/8 for the mask; a segment's number is read by
// threads next to each other.
fn pixel(i: u32) -> out_t {
  let y = i / params.width;
  let x = i - y * params.width;
  let w = bits[y * params.per_row + (x >> 5u)];
  let bit = x & 31u;
  if (((w >> bit) & 1u) == 0u) { return 0; }
  let start = 32u - countLeadingZeros(~w & ((1u << bit) - 1u));
  return i32(segment_labels[i - bit + start]);
}
