// SPDX-License-Identifier: MIT
// Unites each segment with those it touches in the word to the left and in the row above: lock-free
// union-find whose roots are the least index (Playne and Hawick, IEEE TPDS 29(6), 2018), on
// segments instead of pixels. Bytes moved: 3/8 a pixel for the masks, and the trees' nodes.
${include segments}
const kDiagonal = ${diagonal};  // 8-connected, else 4

fn root_of(start: u32) -> u32 {
  var i = start;
  loop {
    let parent = atomicLoad(&parents[i]);
    if (parent == i) { return i; }
    i = parent;
  }
}

fn unite(a_in: u32, b_in: u32) {
  var a = root_of(a_in);
  var b = root_of(b_in);
  while (a != b) {
    if (a < b) {
      let c = a;
      a = b;
      b = c;
    }
    let old = atomicMin(&parents[a], b);
    if (old == a) { return; }
    // Another thread gave a a parent meanwhile: that one and b belong together.
    a = root_of(old);
    b = root_of(b);
  }
}

fn item(m: u32) {
  let w = bits[m];
  if (w == 0u) { return; }
  let at = pixel_of_word(m);
  let first_in_row = m % params.per_row == 0u;
  if (!first_in_row && (w & 1u) != 0u) {
    let left = bits[m - 1u];
    if ((left >> 31u) != 0u) { unite(at, at - 32u + segment_start(left, 31u)); }
  }
  if (m < params.per_row) { return; }
  let up = m - params.per_row;
  let here = bits[up];
  let up_at = at - params.width;
  for (var rest = w; rest != 0u; ) {
    let segment = lowest_segment(rest);
    rest &= ~segment;
    let own = at + countTrailingZeros(segment);
    var touched = segment;
    if (kDiagonal) { touched |= (segment << 1u) | (segment >> 1u); }
    for (var hits = here & touched; hits != 0u; ) {
      let bit = countTrailingZeros(hits);
      unite(own, up_at + segment_start(here, bit));
      hits &= ~lowest_segment(here & ~((1u << bit) - 1u));
    }
    if (kDiagonal) {
      // Where the pixel between is set too, the row above unites the two.
      if ((segment & 1u) != 0u && !first_in_row && (here & 1u) == 0u) {
        let left = bits[up - 1u];
        if ((left >> 31u) != 0u) { unite(own, up_at - 32u + segment_start(left, 31u)); }
      }
      if ((segment >> 31u) != 0u && (here >> 31u) == 0u && (m + 1u) % params.per_row != 0u) {
        if ((bits[up + 1u] & 1u) != 0u) { unite(own, up_at + 32u); }
      }
    }
  }
}
