// SPDX-License-Identifier: MIT
// What tells a good plane from a bad one: level, spread, saturation, sharpness.
#pragma once

#include <cstdint>

#include "image.h"

namespace tilecast {

// Of all pixels as float64. A plane with a NaN pixel has NaN in mean, deviation and the scores.
struct PlaneQuality {
  double mean, deviation;  // population
  double min, max;         // NaN pixels left out; NaN where there are no others
  double saturated;        // share of pixels at or above the saturation level
  bool nan;                // whether a pixel is
};

// `saturation`: a level, as a rule the dtype's greatest value. No pixels: kInvalidArgument.
PlaneQuality MeasureQuality(const Plane& in, double saturation);

// Scores of sharpness: greater is sharper, within planes of one kind. Boundary half-sample
// symmetric. Variance of the Laplacian is FocusScore (focus.h).
struct SharpnessRow {
  // Mean of (in(y, x + 2) - in(y, x))^2 over the pixels that have such a neighbour (Brenner et al.,
  // J. Histochemistry and Cytochemistry 24(1), 1976); 0 without any.
  double brenner;
  // Mean of the squared Sobel gradient, weights 1 2 1 (Tenenbaum, 1970; Krotkov, Int. J. Computer
  // Vision 1, 1988): scipy.ndimage.sobel(in, 0)^2 + sobel(in, 1)^2.
  double tenengrad;
};
SharpnessRow MeasureSharpness(const Plane& in);

}  // namespace tilecast
