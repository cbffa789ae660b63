// SPDX-License-Identifier: MIT
// The extreme of a window along rows or columns, by doubling in the workgroup's memory: a
// workgroup takes one line of 2048 px, or 8 columns of 256 px (32 bytes, what a GPU reads at once).
// Bytes moved: the pixels once, but for the windows' overlap, and 4 a pixel of keys.
${include order_key}
${include extreme}
const kColumns = ${columns};
const kAcross = select(1u, 8u, kColumns);
const kLong = 2048u / kAcross;

var<workgroup> line: array<u32, 2048>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let useful = kLong - (params.window - 1u);
  let first = i32(group.x * useful) - i32(params.before);
  let lines = group.y * kAcross;
  let length = select(params.width, params.height, kColumns);
  let others = select(params.height, params.width, kColumns);
  for (var e = t; e < 2048u; e += 256u) {
    let at = first + i32(e / kAcross);
    let other = lines + e % kAcross;
    var key = kNone;
    if (at >= 0 && u32(at) < length && other < others) {
      key = key_of(load_in(select(other * params.width + u32(at), u32(at) * params.width + other, kColumns)));
    }
    line[e] = key;
  }
  workgroupBarrier();
  // line[e]: the extreme of `power` pixels from there on.
  var power = 1u;
  for (; power * 2u <= params.window; power *= 2u) {
    var next: array<u32, 8>;
    for (var k = 0u; k < 8u; k++) {
      let e = t + 256u * k;
      let second = e + power * kAcross;
      next[k] = line[e];
      if (second < 2048u) { next[k] = extreme(next[k], line[second]); }
    }
    workgroupBarrier();
    for (var k = 0u; k < 8u; k++) { line[t + 256u * k] = next[k]; }
    workgroupBarrier();
  }
  for (var e = t; e < useful * kAcross; e += 256u) {
    let at = group.x * useful + e / kAcross;
    let other = lines + e % kAcross;
    if (at < length && other < others) {
      keys[select(other * params.width + at, at * params.width + other, kColumns)] =
          extreme(line[e], line[e + (params.window - power) * kAcross]);
    }
  }
}
