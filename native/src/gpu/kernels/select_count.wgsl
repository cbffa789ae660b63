// SPDX-License-Identifier: MIT
// Radix selection, one byte of the keys: counts of that byte's values among the pixels whose higher bytes are those found so far, for
// four ranks at a time. Ranks that agree so far share the first one's counts. Reads the plane once; counts stay in workgroup memory.
var<workgroup> mine: array<atomic<u32>, 1024>;

fn key(v: in0_t) -> u32 { return ${KEY}; }
fn nan(v: in0_t) -> bool { return ${NAN}; }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) at: u32) {
  let p0 = state[0];
  let p1 = state[1];
  let p2 = state[2];
  let p3 = state[3];
  let own1 = p1 != p0;
  let own2 = p2 != p0 && p2 != p1;
  let own3 = p3 != p0 && p3 != p1 && p3 != p2;
  var odd = false;
  for (var i = (group.x * 256u + at) * ${PER_WORD}; i < params.pixels; i += groups.x * 256u * ${PER_WORD}) {
    for (var j = i; j < min(i + ${PER_WORD}, params.pixels); j++) {
      let v = load_in0(j);
      let k = key(v);
      let digit = (k >> ${SHIFT}) & 255u;
      if (${FIRST}) {
        odd = odd || nan(v);
        atomicAdd(&mine[digit], 1u);
      } else {
        let above = k >> ${ABOVE};
        if (above == p0) { atomicAdd(&mine[digit], 1u); }
        if (own1 && above == p1) { atomicAdd(&mine[256u + digit], 1u); }
        if (own2 && above == p2) { atomicAdd(&mine[512u + digit], 1u); }
        if (own3 && above == p3) { atomicAdd(&mine[768u + digit], 1u); }
      }
    }
  }
  if (odd) { atomicStore(&doubt[0], 1u); }
  workgroupBarrier();
  for (var r = 0u; r < 1024u; r += 256u) {
    let count = atomicLoad(&mine[r + at]);
    if (count > 0u) { atomicAdd(&counts[r + at], count); }
  }
}
