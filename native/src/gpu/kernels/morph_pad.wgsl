// SPDX-License-Identifier: MIT
// Keys of the pixels, each row with `reach` keys that never win on either side.
${include order_key}
${include extreme}
fn item(i: u32) {
  let padded = params.width + 2u * params.reach;
  let y = i / padded;
  let x = i - y * padded;
  var key = kNone;
  if (x >= params.reach && x < params.reach + params.width) {
    key = key_of(load_in(y * params.width + x - params.reach));
  }
  keys[i] = key;
}
