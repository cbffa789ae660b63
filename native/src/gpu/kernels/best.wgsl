// SPDX-License-Identifier: MIT
// The greatest key of a workgroup of 256, the first of several: what argmax gives. In two steps of
// 16, since a barrier costs more than a few comparisons.
var<workgroup> best_keys: array<vec2u, 256>;
var<workgroup> best_places: array<u32, 256>;

const kNowhere = 0xffffffffu;

// Leaves the best of first, first + step, ... (16 of them) in `first`.
fn best_of(first: u32, step: u32) {
  var key = best_keys[first];
  var place = best_places[first];
  for (var i = 1u; i < 16u; i++) {
    let other = best_keys[first + i * step];
    let other_place = best_places[first + i * step];
    if (wide_less(key, other) || (all(key == other) && other_place < place)) {
      key = other;
      place = other_place;
    }
  }
  best_keys[first] = key;
  best_places[first] = place;
}

var<private> own_key: vec2u;
var<private> own_place: u32 = kNowhere;

// Candidates come with growing places, so that the first of several as good stays.
fn propose(key: vec2u, place: u32) {
  if (own_place == kNowhere || wide_less(own_key, key)) {
    own_key = key;
    own_place = place;
  }
}

// Threads without a candidate give key 0 and place kNowhere. The winner is in element 0 afterwards,
// for thread 0.
fn find_best(t: u32, key: vec2u, place: u32) {
  best_keys[t] = key;
  best_places[t] = place;
  workgroupBarrier();
  if (t < 16u) { best_of(t * 16u, 1u); }
  workgroupBarrier();
  if (t == 0u) { best_of(0u, 16u); }
}
