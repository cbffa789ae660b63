// SPDX-License-Identifier: MIT
// Texture of labelled objects.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "image.h"
#include "ops/gaussian.h"
#include "ops/label.h"

namespace tilecast {

// In the order of the paper's f1..f13.
enum class Haralick : uint8_t {
  kAngularSecondMoment,
  kContrast,
  kCorrelation,
  kVariance,
  kInverseDifferenceMoment,
  kSumAverage,
  kSumVariance,
  kSumEntropy,
  kEntropy,
  kDifferenceVariance,
  kDifferenceEntropy,
  kInformation1,
  kInformation2,
};
inline constexpr int kHaralickFeatures = 13;
using HaralickRow = std::array<double, kHaralickFeatures>;

struct TextureOptions {
  int levels = 32;       // 2..256
  int64_t distance = 1;  // px, 1..64
  // Intensities that the levels divide; without one, the image's least and greatest pixel.
  std::optional<MinMax> range;
};

// The thirteen features of Haralick, Shanmugam and Dinstein (IEEE Trans. SMC 3(6), 1973), f1 to
// f13, of each object: from symmetric grey-level co-occurrences of pixels of the same object
// `distance` px apart, each feature the mean over the directions 0, 45, 90 and 135 degrees;
// directions without a pair are left out, an object without any has NaN. mahotas.features.haralick(
// levels of the object, 0 outside, ignore_zeros=True, distance, use_x_minus_y_variance=True).
//
// A pixel's level, 1..levels, is 1 + floor((pixel - low) * (levels / (high - low))) in float64,
// held within them; NaN pixels have none and take no part. Logarithms are to base 2 (in f13 e is
// raised to them, as mahotas does); f7 is about the sum average, not the sum entropy that a
// misprint of the paper has; f3 of an object of one level is 1.
//
// labels: int32, of the objects' shape, as is `image` (kOpShape). kInvalidArgument for options out
// of range. One row per label. Cost: four looks a pixel, and levels^2 / 2 additions a direction and
// object.
void MeasureHaralick(const Objects& objects, const Plane& labels, const Plane& image,
                     const TextureOptions& options, std::vector<HaralickRow>& rows);

}  // namespace tilecast
