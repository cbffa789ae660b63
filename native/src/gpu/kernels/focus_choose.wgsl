// SPDX-License-Identifier: MIT
// Which plane is the sharpest so far, the first of several as sharp: ops/focus.h. NaN is never sharper. 12 bytes a pixel, 8 more where a
// plane takes over.
fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

fn item(i: u32) {
  let v = load_now(i);
  var sharper = params.plane == 0u;
  if (!sharper && !is_nan(v)) { sharper = is_nan(best[i]) || v > best[i]; }
  if (sharper) {
    best[i] = v;
    chosen[i] = params.plane;
  }
}
