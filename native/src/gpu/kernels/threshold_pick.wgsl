// SPDX-License-Identifier: MIT
// The best of the workgroups' bests as a threshold: threshold[0] as float32, [1] not 0 where the CPU
// has to see it, [2] the greatest integer that is not above it. One workgroup.
${include soft64}
${include best}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  var key = vec2u(0u, 0u);
  var place = kNowhere;
  if (t < params.bests) {
    key = vec2u(bests[t * 4u], bests[t * 4u + 1u]);
    place = bests[t * 4u + 2u];
  }
  find_best(t, key, place);
  if (t != 0u) { return; }
  let totals = params.blocks * 8u;
  let low = blocks[totals];
  let high = blocks[totals + 1u];
  let peak = blocks[totals + 2u];
  var level = best_places[0];
  if (params.triangle != 0u && level != kNowhere) {
    level = select(low + level, high - level, peak - low < high - peak);
  }
  if (level == kNowhere || low == high) { level = low; }
  if (params.floats != 0u) {
    threshold[0] = select(levels[260u + min(level, 255u)], levels[256], levels[257] != 0u);
    threshold[1] = levels[258];
  } else {
    let value = i32(level) - i32(params.bias);
    threshold[0] = bitcast<u32>(f32(value));
    threshold[2] = bitcast<u32>(value);
  }
}
