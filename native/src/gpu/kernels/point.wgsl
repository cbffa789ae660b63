// SPDX-License-Identifier: MIT
// What the expressions of point-wise ops use: rounding into integers, as Rescale of ops/arithmetic.h.
fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

// Half to even, held within the dtype, NaN to 0.
fn to_u8(v: f32) -> u32 { return select(u32(clamp(round(v), 0.0, 255.0)), 0u, is_nan(v)); }
fn to_i8(v: f32) -> i32 { return select(i32(clamp(round(v), -128.0, 127.0)), 0, is_nan(v)); }
fn to_u16(v: f32) -> u32 { return select(u32(clamp(round(v), 0.0, 65535.0)), 0u, is_nan(v)); }
fn to_i16(v: f32) -> i32 { return select(i32(clamp(round(v), -32768.0, 32767.0)), 0, is_nan(v)); }
