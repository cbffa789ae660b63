// SPDX-License-Identifier: MIT
// The variance between the classes below and above each value, and each block's best: OtsuFromCounts
// of ops/histogram.cc with float64 sums, which are exact integers here. An empty bin has the same
// variance as the one before it, so that it cannot be the first best.
${soft64}
${best}
var<workgroup> pixels: array<u32, 256>;
var<workgroup> sums: array<vec2u, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let i = group.x * 256u + t;
  let own = counts[i];
  pixels[t] = own;
  sums[t] = wide_product(own, i);
  workgroupBarrier();
  for (var step = 1u; step < 256u; step <<= 1u) {
    var more = 0u;
    var more_sum = vec2u(0u, 0u);
    if (t >= step) {
      more = pixels[t - step];
      more_sum = sums[t - step];
    }
    workgroupBarrier();
    pixels[t] += more;
    sums[t] = wide_add(sums[t], more_sum);
    workgroupBarrier();
  }
  let totals = params.blocks * 8u;
  var key = vec2u(0u, 0u);
  var place = kNowhere;
  if (own > 0u && i < blocks[totals + 1u]) {
    let below = blocks[group.x * 8u] + pixels[t];
    let above = blocks[totals + 4u] - below;
    var low = wide_add(vec2u(blocks[group.x * 8u + 1u], blocks[group.x * 8u + 2u]), sums[t]);
    var high = wide_sub(vec2u(blocks[totals + 5u], blocks[totals + 6u]), low);
    low = wide_sub(low, wide_product(below, params.bias));
    high = wide_sub(high, wide_product(above, params.bias));
    let w1 = f64_of_u32(below);
    let w2 = f64_of_u32(above);
    let apart = f64_sub(f64_div(f64_of_wide(low), w1), f64_div(f64_of_wide(high), w2));
    let weights = f64_of_f32(f32_of_f64(f64_mul(w1, w2)));
    key = f64_key(f64_mul(weights, f64_mul(apart, apart)));
    place = i;
  }
  find_best(t, key, place);
  if (t == 0u) {
    bests[group.x * 4u] = best_keys[0].x;
    bests[group.x * 4u + 1u] = best_keys[0].y;
    bests[group.x * 4u + 2u] = best_places[0];
  }
}
