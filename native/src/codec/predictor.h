// SPDX-License-Identifier: MIT
// TIFF predictors, both ways, and byte order, a row at a time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilecast {

// Reverses the bytes of `count` values of `size` (1, 2, 4, 8) bytes. `data` needs no alignment.
void SwapBytes(void* data, size_t size, size_t count);

// Predictor 2 (TIFF 6.0 section 14): each value is stored as the difference to the same sample of
// the pixel before it. The row is `width` pixels of `samples` native-endian values of `size` bytes;
// float pixels are differenced as integers, as libtiff does.
void UndoHorizontal(void* row, size_t size, size_t width, size_t samples);

// Predictor 3 (TIFF Technical Note 3): the bytes of the row's floats are stored as planes, most
// significant first in either byte order, and differenced. Leaves native-endian floats. `scratch`
// holds width * samples * size bytes. size: 2, 4 or 8.
void UndoFloatingPoint(void* row, size_t size, size_t width, size_t samples, uint8_t* scratch);

// The other way, for writing: from `width` pixels of one native-endian sample at `src` to what a
// file stores, at `dst`; the two do not overlap. Neither needs alignment. size: 1, 2, 4 or 8.
void ApplyHorizontal(const void* src, size_t size, size_t width, void* dst);
// size: 2, 4 or 8.
void ApplyFloatingPoint(const void* src, size_t size, size_t width, void* dst);

}  // namespace tilecast
