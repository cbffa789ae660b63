// SPDX-License-Identifier: MIT
// PackBits: Apple's run-length code, TIFF 6.0 section 9.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilecast {

// Decodes until `capacity` bytes are written or the input ends; returns the bytes written. Never
// reads or writes outside the two ranges, and leaves nothing behind the returned length that
// matters: dst up to `capacity` may hold scratch.
size_t PackBitsDecode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);

// Most output that one byte of input can make (a run of 128 from two bytes): a bound for sizes that
// a damaged file claims.
inline constexpr uint64_t kPackBitsMaxRatio = 64;

}  // namespace tilecast
