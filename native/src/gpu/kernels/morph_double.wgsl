// SPDX-License-Identifier: MIT
// From extremes of `power` pixels to the right to those of twice as many. Bytes moved: 8 a pixel.
${include extreme}
fn item(i: u32) {
  let x = i % params.padded;
  var key = windows[i];
  if (x + params.power < params.padded) { key = extreme(key, windows[i + params.power]); }
  twice[i] = key;
}
