// SPDX-License-Identifier: MIT
// float64 in integers, rounded as IEEE 754 rounds (half to even), since WGSL has none and may fuse
// or reorder what it has: a value is the two words of its bits, low word first. For finite values
// whose results are neither denormal nor infinite; the callers see to that. A float32 operation is
// the float64 one rounded once more, which is exact (53 >= 2 * 24 + 2, Figueroa 1995).
${include wide}
fn shift_left(m: vec2u, n: u32) -> vec2u {
  if (n == 0u) { return m; }
  if (n >= 32u) { return vec2u(0u, m.x << (n - 32u)); }
  return vec2u(m.x << n, (m.y << n) | (m.x >> (32u - n)));
}

// What is shifted out stays in the lowest bit.
fn shift_right_sticky(m: vec2u, n: u32) -> vec2u {
  if (n == 0u) { return m; }
  if (n >= 64u) { return vec2u(select(0u, 1u, (m.x | m.y) != 0u), 0u); }
  if (n >= 32u) {
    let k = n - 32u;
    let lost = m.x | select(0u, m.y << (32u - k), k != 0u);
    return vec2u((m.y >> k) | select(0u, 1u, lost != 0u), 0u);
  }
  let lost = m.x << (32u - n);
  return vec2u((m.x >> n) | (m.y << (32u - n)) | select(0u, 1u, lost != 0u), m.y >> n);
}

fn wide_sub(a: vec2u, b: vec2u) -> vec2u {
  return vec2u(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn wide_less(a: vec2u, b: vec2u) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }

// (-1)^sign m 2^e, m an integer of 64 bits; sign is 0 or 0x80000000.
fn f64_round(sign: u32, e: i32, m_in: vec2u) -> vec2u {
  if ((m_in.x | m_in.y) == 0u) { return vec2u(0u, 0u); }
  let zeros = select(countLeadingZeros(m_in.y), 32u + countLeadingZeros(m_in.x), m_in.y == 0u);
  let m = shift_left(m_in, zeros);
  let rest = m.x & 0x7ffu;
  var q = vec2u((m.x >> 11u) | (m.y << 21u), m.y >> 11u);
  if (rest > 0x400u || (rest == 0x400u && (q.x & 1u) == 1u)) { q = wide_add(q, vec2u(1u, 0u)); }
  // The leading bit of q adds the 1 that the exponent lacks; a carry out of q adds another.
  let exponent = u32(e - i32(zeros) + 63 + 1022);
  return vec2u(q.x, sign | ((exponent << 20u) + q.y));
}

fn f64_mantissa(a: vec2u) -> vec2u { return vec2u(a.x, (a.y & 0xfffffu) | 0x100000u); }
fn f64_exponent(a: vec2u) -> i32 { return i32((a.y >> 20u) & 0x7ffu) - 1075; }  // of the mantissa
fn f64_zero(a: vec2u) -> bool { return (a.x | (a.y & 0x7fffffffu)) == 0u; }
fn f64_negate(a: vec2u) -> vec2u { return vec2u(a.x, a.y ^ 0x80000000u); }

fn f64_of_u32(v: u32) -> vec2u { return f64_round(0u, 0, vec2u(v, 0u)); }
fn f64_of_i32(v: i32) -> vec2u {
  return f64_round(bitcast<u32>(v) & 0x80000000u, 0, vec2u(u32(abs(v)), 0u));
}
// Of a two's-complement integer of 64 bits.
fn f64_of_wide(v: vec2u) -> vec2u {
  let sign = v.y & 0x80000000u;
  if (sign != 0u) { return f64_round(sign, 0, wide_sub(vec2u(0u, 0u), v)); }
  return f64_round(0u, 0, v);
}
fn f64_of_f32(bits: u32) -> vec2u {
  if ((bits & 0x7f800000u) == 0u) { return vec2u(0u, 0u); }
  let m = (bits & 0x7fffffu) | 0x800000u;
  return f64_round(bits & 0x80000000u, i32((bits >> 23u) & 0xffu) - 150, vec2u(m, 0u));
}

// The bits of the nearest float32; what would be denormal is 0.
fn f32_of_f64(a: vec2u) -> u32 {
  if (f64_zero(a)) { return 0u; }
  let m = f64_mantissa(a);
  var q = (m.x >> 29u) | (m.y << 3u);
  let rest = m.x & 0x1fffffffu;
  if (rest > 0x10000000u || (rest == 0x10000000u && (q & 1u) == 1u)) { q++; }
  let exponent = i32((a.y >> 20u) & 0x7ffu) - 1023 + 126;
  if (exponent < 0) { return 0u; }
  return (a.y & 0x80000000u) | ((u32(exponent) << 23u) + q);
}

fn f64_add(a_in: vec2u, b_in: vec2u) -> vec2u {
  if (f64_zero(a_in)) { return b_in; }
  if (f64_zero(b_in)) { return a_in; }
  var a = a_in;
  var b = b_in;
  if (wide_less(vec2u(a.x, a.y & 0x7fffffffu), vec2u(b.x, b.y & 0x7fffffffu))) { a = b_in; b = a_in; }
  // Ten bits below the last place, of which the lowest is sticky.
  let ma = shift_left(f64_mantissa(a), 10u);
  let apart = u32(f64_exponent(a) - f64_exponent(b));
  let mb = shift_right_sticky(shift_left(f64_mantissa(b), 10u), apart);
  var m = wide_add(ma, mb);
  if (((a.y ^ b.y) & 0x80000000u) != 0u) { m = wide_sub(ma, mb); }
  return f64_round(a.y & 0x80000000u, f64_exponent(a) - 10, m);
}

fn f64_sub(a: vec2u, b: vec2u) -> vec2u { return f64_add(a, f64_negate(b)); }

fn f64_mul(a: vec2u, b: vec2u) -> vec2u {
  if (f64_zero(a) || f64_zero(b)) { return vec2u(0u, 0u); }
  let ma = shift_left(f64_mantissa(a), 11u);
  let mb = shift_left(f64_mantissa(b), 11u);
  let low = wide_product(ma.x, mb.x);
  let middle = wide_product(ma.x, mb.y);
  let other = wide_product(ma.y, mb.x);
  let sum = wide_add(wide_add(vec2u(middle.x, 0u), vec2u(other.x, 0u)), vec2u(low.y, 0u));
  var m = wide_add(wide_product(ma.y, mb.y), vec2u(middle.y, 0u));
  m = wide_add(wide_add(m, vec2u(other.y, 0u)), vec2u(sum.y, 0u));
  m.x |= select(0u, 1u, (low.x | sum.x) != 0u);
  return f64_round((a.y ^ b.y) & 0x80000000u, f64_exponent(a) + f64_exponent(b) + 42, m);
}

fn f64_div(a: vec2u, b: vec2u) -> vec2u {
  if (f64_zero(a)) { return vec2u(0u, 0u); }
  let mb = f64_mantissa(b);
  var rest = f64_mantissa(a);
  var q = vec2u(0u, 0u);
  for (var i = 0u; i < 57u; i++) {  // 56 bits behind the first
    q = vec2u(q.x << 1u, (q.y << 1u) | (q.x >> 31u));
    if (!wide_less(rest, mb)) {
      rest = wide_sub(rest, mb);
      q.x |= 1u;
    }
    rest = vec2u(rest.x << 1u, (rest.y << 1u) | (rest.x >> 31u));
  }
  q.x |= select(0u, 1u, (rest.x | rest.y) != 0u);
  return f64_round((a.y ^ b.y) & 0x80000000u, f64_exponent(a) - f64_exponent(b) - 56, q);
}

// The root of an integer below 2^52.
fn f64_root(v: vec2u) -> vec2u {
  // Two bits a step: 26 of the integer, and 30 behind the point.
  var root = vec2u(0u, 0u);
  var rest = vec2u(0u, 0u);
  for (var i = 0u; i < 56u; i++) {
    var two = 0u;
    if (i < 26u) {
      let at = 50u - 2u * i;
      let low = select(v.x >> at, v.y >> (at - 32u), at >= 32u);
      two = low & 3u;
    }
    rest = shift_left(rest, 2u);
    rest.x |= two;
    var trial = shift_left(root, 2u);
    trial.x |= 1u;
    root = shift_left(root, 1u);
    if (!wide_less(rest, trial)) {
      rest = wide_sub(rest, trial);
      root.x |= 1u;
    }
  }
  // A sticky bit behind the last.
  root = shift_left(root, 1u);
  root.x |= select(0u, 1u, (rest.x | rest.y) != 0u);
  return f64_round(0u, -31, root);
}

fn f64_greater(a: vec2u, b: vec2u) -> bool {
  let ka = f64_key(a);
  let kb = f64_key(b);
  return wide_less(kb, ka);
}

// Orders as the values do, as unsigned words.
fn f64_key(a: vec2u) -> vec2u {
  if (f64_zero(a)) { return vec2u(0u, 0x80000000u); }
  if ((a.y & 0x80000000u) != 0u) { return ~a; }
  return vec2u(a.x, a.y | 0x80000000u);
}

// The greatest integer that is not above, of 0 <= a < 2^31.
fn f64_floor(a: vec2u) -> u32 {
  let e = f64_exponent(a);  // a = mantissa * 2^e, e <= -22
  if (f64_zero(a) || e < -52) { return 0u; }
  let m = f64_mantissa(a);
  let n = u32(-e);
  if (n >= 32u) { return m.y >> (n - 32u); }
  return (m.x >> n) | (m.y << (32u - n));
}

// 1/3, 1/5, ... 1/25.
const kOddParts = array<vec2u, 12>(
  vec2u(0x55555555u, 0x3fd55555u), vec2u(0x9999999au, 0x3fc99999u),
  vec2u(0x92492492u, 0x3fc24924u), vec2u(0x1c71c71cu, 0x3fbc71c7u),
  vec2u(0x745d1746u, 0x3fb745d1u), vec2u(0x13b13b14u, 0x3fb3b13bu),
  vec2u(0x11111111u, 0x3fb11111u), vec2u(0x1e1e1e1eu, 0x3fae1e1eu),
  vec2u(0xbca1af28u, 0x3faaf286u), vec2u(0x18618618u, 0x3fa86186u),
  vec2u(0x590b2164u, 0x3fa642c8u), vec2u(0x47ae147bu, 0x3fa47ae1u));

// Natural logarithm of a positive value, within about two units in the last place: m 2^k with m
// within sqrt(1/2)..sqrt(2), and 2 artanh((m - 1) / (m + 1)) by its series.
fn f64_log(a: vec2u) -> vec2u {
  let one = vec2u(0u, 0x3ff00000u);
  var k = i32((a.y >> 20u) & 0x7ffu) - 1023;
  var m = vec2u(a.x, (a.y & 0xfffffu) | 0x3ff00000u);
  if (m.y > 0x3ff6a09eu) {  // above sqrt(2)
    m.y -= 0x100000u;
    k++;
  }
  let s = f64_div(f64_sub(m, one), f64_add(m, one));
  let square = f64_mul(s, s);
  var sum = vec2u(0u, 0u);
  for (var i = 12u; i > 0u; i--) { sum = f64_mul(f64_add(sum, kOddParts[i - 1u]), square); }
  // k ln 2 in two parts: the first has so few bits that the product is exact.
  let high = f64_mul(f64_of_i32(k), vec2u(0xfee00000u, 0x3fe62e42u));
  let low = f64_mul(f64_of_i32(k), vec2u(0x35793c76u, 0x3dea39efu));
  let twice = f64_add(s, s);
  return f64_add(high, f64_add(twice, f64_add(f64_mul(twice, sum), low)));
}
