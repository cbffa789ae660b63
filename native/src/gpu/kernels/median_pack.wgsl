// SPDX-License-Identifier: MIT
// Keys of median_wide as pixels.
fn pixel_of(k: ${KEY_TYPE}) -> out_t { return ${PIXEL}; }

fn pixel(i: u32) -> out_t { return pixel_of(bitcast<${KEY_TYPE}>(keys[i])); }
