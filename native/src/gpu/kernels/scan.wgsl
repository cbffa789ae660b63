// SPDX-License-Identifier: MIT
// Running sums of a workgroup's 256 numbers, in runs of 16: few barriers.
var<workgroup> scanned: array<u32, 256>;
var<workgroup> runs: array<u32, 16>;

// Element t, the thread's own number included, when it returns.
fn scan(t: u32, own: u32) {
  scanned[t] = own;
  workgroupBarrier();
  if (t < 16u) {
    for (var i = t * 16u + 1u; i < t * 16u + 16u; i++) { scanned[i] += scanned[i - 1u]; }
    runs[t] = scanned[t * 16u + 15u];
  }
  workgroupBarrier();
  var before = 0u;
  for (var r = 0u; r < t / 16u; r++) { before += runs[r]; }
  scanned[t] += before;
  workgroupBarrier();
}
