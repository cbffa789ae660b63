// SPDX-License-Identifier: MIT
// Yen's criterion of each bin, and each workgroup's best: YenThreshold of ops/thresholds.cc.
${include soft64}
${include best}
fn rounded(v: vec2u) -> vec2u { return f64_of_f32(f32_of_f64(v)); }
const kOne = vec2u(0u, 0x3ff00000u);

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let totals = params.blocks * 8u;
  for (var b = group.x; b < params.blocks; b += groups.x) {
    let i = b * 256u + t;
    if (blocks[b * 8u + 3u] == 0u || counts[i] == 0u || i >= blocks[totals + 1u]) { continue; }
    let below = f64_of_f32(sums[i * 3u]);
    let product = rounded(f64_mul(f64_of_f32(sums[i * 3u + 1u]), f64_of_f32(sums[i * 3u + 2u])));
    let spread = rounded(f64_mul(below, rounded(f64_sub(kOne, below))));
    let square = rounded(f64_mul(spread, spread));
    let ratio = rounded(f64_mul(rounded(f64_div(kOne, product)), square));
    if (f64_greater(ratio, vec2u(0u, 0u))) { propose(f64_key(rounded(f64_log(ratio))), i); }
  }
  find_best(t, own_key, own_place);
  if (t == 0u) {
    bests[group.x * 4u] = best_keys[0].x;
    bests[group.x * 4u + 1u] = best_keys[0].y;
    bests[group.x * 4u + 2u] = best_places[0];
  }
}
