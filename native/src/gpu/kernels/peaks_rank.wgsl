// SPDX-License-Identifier: MIT
// A mask of peaks as words, a row's beginning with a word, and their ranks. Peaks nearer to each
// other than they may be are as great: which of them stays is the CPU's to say (doubt).
${include label_ranks}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let g = group.y * groups.x + group.x;
  let m = g * 256u + t;
  var own = 0u;
  if (m < params.words) {
    let y = m / params.per_row;
    let left = (m - y * params.per_row) * 32u;
    for (var k = 0u; k < min(32u, params.width - left); k++) {
      if (load_mask(y * params.width + left + k) == 0u) { continue; }
      own |= 1u << k;
      let x = left + k;
      for (var yy = y - min(y, params.near); yy <= min(y + params.near, params.height - 1u); yy++) {
        for (var xx = x - min(x, params.near); xx <= min(x + params.near, params.width - 1u); xx++) {
          if ((yy != y || xx != x) && load_mask(yy * params.width + xx) != 0u) { doubt[0] = 1u; }
        }
      }
    }
  }
  rank_words(t, g, m, own);
}
