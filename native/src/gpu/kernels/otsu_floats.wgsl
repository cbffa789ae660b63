// SPDX-License-Identifier: MIT
// Otsu's threshold of 256 bins of a float32 plane: OtsuFromCounts of ops/histogram.cc with float32
// sums, each rounded where it rounds, in its order. One workgroup.
${include soft64}
${include best}
var<workgroup> products: array<f32, 256>;
var<workgroup> below: array<f32, 256>;
var<workgroup> above: array<f32, 256>;
var<workgroup> weight_below: array<u32, 256>;
var<workgroup> weight_above: array<u32, 256>;

fn rounded(v: vec2u) -> vec2u { return f64_of_f32(f32_of_f64(v)); }
fn exactly(v: f32) -> vec2u { return f64_of_f32(bitcast<u32>(v)); }

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  let middle = f64_of_f32(levels[260u + t]);
  products[t] = bitcast<f32>(f32_of_f64(f64_mul(f64_of_u32(counts[t]), middle)));
  workgroupBarrier();
  // Sums alone are rounded as IEEE 754 says; a product that was rounded elsewhere cannot be fused.
  if (t == 0u) {
    var sum = products[0];
    var weight = counts[0];
    below[0] = sum;
    weight_below[0] = weight;
    for (var i = 1u; i < 256u; i++) {
      sum = sum + products[i];
      weight += counts[i];
      below[i] = sum;
      weight_below[i] = weight;
    }
  }
  if (t == 128u) {
    var sum = products[255];
    var weight = counts[255];
    above[255] = sum;
    weight_above[255] = weight;
    for (var i = 254i; i >= 0; i--) {
      sum = sum + products[i];
      weight += counts[i];
      above[i] = sum;
      weight_above[i] = weight;
    }
  }
  workgroupBarrier();
  var key = vec2u(0u, 0u);
  var place = kNowhere;
  if (t < 255u && levels[258] == 0u) {
    let w1 = f64_of_u32(weight_below[t]);
    let w2 = f64_of_u32(weight_above[t + 1u]);
    let mean1 = rounded(f64_div(exactly(below[t]), w1));
    let mean2 = rounded(f64_div(exactly(above[t + 1u]), w2));
    let apart = rounded(f64_sub(mean1, mean2));
    let square = rounded(f64_mul(apart, apart));
    key = f64_key(rounded(f64_mul(rounded(f64_mul(w1, w2)), square)));
    place = t;
  }
  find_best(t, key, place);
  if (t == 0u) {
    bests[0] = best_keys[0].x;
    bests[1] = best_keys[0].y;
    bests[2] = best_places[0];
  }
}
