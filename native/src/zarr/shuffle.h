// SPDX-License-Identifier: MIT
// Byte shuffle of a block of pixels gathered from strided rows.
#pragma once

#include <cstddef>

namespace tilecast {

// A chunk of pixels of `size` bytes: rows of `row_bytes`, of which the first `rows` have `have`
// bytes each, `stride` apart from `base`, and the rest is zero.
struct ChunkRows {
  const std::byte* base = nullptr;
  size_t stride = 0, row_bytes = 0, size = 1;
  size_t rows = 0, have = 0;
};

// The block is bytes [begin, begin + n) of the chunk's rows one after another; both are multiples
// of `size`. out[k * (n / size) + i] = byte k of element i; for size 1 it is a plain gather.
void ShuffleRows(const ChunkRows& chunk, size_t begin, size_t n, std::byte* out);

}  // namespace tilecast
