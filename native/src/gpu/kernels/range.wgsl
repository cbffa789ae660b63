// SPDX-License-Identifier: MIT
// The least and the greatest pixel of a plane: levels.h, EncodeRange. Reads the plane once and writes next to nothing; each thread
// keeps its own extremes, a workgroup puts together its threads' and adds them to the plane's.
var<workgroup> least: atomic<u32>;  // complement: zero to begin with
var<workgroup> greatest: atomic<u32>;

fn key(v: in0_t) -> u32 { return ${KEY}; }
fn nan(v: in0_t) -> bool { return ${NAN}; }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) at: u32) {
  var low = 0u;
  var high = 0u;
  var odd = false;
  for (var i = (group.x * 256u + at) * ${PER_WORD}; i < params.pixels; i += groups.x * 256u * ${PER_WORD}) {
    for (var k = i; k < min(i + ${PER_WORD}, params.pixels); k++) {
      let v = load_in0(k);
      odd = odd || nan(v);
      low = max(low, ~key(v));
      high = max(high, key(v));
    }
  }
  if (odd) { atomicStore(&doubt[0], 1u); }
  atomicMax(&least, low);
  atomicMax(&greatest, high);
  workgroupBarrier();
  if (at == 0u) {
    atomicMax(&keys[0], atomicLoad(&least));
    atomicMax(&keys[1], atomicLoad(&greatest));
  }
}
