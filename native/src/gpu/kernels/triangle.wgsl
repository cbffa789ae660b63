// SPDX-License-Identifier: MIT
// The distance of each bin from the line between the peak and the longer tail's end, and each
// workgroup's best: TriangleThreshold of ops/thresholds.cc. Places count from the tail's end.
${include soft64}
${include best}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let totals = params.blocks * 8u;
  let low = blocks[totals];
  let high = blocks[totals + 1u];
  let peak = blocks[totals + 2u];
  let flip = peak - low < high - peak;
  let steps = select(peak - low, high - peak, flip);
  let tall = blocks[totals + 3u];
  let norm = f64_root(wide_add(wide_product(tall, tall), wide_product(steps, steps)));
  let height = f64_div(f64_of_u32(tall), norm);
  let width = f64_div(f64_of_u32(steps), norm);
  for (var x = group.x * 256u + t; x < steps; x += groups.x * 256u) {
    let i = select(low + x, high - x, flip);
    propose(f64_key(f64_sub(f64_mul(height, f64_of_u32(x)),
                            f64_mul(width, f64_of_u32(counts[i])))), x);
  }
  find_best(t, own_key, own_place);
  if (t == 0u) {
    bests[group.x * 4u] = best_keys[0].x;
    bests[group.x * 4u + 1u] = best_keys[0].y;
    bests[group.x * 4u + 2u] = best_places[0];
  }
}
