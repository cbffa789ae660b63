// SPDX-License-Identifier: MIT
// Each segment's number in the place of its root: from 1 in raster order of the objects' first
// pixels, which are the roots; 0 for objects that were dropped.
${include segments}
${include label_rank}
fn item(m: u32) {
  let w = bits[m];
  let at = pixel_of_word(m);
  for (var starts = w & ~(w << 1u); starts != 0u; starts &= starts - 1u) {
    let i = at + countTrailingZeros(starts);
    let root = parents[i];
    parents[i] = select(0u, rank_of(root) + 1u, is_root(root));
  }
}
