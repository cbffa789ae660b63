// SPDX-License-Identifier: MIT
// The float32 sums of YenThreshold (ops/thresholds.cc), in its order, since each addition rounds:
// of the shares and their squares from below, including the bin, and of the squares from above,
// without it. Three threads of one workgroup add, 256 bins at a time; empty blocks change nothing.
var<workgroup> share: array<f32, 256>;
var<workgroup> square: array<f32, 256>;
var<workgroup> square_above: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  var sum = 0.0;
  for (var b = 0u; b < params.blocks; b++) {
    let i = b * 256u;
    let k = (params.blocks - 1u - b) * 256u;
    share[t] = parts[2u * (i + t)];
    square[t] = parts[2u * (i + t) + 1u];
    square_above[t] = parts[2u * (k + t) + 1u];
    workgroupBarrier();
    let up = blocks[b * 8u + 3u] != 0u;
    let down = blocks[(params.blocks - 1u - b) * 8u + 3u] != 0u;
    if (t == 0u && up) {
      for (var x = 0u; x < 256u; x++) {
        sum = sum + share[x];
        sums[(i + x) * 3u] = sum;
      }
    }
    if (t == 64u && up) {
      for (var x = 0u; x < 256u; x++) {
        sum = sum + square[x];
        sums[(i + x) * 3u + 1u] = sum;
      }
    }
    if (t == 128u && down) {
      for (var x = 255i; x >= 0; x--) {
        sums[(k + u32(x)) * 3u + 2u] = sum;
        sum = sum + square_above[x];
      }
    }
    workgroupBarrier();
  }
}
