// SPDX-License-Identifier: MIT
// Integers of 64 bits as two words, low word first.
fn wide_add(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn wide_product(a: u32, b: u32) -> vec2u {
  let al = a & 0xffffu; let ah = a >> 16u;
  let bl = b & 0xffffu; let bh = b >> 16u;
  let low = al * bl;
  let one = ah * bl + (low >> 16u);
  let two = al * bh + (one & 0xffffu);
  return vec2u((two << 16u) | (low & 0xffffu), ah * bh + (one >> 16u) + (two >> 16u));
}
