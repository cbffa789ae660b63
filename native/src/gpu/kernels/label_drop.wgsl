// SPDX-License-Identifier: MIT
// Unmarks the roots of objects that the options drop, and ranks the others anew.
${include label_ranks}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let g = group.y * groups.x + group.x;
  let m = g * 256u + t;
  var own = 0u;
  if (m < params.words) {
    var rank = old_sums[m >> 8u] + old_ranks[m];
    for (var rest = old_roots[m]; rest != 0u; rest &= rest - 1u) {
      let word = areas[rank];
      let area = word & 0x7fffffffu;
      let edge = params.clear_border != 0u && (word >> 31u) != 0u;
      if (area >= params.min_area && area <= params.max_area && !edge) {
        own |= rest & (~rest + 1u);
      }
      rank++;
    }
  }
  rank_words(t, g, m, own);
}
