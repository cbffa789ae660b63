// SPDX-License-Identifier: MIT
// The 256 bins that thresholds of floats are found by, filled from one image or from its parts.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "image.h"
#include "ops/counts.h"
#include "ops/gaussian.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

inline constexpr int kFloatBins = 256;

// Counts that parts of an image have together.
using FloatCounts = std::array<uint64_t, kFloatBins>;

// numpy.histogram's 256 equal bins over a range, T float or double. Errors are named by `op`.
template <class T>
class FloatBins {
 public:
  // kInvalidArgument for a range that is not finite, or too narrow for 256 bins.
  FloatBins(const std::string& op, const MinMax& range);
  // No bins: every pixel is the same.
  bool constant() const { return edges_[0] == edges_[kFloatBins]; }
  // Adds the pixels of `in`; those outside the range are dropped. NaN: kInvalidArgument. Safe from
  // several threads with counts of their own.
  void Count(const Plane& in, FloatCounts& counts) const;
  // The counts as float32 and the bins' centres.
  void Finish(const FloatCounts& counts, std::vector<float>& as_floats,
              std::vector<T>& centers) const;

 private:
  std::array<T, kFloatBins + 1> edges_{};
  T scale_ = 0, margin_ = 0;
  bool fast_ = false;
};

extern template class FloatBins<float>;
extern template class FloatBins<double>;

}  // namespace tilecast
