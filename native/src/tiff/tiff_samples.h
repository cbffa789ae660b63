// SPDX-License-Identifier: MIT
// From decoded rows of a chunk to pixels of one sample: selection, unpacking of odd bit depths,
// inversion.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image.h"

namespace tilecast {

// Copies every `step`-th value of `size` bytes (1, 2, 4, 8); src needs no alignment.
void PickSamples(const uint8_t* src, size_t size, size_t step, std::byte* dst, size_t count);

// Widens samples of `bits` bits to `dtype`: integers of 1..15 bits (packed from the most
// significant bit, TIFF 6.0 section 3; libtiff and tifffile agree) and native-endian 16-bit floats.
// `first` is the index of the first sample in the row, `step` the distance.
void UnpackSamples(const uint8_t* row, int bits, size_t first, size_t step, DType dtype,
                   std::byte* dst, size_t count);

// MinIsWhite to MinIsBlack: max - v, for unsigned integers of `bits` bits.
void InvertSamples(std::byte* data, DType dtype, int bits, size_t count);

}  // namespace tilecast
