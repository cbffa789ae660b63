// SPDX-License-Identifier: MIT
// The median of 3 x 3 pixels (Smith, Xcell Journal 23, 1996): the median of the greatest low, the median middle and the least high of
// its sorted rows. Nine reads a pixel, eight from the first-level cache: 2 + 2 bytes of memory a pixel of uint16.
alias key_t = ${KEY_TYPE};
fn key_of(v: in0_t) -> key_t { let bits = bitcast<u32>(v); return ${KEY}; }
fn pixel_of(k: key_t) -> out_t { return ${PIXEL}; }

fn sorted(y: i32, x: i32) -> vec3<key_t> {
  let row = u32(clamp(y, 0, i32(params.height) - 1)) * params.width;
  let a = key_of(load_in0(row + u32(max(x - 1, 0))));
  let b = key_of(load_in0(row + u32(x)));
  let c = key_of(load_in0(row + u32(min(x + 1, i32(params.width) - 1))));
  let low = min(a, b);
  let high = max(a, b);
  return vec3<key_t>(min(low, c), max(low, min(high, c)), max(high, c));
}

fn pixel(i: u32) -> out_t {
  let y = i32(i / params.width);
  let x = i32(i % params.width);
  let a = sorted(y - 1, x);
  let b = sorted(y, x);
  let c = sorted(y + 1, x);
  let low = max(max(a.x, b.x), c.x);
  let mid = max(min(a.y, b.y), min(max(a.y, b.y), c.y));
  let high = min(min(a.z, b.z), c.z);
  return pixel_of(max(min(low, high), min(max(low, high), mid)));
}
