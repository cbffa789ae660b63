// SPDX-License-Identifier: MIT
// A plane above its threshold (or not above it) as a bit mask, and each segment as a tree of its
// own. A workgroup makes 32 words, four pixels a thread, so that neighbours read neighbours.
// Bytes moved: the pixels, 1/8 a pixel, 4 a segment.
${include above}
${include segments}
const kInvert = ${invert};

var<workgroup> nibbles: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let first = (group.y * groups.x + group.x) * 32u;
  let m = first + (t >> 3u);
  var nibble = 0u;
  if (m < params.words) {
    let y = m / params.per_row;
    let x = (m - y * params.per_row) * 32u + (t & 7u) * 4u;
    for (var k = 0u; k < 4u; k++) {
      if (x + k < params.width && above(y * params.width + x + k) != kInvert) { nibble |= 1u << k; }
    }
  }
  nibbles[t] = nibble;
  workgroupBarrier();
  let own = first + t;
  if (t < 32u && own < params.words) {
    var w = 0u;
    for (var k = 0u; k < 8u; k++) { w |= nibbles[t * 8u + k] << (4u * k); }
    bits[own] = w;
    let at = pixel_of_word(own);
    for (var starts = w & ~(w << 1u); starts != 0u; starts &= starts - 1u) {
      let i = at + countTrailingZeros(starts);
      parents[i] = i;
    }
  }
}
