// SPDX-License-Identifier: MIT
// Gives each segment its root for a parent, and marks the roots.
${include segments}
${include label_ranks}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let g = group.y * groups.x + group.x;
  let m = g * 256u + t;
  var own = 0u;
  if (m < params.words) {
    let w = bits[m];
    let at = pixel_of_word(m);
    for (var starts = w & ~(w << 1u); starts != 0u; starts &= starts - 1u) {
      let bit = countTrailingZeros(starts);
      var i = at + bit;
      loop {
        let parent = atomicLoad(&parents[i]);
        if (parent == i) { break; }
        i = parent;
      }
      atomicStore(&parents[at + bit], i);
      if (i == at + bit) { own |= 1u << bit; }
    }
  }
  rank_words(t, g, m, own);
}
