// SPDX-License-Identifier: MIT
// Columns in strips of 64 rows, so that a plane has enough of them for all of a GPU's threads.
const kStrip = 64u;
const kNoRow = 0xffffffffu;

// What distances are measured to: zeros of a mask, or pixels that are not 0 of labels.
fn is_seed(i: u32) -> bool { return (load_in(i) == 0) == ${zeros}; }
