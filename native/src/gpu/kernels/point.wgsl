// SPDX-License-Identifier: MIT
// What the expressions of point-wise ops use: rounding into integers, as Rescale of ops/arithmetic.h, and what WGSL leaves open of
// float32 (NaN, infinities).
//
// A row of point-wise ops reads each pixel once and writes it once: 2 + 4 bytes a pixel from uint16 to float32, whatever its length.
fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

// A constant NaN or infinity is refused by WGSL's compilers.
var<private> infinity_bits: u32 = 0x7f800000u;
fn infinity() -> f32 { return bitcast<f32>(infinity_bits); }
fn not_a_number() -> f32 { return bitcast<f32>(infinity_bits | 0x400000u); }

// Half to even, held within the dtype, NaN to 0.
fn to_u8(v: f32) -> u32 { return select(u32(clamp(round(v), 0.0, 255.0)), 0u, is_nan(v)); }
fn to_i8(v: f32) -> i32 { return select(i32(clamp(round(v), -128.0, 127.0)), 0, is_nan(v)); }
fn to_u16(v: f32) -> u32 { return select(u32(clamp(round(v), 0.0, 65535.0)), 0u, is_nan(v)); }
fn to_i16(v: f32) -> i32 { return select(i32(clamp(round(v), -32768.0, 32767.0)), 0, is_nan(v)); }
fn to_u32(v: f32) -> u32 {
  if (is_nan(v)) { return 0u; }
  return select(u32(clamp(round(v), 0.0, 4294967040.0)), 0xffffffffu, v >= 4294967296.0);
}
fn to_i32(v: f32) -> i32 {
  if (is_nan(v)) { return 0; }
  return select(i32(clamp(round(v), -2147483648.0, 2147483520.0)), 0x7fffffff, v >= 2147483648.0);
}

// 32 bits rounded once to float32, which WGSL's conversion need not do.
fn float_u32(v: u32) -> f32 { return f32(v >> 16u) * 65536.0 + f32(v & 0xffffu); }

// float32 held within low..high; NaN stays. Comparisons alone would do in C: here a compiler may take them for min and max.
fn held(v: f32, low: f32, high: f32) -> f32 {
  if (is_nan(v)) { return v; }
  return min(max(v, low), high);
}

// 0, or NaN for what is not finite.
fn nan_unless_finite(v: f32) -> f32 {
  return select(0.0, not_a_number(), (bitcast<u32>(v) & 0x7f800000u) == 0x7f800000u);
}

// a / b where b may be 0; the quotient is within 2.5 ulp.
fn quotient(a: f32, b: f32) -> f32 {
  if (b == 0.0 && !is_nan(a)) {
    if (a == 0.0) { return not_a_number(); }
    return bitcast<f32>(bitcast<u32>(infinity()) | ((bitcast<u32>(a) ^ bitcast<u32>(b)) & 0x80000000u));
  }
  return a / b;
}

// a / b half to even; x / 0 is as large as can be, 0 / 0 is 0 (NaN, rounded).
fn rounded_quotient(a: u32, b: u32) -> u32 {
  if (b == 0u) { return select(0xffffffffu, 0u, a == 0u); }
  let q = a / b;
  let twice = 2u * (a - q * b);
  return q + select(0u, 1u, twice > b || (twice == b && (q & 1u) == 1u));
}

// Bits of an integer given as magnitude and sign, held within -least..greatest.
fn saturated(magnitude: u32, negative: bool, least: u32, greatest: u32) -> u32 {
  return select(min(magnitude, greatest), 0u - min(magnitude, least), negative);
}

fn magnitude_i(v: i32) -> u32 { return bitcast<u32>(abs(v)); }
fn magnitude_u(v: u32) -> u32 { return v; }

// |v|^gamma for a finite v that is not 0.
fn power(v: f32, gamma: f32) -> f32 {
  let magnitude = abs(v);
  if (is_nan(v)) { return v; }
  if (magnitude == 0.0) { return 0.0; }
  if (magnitude == infinity()) { return infinity(); }
  return pow(magnitude, gamma);
}

fn square(v: f32) -> f32 { return v * v; }

// NaN, of either, is the greatest, and the least: numpy.max and min.
fn greater(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  return max(a, b);
}
fn lesser(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  return min(a, b);
}
