// SPDX-License-Identifier: MIT
// numpy.linspace(least, greatest, 257) in float32, and the middles of the bins: ops/histogram.cc,
// Edges. One workgroup.
//
// levels[0..256]: edges; [257]: 1 when the plane is constant; [258]: 1 where this is not for the
// device (pixels that are not finite, magnitudes at which float32 sums could overflow or become
// denormal, bins that rounding does not keep apart); [260..515]: middles.
${include soft64}
fn value_of(key: u32) -> u32 {
  let bits = select(~key, key ^ 0x80000000u, (key & 0x80000000u) != 0u);
  return select(bits, 0u, bits == 0x80000000u);
}

fn edge(i: u32, first: vec2u, last: u32, step: vec2u) -> u32 {
  if (i == 256u) { return last; }
  let offset = f64_of_f32(f32_of_f64(f64_mul(f64_of_u32(i), step)));
  return f32_of_f64(f64_add(offset, first));
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  let low = value_of(~range[0]);
  let high = value_of(range[1]);
  let first = f64_of_f32(low);
  let delta = f32_of_f64(f64_sub(f64_of_f32(high), first));
  let step = f64_of_f32(f32_of_f64(f64_mul(f64_of_f32(delta), f64_of_f32(0x3b800000u))));  // / 256
  let a = edge(t, first, high, step);
  let b = edge(t + 1u, first, high, step);
  levels[t] = a;
  // (a + b) is rounded before it is halved; halving is exact.
  let sum = f32_of_f64(f64_add(f64_of_f32(a), f64_of_f32(b)));
  levels[260u + t] = f32_of_f64(f64_mul(f64_of_f32(sum), vec2u(0u, 0x3fe00000u)));
  let constant = low == high;
  if (!constant && !(f64_greater(f64_of_f32(b), f64_of_f32(a)))) { levels[258] = 1u; }
  if (t == 0u) {
    levels[256] = high;
    levels[257] = select(0u, 1u, constant);
    let wide = bitcast<f32>(delta);
    let most = bitcast<f32>(range[3]);
    // ops/histogram.cc takes the fast way, whose bins are those between the exact edges, while
    // its margin is below 0.2.
    let margin = 1.3e-4 + most * 1.1920929e-7 * (256.0 / max(wide, 1e-9));
    if (range[2] != 0u || most > 1e9 || (!constant && (wide < 1e-9 || margin > 0.19))) {
      levels[258] = 1u;
    }
  }
}
