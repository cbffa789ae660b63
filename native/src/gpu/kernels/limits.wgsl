// SPDX-License-Identifier: MIT
// Two percentiles from the pixels of their ranks, as scalars for what follows: levels.h. A thread's work.
//
// The lower one stays a sum of two float32, pixel and share of the step to the next, so that what is subtracted from pixels carries no
// rounding of its own.
fn value(k: u32) -> f32 { return ${VALUE}; }

fn finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }

fn item(i: u32) {
  let a = value(${LOW});
  let b = value(${ABOVE_LOW});
  let c = value(${HIGH});
  let d = value(${ABOVE_HIGH});
  // From the nearer of the two, as numpy does; equal neighbours may be infinite.
  let low = select(a, b, params.low >= 0.5);
  let high = select(c, d, params.high >= 0.5);
  var more_low = 0.0;
  var more_high = 0.0;
  if (a != b) { more_low = select((b - a) * params.low, -(b - a) * params.low_rest, params.low >= 0.5); }
  if (c != d) { more_high = select((d - c) * params.high, -(d - c) * params.high_rest, params.high >= 0.5); }
  let width = (high - low) + (more_high - more_low);
  if (!(finite(low + more_low) && finite(high + more_high) && finite(width))) { doubt[0] = 1u; }
  scalars[0] = low;
  scalars[1] = more_low;
  scalars[2] = select(1.0, width, width > 0);
  scalars[3] = select(0.0, 1.0, width > 0);
  scalars[4] = low + more_low;
}
