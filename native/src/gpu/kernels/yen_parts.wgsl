// SPDX-License-Identifier: MIT
// Each bin's share of the pixels and its square, in float32.
${include soft64}
fn item(i: u32) {
  let total = f64_of_u32(blocks[params.blocks * 8u + 4u]);
  let share = f32_of_f64(f64_div(f64_of_u32(counts[i]), total));
  let p = f64_of_f32(share);
  parts[2u * i] = share;
  parts[2u * i + 1u] = f32_of_f64(f64_mul(p, p));
}
