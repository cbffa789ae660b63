// SPDX-License-Identifier: MIT
// 1 where a pixel is above the threshold.
${include above}
fn pixel(i: u32) -> out_t { return select(0u, 1u, above(i)); }
