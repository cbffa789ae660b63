// SPDX-License-Identifier: MIT
// BloscLZ, the codec that c-blosc brings along: an LZ77 of byte-aligned tokens, descended from
// FastLZ.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilecast {

// Decodes a whole stream; returns the bytes written, 0 when the stream is damaged or makes more
// than `capacity`. Never reads or writes outside the two ranges.
size_t BloscLzDecode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);

}  // namespace tilecast
