// SPDX-License-Identifier: MIT
// Histograms of small integers.
#include "ops/counts.h"

#include <algorithm>
#include <cstring>

#include "ops/kernels/kernels.h"

namespace tilecast {

void CountBytes(const uint8_t* bytes, int64_t n, uint32_t (*histograms)[256]) {
  int64_t x = 0;
  for (; x + 8 <= n; x += 8) {
    uint64_t eight;
    std::memcpy(&eight, bytes + x, 8);
    for (int i = 0; i < 8; ++i) ++histograms[i][eight >> (8 * i) & 0xff];
  }
  for (; x < n; ++x) ++histograms[0][bytes[x]];
}

namespace {

// T is the unsigned type of the pixels' width; `flip` maps signed values to it in order.
template <class T>
void Count(const Plane& in, T flip, ValueCounts& out) {
  constexpr int64_t kValues = int64_t{1} << (8 * sizeof(T));
  if constexpr (sizeof(T) == 1) {
    alignas(64) uint32_t histograms[kByteHistograms][256] = {};
    for (int64_t y = 0; y < in.height; ++y) CountBytes(in.row<uint8_t>(y), in.width, histograms);
    out.counts.assign(kValues, 0);
    for (const auto& histogram : histograms) {
      for (int64_t i = 0; i < kValues; ++i)
        out.counts[static_cast<size_t>(i ^ flip)] += histogram[i];
    }
  } else {
    // Four full histograms are 1 MiB and would thrash the cache, but real images use a few thousand
    // values: count their span only.
    RowRange range{INT32_MAX, INT32_MIN, false};
    const auto range_row = Kernels().range[static_cast<int>(in.dtype)];
    for (int64_t y = 0; y < in.height; ++y) range_row(in.row<std::byte>(y), in.width, &range);
    const auto low = static_cast<int64_t>(range.min);
    const auto span = static_cast<int64_t>(range.max) - low + 1;
    out.low = low;
    if (in.height == 0 || in.width == 0) {
      out.counts.clear();
      return;
    }
    const size_t ways = span <= 4096 ? 4 : 1;
    out.counts.assign(static_cast<size_t>(span) * ways, 0);
    uint32_t* const counts = out.counts.data();
    const T base = static_cast<T>(low);  // modulo 2^16: differences come out right for both signs
    for (int64_t y = 0; y < in.height; ++y) {
      const T* row = in.row<T>(y);
      int64_t x = 0;
      if (ways == 4) {
        uint32_t* const ways4[] = {counts, counts + span, counts + 2 * span, counts + 3 * span};
        for (; x + 4 <= in.width; x += 4) {
          for (int i = 0; i < 4; ++i) ++ways4[i][static_cast<T>(row[x + i] - base)];
        }
      }
      for (; x < in.width; ++x) ++counts[static_cast<T>(row[x] - base)];
    }
    for (size_t way = 1; way < ways; ++way) {
      for (int64_t i = 0; i < span; ++i) counts[i] += counts[static_cast<int64_t>(way) * span + i];
    }
    out.counts.resize(static_cast<size_t>(span));
  }
}

}  // namespace

void CountValues(const Plane& in, ValueCounts& out) {
  switch (in.dtype) {
    case DType::kU8:
      out.low = 0;
      return Count<uint8_t>(in, 0, out);
    case DType::kI8:
      out.low = -128;
      return Count<uint8_t>(in, 0x80, out);
    default:
      return Count<uint16_t>(in, 0, out);
  }
}

}  // namespace tilecast
