// SPDX-License-Identifier: MIT
// How many pixels have each value, for 8 and 16 bits. Reads the plane once: 8 bits count in workgroup memory, 16 in the device's.
var<workgroup> mine: array<atomic<u32>, 256>;

fn key(v: in0_t) -> u32 { return ${KEY}; }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) at: u32) {
  for (var i = (group.x * 256u + at) * ${PER_WORD}; i < params.pixels; i += groups.x * 256u * ${PER_WORD}) {
    for (var j = i; j < min(i + ${PER_WORD}, params.pixels); j++) {
      let k = key(load_in0(j));
      if (${BINS} == 256u) {
        atomicAdd(&mine[k & 255u], 1u);
      } else {
        atomicAdd(&counts[k], 1u);
      }
    }
  }
  workgroupBarrier();
  let count = atomicLoad(&mine[at]);
  if (${BINS} == 256u && count > 0u) { atomicAdd(&counts[at], count); }
}
