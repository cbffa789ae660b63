// SPDX-License-Identifier: MIT
// Whether pixel i is above the threshold, as Threshold of ops/arithmetic.h compares: integers with
// the greatest integer that is not above it, floats by keys that order as they do, so that neither
// denormal values nor NaN depend on the device. threshold[3]: 0 compare, 1 all are, 2 none is.
const kFloats = ${floats};

fn order(bits: u32) -> u32 {
  if (bits == 0x80000000u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn above(i: u32) -> bool {
  if (threshold[3] != 0u) { return threshold[3] == 1u; }
  let v = load_in(i);
  if (kFloats) {
    let bits = bitcast<u32>(v);
    return order(bits) > order(threshold[0]) && (bits & 0x7fffffffu) <= 0x7f800000u;
  }
  return v > bitcast<in_t>(threshold[2]);
}
