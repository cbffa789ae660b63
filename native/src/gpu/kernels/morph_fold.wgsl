// SPDX-License-Identifier: MIT
// Folds the chords of a disk that are at least `power` and below twice `power` long into the result,
// each as two windows of `power` (Urbach and Wilkinson, IEEE TIP 17(1), 2008). `chords`: pairs of
// the row's offset and the chord's half length. Neighbours read neighbours, out of the cache.
${include extreme}
fn item(i: u32) {
  let y = i32(i / params.width);
  let x = i % params.width;
  let padded = params.width + 2u * params.reach;
  var key = kNone;
  if (params.first_chord > 0u) { key = keys[i]; }
  for (var c = params.first_chord; c < params.end_chord; c++) {
    let row = y + chords[2u * c];
    if (row < 0 || row >= i32(params.height)) { continue; }
    let half = u32(chords[2u * c + 1u]);
    let at = u32(row) * padded + x + params.reach - half;
    key = extreme(key, extreme(windows[at], windows[at + 2u * half + 1u - params.power]));
  }
  keys[i] = key;
}
