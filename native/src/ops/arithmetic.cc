// SPDX-License-Identifier: MIT
// Point operations and percentiles.
#include "ops/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/counts.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

int Index(DType dtype) { return static_cast<int>(dtype); }

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

template <class T>
Neighbours FromSelection(const Plane& in, int64_t k) {
  thread_local std::vector<T> scratch;
  scratch.resize(static_cast<size_t>(in.pixels()));
  T* out = scratch.data();
  for (int64_t y = 0; y < in.height; ++y) {
    const T* row = in.row<T>(y);
    for (int64_t x = 0; x < in.width; ++x) {
      if constexpr (IsFloat(DTypeOf<T>::value)) {
        if (std::isnan(row[x])) {
          throw Error(Code::kInvalidArgument, "percentile: the image has a NaN at row " + std::to_string(y) + ", column " +
                                                  std::to_string(x) + "; percentiles are not defined then");
        }
      }
      *out++ = row[x];
    }
  }
  const auto nth = scratch.begin() + k;
  std::nth_element(scratch.begin(), nth, scratch.end());
  const T low = *nth;
  const T high = nth + 1 == scratch.end() ? low : *std::min_element(nth + 1, scratch.end());
  return {static_cast<double>(low), static_cast<double>(high)};
}

}  // namespace

void FlatField(const Plane& in, const Plane& field, float background, const Plane& out) {
  RequireDType("flatField", "the field", field, DType::kF32);
  RequireDType("flatField", "the result", out, DType::kF32);
  RequireShape("flatField", "the field", field, in.height, in.width);
  RequireShape("flatField", "the result", out, in.height, in.width);
  const auto row = Kernels().flat_field[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y) row(in.row<std::byte>(y), field.row<float>(y), background, out.row<float>(y), in.width);
}

void SubtractConstant(const Plane& in, float value, const Plane& out) {
  RequireDType("subtract", "the result", out, DType::kF32);
  RequireShape("subtract", "the result", out, in.height, in.width);
  const auto row = Kernels().subtract[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y) row(in.row<std::byte>(y), value, out.row<float>(y), in.width);
}

double Percentile(const Plane& in, double q) {
  RequirePixels("percentile", in);
  if (!(q >= 0 && q <= 100)) throw Error(Code::kInvalidArgument, "percentile: q must be within 0..100, got " + std::to_string(q));
  const int64_t n = in.pixels();
  // numpy.percentile, method "linear" (numpy/lib/_function_base_impl.py): position, neighbours and _lerp in float64.
  const double position = q / 100 * static_cast<double>(n - 1);
  const auto k = std::min(static_cast<int64_t>(position), n - 1);
  const double t = position - static_cast<double>(k);
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
  const double difference = found.high - found.low;
  if (t >= 0.5) return found.high - difference * (1 - t);
  return found.low + difference * t;
}

void Rescale(const Plane& in, double scale, double offset, const Plane& out) {
  RequireShape("rescale", "the result", out, in.height, in.width);
  const KernelTable& kernels = Kernels();
  const auto load = kernels.scale_to_f64[Index(in.dtype)];
  const auto store = kernels.from_f64[Index(out.dtype)];
  const auto in_size = static_cast<int64_t>(DTypeSize(in.dtype)), out_size = static_cast<int64_t>(DTypeSize(out.dtype));
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
  for (int64_t y = 0; y < in.height; ++y) row(in.row<std::byte>(y), value, out.row<uint8_t>(y), in.width);
}

}  // namespace tilecast
