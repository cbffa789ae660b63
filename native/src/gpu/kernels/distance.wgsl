// SPDX-License-Identifier: MIT
// Distance to the nearest zero: DistanceTransform of ops/distance.h. The columns' distances are
// looked through outwards until nothing further away can be nearer: exact integers, whose root is
// rounded as float64's rounded to float32.
${include soft64}
fn square_at(i: u32, y: u32) -> u32 {
  let row = nearest[i];
  if (row == 0xffffffffu) { return 0xffffffffu; }
  let d = max(row, y) - min(row, y);
  return d * d;
}

fn pixel(i: u32) -> out_t {
  if (load_in(i) == 0u) { return 0.0; }
  let y = i / params.width;
  let x = i - y * params.width;
  var best = square_at(i, y);
  for (var k = 1u; k * k < best && (k <= x || x + k < params.width); k++) {
    if (k <= x) {
      let square = square_at(i - k, y);
      if (square < best) { best = min(best, square + k * k); }
    }
    if (x + k < params.width) {
      let square = square_at(i + k, y);
      if (square < best) { best = min(best, square + k * k); }
    }
  }
  if (best == 0xffffffffu) { return bitcast<f32>(params.infinity); }
  return bitcast<f32>(f32_of_f64(f64_root(vec2u(best, 0u))));
}
