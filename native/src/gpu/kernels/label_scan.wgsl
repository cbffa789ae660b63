// SPDX-License-Identifier: MIT
// The roots before each group of 256 words, and the number of all. One workgroup.
${include scan}
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  var before = 0u;
  for (var first = 0u; first < params.groups; first += 256u) {
    let i = first + t;
    var own = 0u;
    if (i < params.groups) { own = sums[i]; }
    scan(t, own);
    if (i < params.groups) { sums[i] = before + scanned[t] - own; }
    before += scanned[255];
    workgroupBarrier();
  }
  if (t == 0u) { total[0] = before; }
}
