// SPDX-License-Identifier: MIT
// Pixels of `in` as words that order as the pixels do (ops/keys.h): every NaN above infinity, -0
// below +0; and back.
const kKeyFloats = ${floats};
const kKeyFlip = ${flip}u;  // the sign bit of signed pixels

fn key_of(v: in_t) -> u32 {
  let bits = bitcast<u32>(v);
  if (kKeyFloats) {
    if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0xffc00000u; }
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
  }
  return bits + kKeyFlip;
}

fn pixel_of_key(key: u32) -> in_t {
  if (kKeyFloats) {
    return bitcast<in_t>(select(~key, key ^ 0x80000000u, (key & 0x80000000u) != 0u));
  }
  return bitcast<in_t>(key - kKeyFlip);
}
