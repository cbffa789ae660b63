// SPDX-License-Identifier: MIT
// Halving, block means and their enlargement.
#include "ops/resample.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

void RequireHalf(std::string_view op, const Plane& in, const Plane& out) {
  RequireDType(op, "the result", out, in.dtype);
  RequireShape(op, "the result", out, HalfSize(in.height), HalfSize(in.width));
}

void RequireFactor(std::string_view op, int64_t factor) {
  if (factor >= 1) return;
  throw Error(Code::kInvalidArgument,
              std::string(op) + ": the factor must be at least 1, got " + std::to_string(factor));
}

// The mean of two pixels where the image ends in the middle of a block: integers round half to
// even.
template <class T>
T MeanOfTwo(T a, T b) {
  if constexpr (IsFloat(DTypeOf<T>::value)) {
    return (a + b) * static_cast<T>(0.5);
  } else {
    const int64_t sum = static_cast<int64_t>(a) + static_cast<int64_t>(b);
    return static_cast<T>((sum + ((sum >> 1) & 1)) >> 1);
  }
}

// Source position of output pixel `i` of an enlargement: between source pixels `low` and `low + 1`,
// at fraction t.
struct Sample {
  int64_t low, high;
  float t;
};
Sample SampleOf(int64_t i, int64_t factor, int64_t n) {
  const double position = (static_cast<double>(i) + 0.5) / static_cast<double>(factor) - 0.5;
  const double clamped = std::clamp(position, 0.0, static_cast<double>(n - 1));
  const auto low = static_cast<int64_t>(clamped);
  return {low, std::min(low + 1, n - 1), static_cast<float>(clamped - static_cast<double>(low))};
}

}  // namespace

void HalveMean(const Plane& in, const Plane& out) {
  RequireHalf("halveMean", in, out);
  const auto halve = Kernels().halve_mean[static_cast<int>(in.dtype)];
  const int64_t full_width = in.width / 2, full_height = in.height / 2;
  for (int64_t y = 0; y < full_height; ++y) {
    halve(in.row<std::byte>(2 * y), in.row<std::byte>(2 * y + 1), out.row<std::byte>(y),
          full_width);
  }
  // An odd last column has blocks of two above each other, an odd last row blocks of two side by
  // side, the corner one pixel.
  if (full_width == out.width && full_height == out.height) return;
  Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (full_width < out.width) {
      for (int64_t y = 0; y < full_height; ++y) {
        out.row<T>(y)[full_width] =
            MeanOfTwo(in.row<T>(2 * y)[2 * full_width], in.row<T>(2 * y + 1)[2 * full_width]);
      }
    }
    if (full_height < out.height) {
      const T* last = in.row<T>(in.height - 1);
      T* dst = out.row<T>(full_height);
      for (int64_t x = 0; x < full_width; ++x) dst[x] = MeanOfTwo(last[2 * x], last[2 * x + 1]);
      if (full_width < out.width) dst[full_width] = last[in.width - 1];
    }
  });
}

void HalveStride(const Plane& in, const Plane& out) {
  RequireHalf("halveStride", in, out);
  Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < out.height; ++y) {
      const T* src = in.row<T>(2 * y);
      T* dst = out.row<T>(y);
      for (int64_t x = 0; x < out.width; ++x) dst[x] = src[2 * x];
    }
  });
}

void BlockMean(const Plane& in, int64_t factor, const Plane& out) {
  RequireFactor("blockMean", factor);
  RequireDType("blockMean", "the result", out, DType::kF32);
  RequireShape("blockMean", "the result", out, (in.height + factor - 1) / factor,
               (in.width + factor - 1) / factor);
  const auto add = Kernels().block_sum[static_cast<int>(in.dtype)];
  thread_local std::vector<double> sums;
  for (int64_t by = 0; by < out.height; ++by) {
    sums.assign(static_cast<size_t>(out.width), 0);
    const int64_t y0 = by * factor, y1 = std::min(y0 + factor, in.height);
    for (int64_t y = y0; y < y1; ++y) add(in.row<std::byte>(y), factor, sums.data(), in.width);
    float* dst = out.row<float>(by);
    for (int64_t bx = 0; bx < out.width; ++bx) {
      const int64_t width = std::min((bx + 1) * factor, in.width) - bx * factor;
      dst[bx] = static_cast<float>(sums[static_cast<size_t>(bx)] /
                                   static_cast<double>(width * (y1 - y0)));
    }
  }
}

void EnlargeBilinear(const Plane& in, int64_t factor, const Plane& out) {
  RequireFactor("enlargeBilinear", factor);
  RequireDType("enlargeBilinear", "the image", in, DType::kF32);
  RequireDType("enlargeBilinear", "the result", out, DType::kF32);
  RequireShape("enlargeBilinear", "the image", in, (out.height + factor - 1) / factor,
               (out.width + factor - 1) / factor);
  if (out.height == 0 || out.width == 0) return;

  // Columns first: each source row is widened once and serves about `factor` output rows, which are
  // blends of two widened rows.
  thread_local std::vector<Sample> columns;
  columns.resize(static_cast<size_t>(out.width));
  for (int64_t x = 0; x < out.width; ++x)
    columns[static_cast<size_t>(x)] = SampleOf(x, factor, in.width);
  thread_local std::vector<float> widened;
  widened.resize(static_cast<size_t>(2 * out.width));
  int64_t held[2] = {-1, -1};  // the source rows in the two halves of `widened`
  auto row = [&](int64_t y) {
    float* dst = widened.data() + y % 2 * out.width;
    if (held[y % 2] != y) {
      const float* src = in.row<float>(y);
      for (int64_t x = 0; x < out.width; ++x) {
        const Sample& s = columns[static_cast<size_t>(x)];
        dst[x] = src[s.low] + (src[s.high] - src[s.low]) * s.t;
      }
      held[y % 2] = y;
    }
    return dst;
  };
  const KernelTable& kernels = Kernels();
  for (int64_t y = 0; y < out.height; ++y) {
    const Sample s = SampleOf(y, factor, in.height);
    const float* low = row(s.low);
    kernels.lerp(low, row(s.high), s.t, out.row<float>(y), out.width);
  }
}

}  // namespace tilecast
