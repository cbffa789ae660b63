// SPDX-License-Identifier: MIT
// The distance of each bin from the line between the peak and the longer tail's end, and each
// block's best: TriangleThreshold of ops/thresholds.cc. Places count from the tail's end.
${soft64}
${best}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let totals = params.blocks * 8u;
  let low = blocks[totals];
  let high = blocks[totals + 1u];
  let peak = blocks[totals + 2u];
  let flip = peak - low < high - peak;
  let steps = select(peak - low, high - peak, flip);
  let i = group.x * 256u + t;
  var key = vec2u(0u, 0u);
  var place = kNowhere;
  let inside = select(i >= low && i < peak, i > peak && i <= high, flip);
  if (inside) {
    let x = select(i - low, high - i, flip);
    let tall = blocks[totals + 3u];
    let norm = f64_root(wide_add(wide_product(tall, tall), wide_product(steps, steps)));
    let height = f64_div(f64_of_u32(tall), norm);
    let width = f64_div(f64_of_u32(steps), norm);
    let length = f64_sub(f64_mul(height, f64_of_u32(x)), f64_mul(width, f64_of_u32(counts[i])));
    key = f64_key(length);
    place = x;
  }
  find_best(t, key, place);
  if (t == 0u) {
    bests[group.x * 4u] = best_keys[0].x;
    bests[group.x * 4u + 1u] = best_keys[0].y;
    bests[group.x * 4u + 2u] = best_places[0];
  }
}
