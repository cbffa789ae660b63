// SPDX-License-Identifier: MIT
// Pixels of each object by its rank, and in the highest bit whether it touches the plane's edge. A
// thread takes 8 words in a row and adds once for what belongs together.
${include segments}
${include label_rank}
fn item(k: u32) {
  let end = min(k * 8u + 8u, params.words);
  var object = 0xffffffffu;  // a root
  var area = 0u;
  for (var m = k * 8u; m < end; m++) {
    let at = pixel_of_word(m);
    let y = m / params.per_row;
    let x = (m - y * params.per_row) * 32u;
    let outer = y == 0u || y == params.height - 1u;
    for (var rest = bits[m]; rest != 0u; ) {
      let segment = lowest_segment(rest);
      rest &= ~segment;
      let start = countTrailingZeros(segment);
      let root = parents[at + start];
      if (root != object) {
        if (area != 0u) { atomicAdd(&areas[rank_of(object)], area); }
        object = root;
        area = 0u;
      }
      area += countOneBits(segment);
      let last = x + 31u - countLeadingZeros(segment);
      if (outer || x + start == 0u || last == params.width - 1u) {
        atomicOr(&areas[rank_of(root)], 0x80000000u);
      }
    }
  }
  if (area != 0u) { atomicAdd(&areas[rank_of(object)], area); }
}
