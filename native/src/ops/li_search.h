// SPDX-License-Identifier: MIT
// Li's threshold of floats as an iteration over sums, whoever adds those up: over an image at once,
// or over its parts.
#pragma once

#include <cmath>
#include <cstdint>

#include "image.h"
#include "ops/gaussian.h"

namespace tilecast {

// Sums of the pixels at or below a threshold, and of those above it, counted from the least pixel.
struct LiSides {
  double back = 0, fore = 0;
  int64_t above = 0;
};

// Li's next threshold from the means of both sides.
inline double LiBetween(double back, double fore) {
  return (back - fore) / (std::log(back) - std::log(fore));
}

// Goes on along a row: `fore` and `all` are sums over the row's pixels so far.
template <class T>
void AddLiRow(const T* row, int64_t n, T low, double threshold, double& fore, double& all,
              int64_t& above) {
  double sum_fore = fore, sum_all = all;
  int64_t count = 0;
  for (int64_t x = 0; x < n; ++x) {
    const double v = static_cast<double>(row[x] - low);
    const bool is_above = v > threshold;
    sum_all += v;
    sum_fore += is_above ? v : 0;
    count += is_above;
  }
  fore = sum_fore;
  all = sum_all;
  above += count;
}

class LiSearch {
 public:
  LiSearch(DType dtype, const MinMax& range, int64_t pixels)
      : dtype_(dtype), least_(range.min), pixels_(static_cast<double>(pixels)) {}

  // What the next sums are to be taken about: all pixels are above the first.
  double threshold() const { return threshold_; }
  // False when it has found the result.
  bool Take(LiSides s) {
    if (first_) {
      first_ = false;
      next_ = s.fore / pixels_;
    } else {
      if (s.above == above_ || s.above == 0) return false;
      above_ = s.above;
      s.fore /= static_cast<double>(above_);
      s.back /= pixels_ - static_cast<double>(above_);
      if (!(s.back > 0)) return false;
      next_ = LiBetween(s.back, s.fore);
    }
    // numpy 2 compares a float32 image with a Python float in float32.
    threshold_ = dtype_ == DType::kF32 ? static_cast<double>(static_cast<float>(next_)) : next_;
    return true;
  }
  double result() const { return next_ + least_; }

 private:
  DType dtype_;
  double least_, pixels_, next_ = 0, threshold_ = -1;
  int64_t above_ = -1;
  bool first_ = true;
};

}  // namespace tilecast
