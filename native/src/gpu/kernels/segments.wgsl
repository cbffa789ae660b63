// SPDX-License-Identifier: MIT
// Segments: the runs of set bits within one word of a bit mask whose rows begin with a word. A
// segment is known by the index of its first pixel in the plane.

// The first bit of the segment that holds bit s of w.
fn segment_start(w: u32, s: u32) -> u32 {
  return 32u - countLeadingZeros(~w & ((1u << s) - 1u));
}

// The segment that begins with the lowest bit of w.
fn lowest_segment(w: u32) -> u32 { return w & ~(w + (w & (~w + 1u))); }

// Index in the plane of the first pixel of word m.
fn pixel_of_word(m: u32) -> u32 {
  let y = m / params.per_row;
  return y * params.width + (m - y * params.per_row) * 32u;
}
