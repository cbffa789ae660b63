// SPDX-License-Identifier: MIT
// The roots before each group of 256 words, and the number of all. One workgroup.
var<workgroup> scanned: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  var before = 0u;
  for (var first = 0u; first < params.groups; first += 256u) {
    let i = first + t;
    var own = 0u;
    if (i < params.groups) { own = sums[i]; }
    scanned[t] = own;
    workgroupBarrier();
    for (var step = 1u; step < 256u; step <<= 1u) {
      var more = 0u;
      if (t >= step) { more = scanned[t - step]; }
      workgroupBarrier();
      scanned[t] += more;
      workgroupBarrier();
    }
    if (i < params.groups) { sums[i] = before + scanned[t] - own; }
    before += scanned[255];
    workgroupBarrier();
  }
  if (t == 0u) { total[0] = before; }
}
