// SPDX-License-Identifier: MIT
// Of each value, the share of the pixels at or below it. One workgroup, each thread a run of values.
var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) at: u32) {
  const run = ${BINS} / 256u;
  var own = 0u;
  for (var k = at * run; k < (at + 1u) * run; k++) { own += counts[k]; }
  sums[at] = own;
  workgroupBarrier();
  var sum = 0u;
  for (var k = 0u; k < at; k++) { sum += sums[k]; }
  for (var k = at * run; k < (at + 1u) * run; k++) {
    sum += counts[k];
    shares[k] = f32(sum) / params.pixels;
  }
}
