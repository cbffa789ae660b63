// SPDX-License-Identifier: MIT
// Undoes Blosc's byte shuffle and bit shuffle.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilecast {

// Byte shuffle: out[i * size + k] = planes[k][first + i] for i in [0, count). Planes may lie
// anywhere: a plane that the encoder stored is read where it is.
void Unshuffle(const uint8_t* const* planes, size_t first, size_t count, size_t size, uint8_t* out);

// Bit shuffle, the first half: bit planes to byte planes. `elements` (a multiple of 8) of `size`
// bytes; bit b of byte k of element i is bit i % 8 of in[(8 * k + b) * elements / 8 + i / 8] and
// goes to bit b of out[k * elements + i].
void BitPlanesToBytes(const uint8_t* in, size_t elements, size_t size, uint8_t* out);

}  // namespace tilecast
