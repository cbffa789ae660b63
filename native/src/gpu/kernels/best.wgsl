// SPDX-License-Identifier: MIT
// The greatest key of a workgroup of 256, the first of several: what argmax gives.
var<workgroup> best_keys: array<vec2u, 256>;
var<workgroup> best_places: array<u32, 256>;

// Threads without a candidate give key 0 and place kNowhere. The winner is in element 0 afterwards.
const kNowhere = 0xffffffffu;
fn find_best(t: u32, key: vec2u, place: u32) {
  best_keys[t] = key;
  best_places[t] = place;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half >>= 1u) {
    if (t < half) {
      let a = best_keys[t];
      let b = best_keys[t + half];
      let same = all(a == b);
      if (wide_less(a, b) || (same && best_places[t + half] < best_places[t])) {
        best_keys[t] = b;
        best_places[t] = best_places[t + half];
      }
    }
    workgroupBarrier();
  }
}
