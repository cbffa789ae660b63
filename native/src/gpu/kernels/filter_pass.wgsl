// SPDX-License-Identifier: MIT
// One direction of a separable filter with many taps. A pixel reads all its taps from memory or cache, neighbours the same ones one
// further; 4 + 4 bytes of memory a pixel as long as the taps' rows stay in the second-level cache.
fn reflected(i: i32, n: u32) -> u32 {
  if (i >= 0 && i < i32(n)) { return u32(i); }
  let period = 2 * i32(n);
  let k = ((i % period) + period) % period;
  return u32(min(k, period - 1 - k));
}

fn pixel(i: u32) -> out_t {
  let y = i / params.width;
  let x = i % params.width;
  var sum = 0.0;
  var part = 0.0;
  for (var k = 0; k < params.taps; k++) {
    part += weights[k] * value_in0(${SOURCE});
    if ((k & 31) == 31) {
      sum += part;
      part = 0.0;
    }
  }
  sum += part;
  return ${FINISH};
}
