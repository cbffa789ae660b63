// SPDX-License-Identifier: MIT
// Least and greatest pixel of a float32 plane and whether one is not finite, in keys that order as
// the values do: range[0] = greatest of ~key, [1] = greatest key, [2] = 1 when NaN or infinite.
// [3]: the greatest magnitude's bits.
const kSpan = 16384u;  // pixels a workgroup

var<workgroup> extremes: array<atomic<u32>, 4>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let first = group.x * kSpan;
  let end = min(first + kSpan, params.count);
  var low = 0u;
  var high = 0u;
  var odd = 0u;
  var magnitude = 0u;
  for (var i = first + t; i < end; i += 256u) {
    let bits = pixels[i];
    let key = select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
    low = max(low, ~key);
    high = max(high, key);
    magnitude = max(magnitude, bits & 0x7fffffffu);
  }
  odd = select(0u, 1u, magnitude >= 0x7f800000u);
  atomicMax(&extremes[0], low);
  atomicMax(&extremes[1], high);
  atomicMax(&extremes[2], odd);
  atomicMax(&extremes[3], magnitude);
  workgroupBarrier();
  if (t < 4u) { atomicMax(&range[t], atomicLoad(&extremes[t])); }
}
