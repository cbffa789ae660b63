// SPDX-License-Identifier: MIT
// Walks over the runs of a row of bits, or of labels.
#pragma once

#include <bit>
#include <cstdint>

namespace tilecast {

// Calls emit(x0, x1) for each maximal range of set bits among the first n.
template <class Emit>
void ForRanges(const uint64_t* bits, int64_t n, Emit emit) {
  const int64_t words = (n + 63) / 64;
  uint64_t previous = 0;  // the last bit of the word before
  int64_t start = 0;
  for (int64_t i = 0; i < words; ++i) {
    uint64_t changes = bits[i] ^ (bits[i] << 1 | previous);
    bool open = previous != 0;
    previous = bits[i] >> 63;
    while (changes != 0) {
      const int64_t x = 64 * i + std::countr_zero(changes);
      changes &= changes - 1;
      if (open) {
        emit(start, x);
      } else {
        start = x;
      }
      open = !open;
    }
  }
  if (previous != 0) emit(start, n);  // n is a multiple of 64: unused bits are 0 otherwise
}

// Calls emit(x0, x1, label) for each maximal range of one label above 0 among the first n;
// `changes` has a bit where a label differs from the one before.
template <class Emit>
void ForLabelRanges(const int32_t* labels, const uint64_t* changes, int64_t n, Emit emit) {
  int64_t start = 0;
  int32_t label = 0;
  for (int64_t i = 0; i < (n + 63) / 64; ++i) {
    for (uint64_t word = changes[i]; word != 0; word &= word - 1) {
      const int64_t x = 64 * i + std::countr_zero(word);
      if (label > 0) emit(start, x, label);
      start = x;
      label = labels[x];
    }
  }
  if (label > 0) emit(start, n, label);
}

}  // namespace tilecast
