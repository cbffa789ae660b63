// SPDX-License-Identifier: MIT
// Point operations and percentiles.
#include "ops/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "ops/check.h"
#include "ops/counts.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

int Index(DType dtype) {
  return static_cast<int>(dtype);
}

// The k-th and the (k + 1)-th smallest value (the k-th twice when it is the last).
struct Neighbours {
  double low, high;
};

Neighbours FromCounts(const ValueCounts& values, int64_t k, int64_t n) {
  const int64_t next = std::min(k + 1, n - 1);
  int64_t seen = 0;
  Neighbours found{};
  bool have_low = false;
  for (size_t i = 0; i < values.counts.size(); ++i) {
    seen += values.counts[i];
    const auto value = static_cast<double>(values.low + static_cast<int64_t>(i));
    if (!have_low && seen > k) {
      found.low = value;
      have_low = true;
    }
    if (seen > next) {
      found.high = value;
      break;
    }
  }
  return found;
}

[[noreturn]] void ThrowNan(const Plane& in) {
  for (int64_t y = 0; y < in.height; ++y) {
    for (int64_t x = 0; x < in.width; ++x) {
      const double v =
          in.dtype == DType::kF32 ? static_cast<double>(in.row<float>(y)[x]) : in.row<double>(y)[x];
      if (!std::isnan(v)) continue;
      throw Error(Code::kInvalidArgument, "percentile: the image has a NaN at row " +
                                              std::to_string(y) + ", column " + std::to_string(x) +
                                              "; percentiles are not defined then");
    }
  }
  throw Error(Code::kInternal,
              "percentile: a NaN was seen and is gone; the image changed meanwhile");
}

// Selection in two passes: a coarse histogram says which bins hold the wanted ranks, and only their
// pixels are gathered and sorted out. Any monotone map to bins will do, so rounding in it is
// harmless.
template <class T>
Neighbours FromSelection(const Plane& in, int64_t k) {
  using Real = std::conditional_t<std::is_same_v<T, float>, float, double>;
  constexpr int32_t kBins = 4096;
  const int64_t n = in.pixels(), next = std::min(k + 1, n - 1);
  RowRange range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                 false};
  const auto range_row = Kernels().range[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y) range_row(in.row<std::byte>(y), in.width, &range);
  if (range.nan) ThrowNan(in);
  const Real low = static_cast<Real>(range.min), high = static_cast<Real>(range.max);
  if (low == high) return {range.min, range.min};
  const Real scale = kBins / (high - low);
  // Infinite pixels, or a range beyond the dtype's: one bin for all.
  const bool linear = std::isfinite(low) && std::isfinite(high) && std::isfinite(high - low) &&
                      std::isfinite(scale);
  // Calls f(pixels, bins, n) for pieces of rows; apart from the counting so that the compiler
  // vectorises it.
  auto for_bins = [&](auto f) {
    constexpr int64_t kChunk = 512;
    int32_t bins[kChunk] = {};
    for (int64_t y = 0; y < in.height; ++y) {
      for (int64_t x0 = 0; x0 < in.width; x0 += kChunk) {
        const T* pixels = in.row<T>(y) + x0;
        const int64_t count = std::min(kChunk, in.width - x0);
        if (linear) {
          for (int64_t i = 0; i < count; ++i) {
            const Real position = (static_cast<Real>(pixels[i]) - low) * scale;
            bins[i] = static_cast<int32_t>(position < kBins - 1 ? position
                                                                : static_cast<Real>(kBins - 1));
          }
        }
        f(pixels, bins, count);
      }
    }
  };

  // Four interleaved histograms: background pixels share few bins, and increments of one counter
  // wait for each other.
  thread_local std::vector<uint32_t> scratch;
  scratch.assign(4 * kBins, 0);
  uint32_t* const counts = scratch.data();
  for_bins([&](const T*, const int32_t* bins, int64_t count) {
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      for (int way = 0; way < 4; ++way) ++counts[way * kBins + bins[i + way]];
    }
    for (; i < count; ++i) ++counts[bins[i]];
  });
  for (int32_t i = 0; i < kBins; ++i)
    counts[i] += counts[kBins + i] + counts[2 * kBins + i] + counts[3 * kBins + i];
  int32_t first = 0, last = 0;
  int64_t before = 0;  // pixels in bins below `first`
  while (before + counts[first] <= k) before += counts[first++];
  int64_t through = before;  // pixels in bins up to and including `last`
  for (last = first; (through += counts[last]) <= next; ++last) {
  }

  thread_local std::vector<T> kept;
  std::vector<T>& candidates = kept;  // a plain reference: the thread's own is looked up once
  candidates.clear();
  for_bins([&](const T* pixels, const int32_t* bins, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      // One comparison: for a median, two would each go either way half of the time.
      if (static_cast<uint32_t>(bins[i] - first) <= static_cast<uint32_t>(last - first))
        candidates.push_back(pixels[i]);
    }
  });
  const auto nth = candidates.begin() + (k - before);
  std::nth_element(candidates.begin(), nth, candidates.end());
  const T found = *nth;
  const T above = next == k ? found : *std::min_element(nth + 1, candidates.end());
  return {static_cast<double>(found), static_cast<double>(above)};
}

}  // namespace

void FlatField(const Plane& in, const Plane& field, float background, const Plane& out) {
  RequireDType("flatField", "the field", field, DType::kF32);
  RequireDType("flatField", "the result", out, DType::kF32);
  RequireShape("flatField", "the field", field, in.height, in.width);
  RequireShape("flatField", "the result", out, in.height, in.width);
  const auto row = Kernels().flat_field[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y)
    row(in.row<std::byte>(y), field.row<float>(y), background, out.row<float>(y), in.width);
}

void SubtractConstant(const Plane& in, float value, const Plane& out) {
  RequireDType("subtract", "the result", out, DType::kF32);
  RequireShape("subtract", "the result", out, in.height, in.width);
  const auto row = Kernels().subtract[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y)
    row(in.row<std::byte>(y), value, out.row<float>(y), in.width);
}

PercentileRank::PercentileRank(double q, int64_t pixels) {
  const double position = q / 100 * static_cast<double>(pixels - 1);
  below = std::min(static_cast<int64_t>(position), pixels - 1);
  fraction = position - static_cast<double>(below);
}

double PercentileRank::Between(double low, double high) const {
  if (fraction == 0 || low == high)
    return low;  // also where infinities would make the difference NaN
  const double difference = high - low;
  if (fraction >= 0.5) return high - difference * (1 - fraction);
  return low + difference * fraction;
}

double Percentile(const Plane& in, double q) {
  RequirePixels("percentile", in);
  if (!(q >= 0 && q <= 100))
    throw Error(Code::kInvalidArgument,
                "percentile: q must be within 0..100, got " + std::to_string(q));
  const int64_t n = in.pixels();
  const PercentileRank rank(q, n);
  const int64_t k = rank.below;
  const Neighbours found = Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (sizeof(T) <= 2) {
      thread_local ValueCounts values;
      CountValues(in, values);
      return FromCounts(values, k, n);
    } else {
      return FromSelection<T>(in, k);
    }
  });
  return rank.Between(found.low, found.high);
}

void Rescale(const Plane& in, double scale, double offset, const Plane& out) {
  RequireShape("rescale", "the result", out, in.height, in.width);
  const KernelTable& kernels = Kernels();
  if (scale == 1 && offset == 0) {  // a plain conversion, where float32 holds all that it meets
    const auto store = kernels.from_f32[Index(out.dtype)];
    if (in.dtype == DType::kF32 && store != nullptr) {
      for (int64_t y = 0; y < in.height; ++y)
        store(in.row<float>(y), out.row<std::byte>(y), in.width);
      return;
    }
    if (out.dtype == DType::kF32 && !IsFloat(in.dtype)) {
      const auto load = kernels.to_f32[Index(in.dtype)];
      for (int64_t y = 0; y < in.height; ++y)
        load(in.row<std::byte>(y), out.row<float>(y), in.width);
      return;
    }
  }
  if (out.dtype == DType::kU8) {
    const auto row = kernels.scale_to_u8[Index(in.dtype)];
    for (int64_t y = 0; y < in.height; ++y)
      row(in.row<std::byte>(y), scale, offset, out.row<uint8_t>(y), in.width);
    return;
  }
  const auto load = kernels.scale_to_f64[Index(in.dtype)];
  const auto store = kernels.from_f64[Index(out.dtype)];
  const auto in_size = static_cast<int64_t>(DTypeSize(in.dtype)),
             out_size = static_cast<int64_t>(DTypeSize(out.dtype));
  constexpr int64_t kChunk = 512;  // 4 KiB of doubles: stays in the first-level cache
  alignas(64) double chunk[kChunk];
  for (int64_t y = 0; y < in.height; ++y) {
    for (int64_t x = 0; x < in.width; x += kChunk) {
      const int64_t n = std::min(kChunk, in.width - x);
      load(in.row<std::byte>(y) + x * in_size, scale, offset, chunk, n);
      store(chunk, out.row<std::byte>(y) + x * out_size, n);
    }
  }
}

void Threshold(const Plane& in, double value, const Plane& out) {
  RequireDType("threshold", "the result", out, DType::kU8);
  RequireShape("threshold", "the result", out, in.height, in.width);
  const auto row = Kernels().threshold[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y)
    row(in.row<std::byte>(y), value, out.row<uint8_t>(y), in.width);
}

}  // namespace tilecast
