// SPDX-License-Identifier: MIT
// Of each 256 bins: the pixels, the sum of their bins' numbers, the fullest bin, the first and the
// last that is not empty. Eight words a block, a thread a block.
${include soft64}
@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.blocks) { return; }
  var pixels = 0u;
  var sum = vec2u(0u, 0u);
  var most = 0u;
  var most_at = 0u;
  var first = 0xffffffffu;
  var last = 0u;
  for (var i = id.x * 256u; i < id.x * 256u + 256u; i++) {
    let n = counts[i];
    if (n == 0u) { continue; }
    pixels += n;
    sum = wide_add(sum, wide_product(n, i));
    if (n > most) {
      most = n;
      most_at = i;
    }
    first = min(first, i);
    last = i;
  }
  let at = id.x * 8u;
  blocks[at] = pixels;
  blocks[at + 1u] = sum.x;
  blocks[at + 2u] = sum.y;
  blocks[at + 3u] = most;
  blocks[at + 4u] = most_at;
  blocks[at + 5u] = first;
  blocks[at + 6u] = last;
}
