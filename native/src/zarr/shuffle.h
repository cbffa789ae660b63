// SPDX-License-Identifier: MIT
// Byte shuffle of a block of pixels gathered from strided rows.
#pragma once

#include <cstddef>

namespace tilecast {

// The block is bytes [begin, begin + n) of the concatenated rows (each `row_bytes` long, `stride`
// apart from `base`); n and begin are multiples of `size`. out[k * (n / size) + i] = byte k of
// element i; for size 1 it is a plain gather.
void ShuffleRows(const std::byte* base, size_t stride, size_t row_bytes, size_t begin, size_t n,
                 size_t size, std::byte* out);

}  // namespace tilecast
