// SPDX-License-Identifier: MIT
// Counting the values of 8- and 16-bit pixels: the exact histogram behind Otsu and Percentile.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast {

// Counts of every value of an 8- or 16-bit plane; counts[i] belongs to value low + i. Reused
// between planes.
struct ValueCounts {
  std::vector<uint32_t> counts;
  int64_t low = 0;
};

void CountValues(const Plane& in, ValueCounts& out);

// Adds n bytes to eight interleaved histograms of 256 bins, so that equal neighbours don't wait for
// each other's increment.
inline constexpr int kByteHistograms = 8;
void CountBytes(const uint8_t* bytes, int64_t n, uint32_t (*histograms)[256]);

}  // namespace tilecast
