// SPDX-License-Identifier: MIT
// A mean over near pixels of like intensity: ops/bilateral.h. Each pixel reads its disk from the caches and computes its weights, pi
// radius^2 powers of 2, which bind it: 2 + 4 bytes of memory a pixel from uint16.
fn reflected(i: i32, n: u32) -> u32 {
  if (i >= 0 && i < i32(n)) { return u32(i); }
  let period = 2 * i32(n);
  let k = ((i % period) + period) % period;
  return u32(min(k, period - 1 - k));
}

fn finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }

fn pixel(i: u32) -> out_t {
  let centre = value_in0(i);
  if (!finite(centre)) { return centre; }
  let y = i32(i / params.width);
  let x = i32(i % params.width);
  let radius = params.radius;
  var sum = 0.0;
  var weight = 1.0;
  for (var dy = -radius; dy <= radius; dy++) {
    let row = reflected(y + dy, params.height) * params.width;
    for (var dx = -radius; dx <= radius; dx++) {
      let square = dy * dy + dx * dx;
      if (square == 0 || square > radius * radius) { continue; }
      let v = value_in0(row + reflected(x + dx, params.width));
      let d = v - centre;
      let power = d * d * params.scale + f32(square) * params.near;
      if (finite(v) && power < 126) {
        let w = exp2(-power);
        weight += w;
        sum += w * d;
      }
    }
  }
  return centre + sum / weight;
}
