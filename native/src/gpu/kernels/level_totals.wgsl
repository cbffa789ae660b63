// SPDX-License-Identifier: MIT
// Turns the blocks' pixels and sums into those before each block, and puts behind the last block
// what holds for all: the first and the last bin that is not empty, the fullest, its pixels, and
// the pixels and sum of all. One workgroup; at most 256 blocks.
${include soft64}
${include scan_levels}
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  let here = t < params.blocks;
  var own = 0u;
  var own_sum = vec2u(0u, 0u);
  if (here) {
    own = blocks[t * 8u];
    own_sum = vec2u(blocks[t * 8u + 1u], blocks[t * 8u + 2u]);
  }
  scan_levels(t, own, own_sum);
  if (here) {
    let before = wide_sub(sums[t], own_sum);
    blocks[t * 8u] = pixels[t] - own;
    blocks[t * 8u + 1u] = before.x;
    blocks[t * 8u + 2u] = before.y;
  }
  if (t == 0u) {
    var low = 0xffffffffu;
    var high = 0u;
    var most = 0u;
    var peak = 0u;
    for (var b = 0u; b < params.blocks; b++) {
      let n = blocks[b * 8u + 3u];
      if (n > most) {
        most = n;
        peak = blocks[b * 8u + 4u];
      }
      if (n > 0u) {
        low = min(low, blocks[b * 8u + 5u]);
        high = max(high, blocks[b * 8u + 6u]);
      }
    }
    let at = params.blocks * 8u;
    blocks[at] = low;
    blocks[at + 1u] = high;
    blocks[at + 2u] = peak;
    blocks[at + 3u] = most;
    blocks[at + 4u] = pixels[255];
    blocks[at + 5u] = sums[255].x;
    blocks[at + 6u] = sums[255].y;
  }
}
