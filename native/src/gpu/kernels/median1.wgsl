// SPDX-License-Identifier: MIT
// The median of one pixel: itself, every NaN the quiet one. One read and one write.
fn key_of(v: in0_t) -> ${KEY_TYPE} { let bits = bitcast<u32>(v); return ${KEY}; }
fn pixel_of(k: ${KEY_TYPE}) -> out_t { return ${PIXEL}; }

fn pixel(i: u32) -> out_t { return pixel_of(key_of(load_in0(i))); }
