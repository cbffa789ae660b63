// SPDX-License-Identifier: MIT
// The extreme of a short window along rows or columns: a pixel's neighbours come out of the cache.
// Bytes moved: the pixels, and 4 a pixel of keys.
${include order_key}
${include extreme}
const kColumns = ${columns};

fn item(i: u32) {
  let y = i / params.width;
  let x = i - y * params.width;
  let here = select(x, y, kColumns);
  let length = select(params.width, params.height, kColumns);
  let step = select(1u, params.width, kColumns);
  let begin = here - min(here, params.before);
  let end = min(here + params.window - params.before, length);
  var key = kNone;
  for (var at = begin; at < end; at++) {
    key = extreme(key, key_of(load_in(i + (at - here) * step)));
  }
  keys[i] = key;
}
