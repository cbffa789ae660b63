// SPDX-License-Identifier: MIT
// Estimates a channel's illumination from many of its images.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "image.h"

namespace tilecast {

enum class EstimateMethod : uint8_t { kMedian, kMean };

// Retrospective illumination correction (Singh et al., J. Microscopy 256(3), 2014; CellProfiler's
// CorrectIlluminationCalculate "All", fit by smoothing): per pixel the median (or mean) over
// images, smoothed, scaled to mean 1.
//
// To bound memory each image is first reduced by block means of `factor` (BlockMean). The reduced
// statistic is smoothed by a Gaussian of sigma / factor (scipy's reflect boundary), enlarged
// bilinearly (EnlargeBilinear), divided by its own mean over all full-size pixels (float64) and
// floored at 0.05, so that a dark corner cannot blow up noise more than twentyfold.
class IlluminationEstimator {
 public:
  IlluminationEstimator(int64_t height, int64_t width, int64_t factor, int images);

  // Thread-safe for distinct indexes. `image` has the estimator's size (kOpShape otherwise).
  void Add(int index, const Plane& image, float background);
  // A part of an image, whose first pixel is (y, x), multiples of the factor. Thread-safe for
  // distinct parts.
  void AddPart(int index, int64_t y, int64_t x, const Plane& part, float background);
  // Takes an image back of which not all parts came.
  void Drop(int index) { images_[static_cast<size_t>(index)].clear(); }
  // float32 field, height x width. Images never added (failed planes) are left out; none at all is
  // kInvalidArgument.
  std::vector<float> Finish(EstimateMethod method, double sigma) const;

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  int64_t factor() const { return factor_; }

 private:
  int64_t height_, width_, factor_, small_h_, small_w_;
  std::vector<std::vector<float>> images_;
  std::mutex mutex_;  // AddPart, while it makes an image
};

}  // namespace tilecast
