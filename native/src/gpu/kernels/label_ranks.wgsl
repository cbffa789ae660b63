// SPDX-License-Identifier: MIT
// How many roots lie before each: the local rank of a word's first root among its 256 words, and
// the roots of those. `own` is what the thread found, bit by bit.
${include scan}
fn rank_words(t: u32, group: u32, m: u32, own: u32) {
  let n = countOneBits(own);
  scan(t, n);
  if (m < params.words) {
    roots[m] = own;
    ranks[m] = scanned[t] - n;
  }
  if (t == 255u) { sums[group] = scanned[255]; }
}
