// SPDX-License-Identifier: MIT
// The median of (2 RADIUS + 1)^2 pixels: the tile of 16 x 16 and its margin go to workgroup memory as keys above the tile's least, and each
// pixel finds its median bit by bit, counting the window's keys below. As many counts as the tile's range has bits: some 10 in an image,
// at most the pixel's. 2 + 4 bytes of memory a pixel of uint16; the counts, bits * (2 RADIUS + 1)^2 reads of workgroup memory, bind it.
const side = 16u + 2u * ${RADIUS};
const window = 2u * ${RADIUS} + 1u;
const half = window * window / 2u;
var<workgroup> tile: array<u32, side * side>;
var<workgroup> least: atomic<u32>;  // complement
var<workgroup> greatest: atomic<u32>;

alias key_t = ${KEY_TYPE};
fn key_of(v: in0_t) -> key_t { let bits = bitcast<u32>(v); return ${KEY}; }

fn reflected(i: i32, n: u32) -> u32 {
  if (i >= 0 && i < i32(n)) { return u32(i); }
  let period = 2 * i32(n);
  let k = ((i % period) + period) % period;
  return u32(min(k, period - 1 - k));
}

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u,
        @builtin(local_invocation_index) at: u32) {
  var low = 0u;
  var high = 0u;
  for (var k = at; k < side * side; k += 256u) {
    let y = reflected(i32(group.y * 16u + k / side) - i32(${RADIUS}), params.height);
    let x = reflected(i32(group.x * 16u + k % side) - i32(${RADIUS}), params.width);
    let key = bitcast<u32>(key_of(load_in0(y * params.width + x))) ^ ${SIGN};
    tile[k] = key;
    low = max(low, ~key);
    high = max(high, key);
  }
  atomicMax(&least, low);
  atomicMax(&greatest, high);
  workgroupBarrier();
  let base = ~atomicLoad(&least);
  let bits = 32u - countLeadingZeros(atomicLoad(&greatest) - base);
  let x = group.x * 16u + local.x;
  let y = group.y * 16u + local.y;
  if (x >= params.width || y >= params.height) { return; }
  var found = 0u;
  for (var b = bits; b > 0u; b--) {
    let trial = found | (1u << (b - 1u));
    var below = 0u;
    for (var dy = 0u; dy < window; dy++) {
      let row = (local.y + dy) * side + local.x;
      for (var dx = 0u; dx < window; dx++) { below += select(0u, 1u, tile[row + dx] - base < trial); }
    }
    if (below <= half) { found = trial; }
  }
  keys[y * params.width + x] = (base + found) ^ ${SIGN};
}
