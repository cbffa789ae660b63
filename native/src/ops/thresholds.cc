// SPDX-License-Identifier: MIT
// Triangle, Yen, Li, and the adaptive threshold.
#include "ops/thresholds.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/gaussian.h"
#include "ops/histogram.h"
#include "ops/kernels/kernels.h"
#include "ops/li_search.h"
#include "ops/rank.h"

namespace tilecast {

namespace {

struct Levels {
  std::vector<float> counts;
  std::vector<double> levels;
};

}  // namespace

double LiOfLevels(const std::vector<float>& counts, const std::vector<double>& levels) {
  if (levels.size() == 1) return levels[0];
  const double low = levels.front();
  const size_t n = levels.size();
  double sum = 0, pixels = 0;
  for (size_t i = 0; i < n; ++i) {
    sum += (levels[i] - low) * counts[i];
    pixels += counts[i];
  }
  double next = sum / pixels, threshold = -1;
  while (std::abs(next - threshold) > 0.5) {
    threshold = next;
    LiSides s;
    double back = 0, fore = 0;
    for (size_t i = 0; i < n; ++i) {
      const double level = levels[i] - low;
      (level > threshold ? s.fore : s.back) += level * counts[i];
      (level > threshold ? fore : back) += counts[i];
    }
    s.back /= back;
    s.fore /= fore;
    if (s.back == 0) break;
    next = LiBetween(s.back, s.fore);
  }
  return next + low;
}

namespace {

template <class T>
double LiOfPixels(const Plane& in, const MinMax& range) {
  LiSearch search(in.dtype, range, in.pixels());
  for (LiSides sides;; sides = {}) {
    for (int64_t y = 0; y < in.height; ++y) {
      double fore = 0, all = 0;
      AddLiRow(in.row<T>(y), in.width, static_cast<T>(range.min), search.threshold(), fore, all,
               sides.above);
      sides.fore += fore;
      sides.back += all - fore;
    }
    if (!search.Take(sides)) return search.result();
  }
}

}  // namespace

double TriangleThreshold(const Plane& in) {
  thread_local Levels all;
  CountLevels("triangle", in, all.counts, all.levels);
  return TriangleOfLevels(all.counts, all.levels);
}

double TriangleOfLevels(std::vector<float>& counts, const std::vector<double>& levels) {
  const auto n = static_cast<int64_t>(levels.size());
  if (n == 1) return levels[0];
  int64_t peak = std::max_element(counts.begin(), counts.end()) - counts.begin();
  int64_t low = 0, high = n - 1;  // the ends always hold the extremes
  const bool flip = peak - low < high - peak;
  if (flip) {
    std::reverse(counts.begin(), counts.end());
    low = n - high - 1;
    peak = n - peak - 1;
  }
  double height = counts[static_cast<size_t>(peak)];
  const int64_t steps = peak - low;
  double width = static_cast<double>(steps);
  const double norm = std::sqrt(height * height + width * width);
  height /= norm;
  width /= norm;
  int64_t best = 0;
  double longest = -HUGE_VAL;
  for (int64_t x = 0; x < steps; ++x) {
    const double length =
        height * static_cast<double>(x) - width * counts[static_cast<size_t>(x + low)];
    if (length > longest) {
      longest = length;
      best = x;
    }
  }
  int64_t level = best + low;
  if (flip) level = n - level - 1;
  return levels[static_cast<size_t>(level)];
}

double YenThreshold(const Plane& in) {
  thread_local Levels all;
  CountLevels("yen", in, all.counts, all.levels);
  return YenOfLevels(all.counts, all.levels);
}

double YenOfLevels(const std::vector<float>& counts, const std::vector<double>& levels) {
  thread_local std::vector<float> below, below_squared, above_squared;
  const size_t n = levels.size();
  if (n == 1) return levels[0];
  float total = 0;
  double exact = 0;
  for (const float c : counts) exact += c;
  total = static_cast<float>(exact);
  below.resize(n);
  below_squared.resize(n);
  above_squared.resize(n);
  float sum = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) {
    const float p = counts[i] / total;
    below[i] = sum += p;
    below_squared[i] = squares += p * p;
  }
  squares = 0;
  for (size_t i = n; i-- > 0;) {
    const float p = counts[i] / total;
    above_squared[i] = squares += p * p;
  }
  size_t best = 0;
  float greatest = -HUGE_VALF;
  for (size_t i = 0; i + 1 < n; ++i) {
    const float spread = below[i] * (1.0f - below[i]);
    const float ratio = 1.0f / (below_squared[i] * above_squared[i + 1]) * (spread * spread);
    // In float64 and rounded: float32 logarithms differ between C libraries, and by them which of
    // several levels that are as good comes first.
    const auto criterion = static_cast<float>(std::log(static_cast<double>(ratio)));
    if (criterion > greatest) {
      greatest = criterion;
      best = i;
    }
  }
  return levels[best];
}

double LiThreshold(const Plane& in) {
  if (IsFloat(in.dtype)) {
    const MinMax range = Range(in);
    if (!std::isfinite(range.min) || !std::isfinite(range.max))
      throw Error(Code::kInvalidArgument, "li: pixel values must be finite");
    if (range.min == range.max) return range.min;
    return in.dtype == DType::kF32 ? LiOfPixels<float>(in, range) : LiOfPixels<double>(in, range);
  }
  thread_local Levels all;
  CountLevels("li", in, all.counts, all.levels);
  return LiOfLevels(all.counts, all.levels);
}

void AdaptiveThreshold(const Plane& in, Surroundings method, int64_t block, double offset,
                       const Plane& out) {
  RequireDType("adaptiveThreshold", "the result", out, DType::kU8);
  RequireShape("adaptiveThreshold", "the result", out, in.height, in.width);
  if (block < 1 || block % 2 == 0 || block > 65535) {
    throw Error(Code::kInvalidArgument,
                "adaptiveThreshold: the block must be odd and within 1..65535 px, got " +
                    std::to_string(block));
  }
  thread_local std::vector<float> memory, line;
  memory.resize(static_cast<size_t>(in.pixels()));
  line.resize(static_cast<size_t>(in.width));
  const Plane local = PackedPlane(memory.data(), DType::kF32, in.height, in.width);
  if (method == Surroundings::kMean) {
    BoxMean(in, block, block, local);
  } else {
    Gaussian(in, static_cast<double>(block - 1) / 6, local);
  }
  const auto to_f32 = Kernels().to_f32[static_cast<int>(in.dtype)];
  const auto shift = static_cast<float>(offset);
  for (int64_t y = 0; y < in.height; ++y) {
    to_f32(in.row<std::byte>(y), line.data(), in.width);
    const float *const pixels = line.data(), *const around = local.row<float>(y);
    uint8_t* const row = out.row<uint8_t>(y);
    for (int64_t x = 0; x < in.width; ++x) row[x] = pixels[x] > around[x] - shift;
  }
}

}  // namespace tilecast
