// SPDX-License-Identifier: MIT
// The variance between the classes below and above each value, and each workgroup's best:
// OtsuFromCounts of ops/histogram.cc with float64 sums, which are exact integers here. An empty bin has the same
// variance as the one before it, so that it cannot be the first best.
${include soft64}
${include best}
${include scan_levels}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let totals = params.blocks * 8u;
  for (var b = group.x; b < params.blocks; b += groups.x) {
    if (blocks[b * 8u + 3u] == 0u) { continue; }
    let i = b * 256u + t;
    let own = counts[i];
    scan_levels(t, own, wide_product(own, i));
    if (own > 0u && i < blocks[totals + 1u]) {
      let below = blocks[b * 8u] + pixels[t];
      let above = blocks[totals + 4u] - below;
      var low = wide_add(vec2u(blocks[b * 8u + 1u], blocks[b * 8u + 2u]), sums[t]);
      var high = wide_sub(vec2u(blocks[totals + 5u], blocks[totals + 6u]), low);
      low = wide_sub(low, wide_product(below, params.bias));
      high = wide_sub(high, wide_product(above, params.bias));
      let w1 = f64_of_u32(below);
      let w2 = f64_of_u32(above);
      let apart = f64_sub(f64_div(f64_of_wide(low), w1), f64_div(f64_of_wide(high), w2));
      let weights = f64_of_f32(f32_of_f64(f64_mul(w1, w2)));
      propose(f64_key(f64_mul(weights, f64_mul(apart, apart))), i);
    }
    workgroupBarrier();
  }
  find_best(t, own_key, own_place);
  if (t == 0u) {
    bests[group.x * 4u] = best_keys[0].x;
    bests[group.x * 4u + 1u] = best_keys[0].y;
    bests[group.x * 4u + 2u] = best_places[0];
  }
}
