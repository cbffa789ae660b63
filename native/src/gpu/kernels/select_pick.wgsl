// SPDX-License-Identifier: MIT
// Radix selection, one byte of the keys: which value of that byte holds each of the four ranks. One workgroup; clears the counts.
var<workgroup> mine: array<u32, 1024>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) at: u32) {
  for (var r = 0u; r < 1024u; r += 256u) {
    mine[r + at] = counts[r + at];
    counts[r + at] = 0u;
  }
  var prefix = array<u32, 4>(0u, 0u, 0u, 0u);
  var rank = array<u32, 4>(params.rank0, params.rank1, params.rank2, params.rank3);
  if (!${FIRST}) {
    for (var r = 0u; r < 4u; r++) {
      prefix[r] = state[r];
      rank[r] = state[4u + r];
    }
  }
  workgroupBarrier();
  storageBarrier();
  if (at >= 4u) { return; }
  var owner = at;
  for (var r = 3u; r > 0u; r--) {
    if (r <= at && prefix[r - 1u] == prefix[at]) { owner = r - 1u; }
  }
  var left = rank[at];
  var digit = 0u;
  for (; digit < 255u; digit++) {
    let count = mine[owner * 256u + digit];
    if (left < count) { break; }
    left -= count;
  }
  state[at] = (prefix[at] << 8u) | digit;
  state[4u + at] = left;
}
