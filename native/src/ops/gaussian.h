// SPDX-License-Identifier: MIT
// Separable Gaussian blur in float32.
#pragma once

#include "image.h"

namespace tilecast {

struct MinMax {
  double min = 0;
  double max = 0;
};

// out(float32) = Gaussian(in, sigma px). The definition of scipy.ndimage.gaussian_filter(float32(in), sigma, mode="reflect", truncate=4):
// radius = int(4 * sigma + 0.5), weights exp(-x^2 / 2 sigma^2) normalised in float64 and rounded to float32, axis 0 then axis 1, float32
// between the passes; boundary half-sample symmetric (d c b a | a b c d | d c b a), repeated when the radius exceeds the image.
// in: any dtype (converted to float32 first). Any sigma >= 0 (0 copies). in and out must not overlap. Sums are float32 in a fixed order:
// agrees with scipy within 1e-6 relative. Returns the minimum and maximum of `out` (free here, needed by Otsu).
// Scratch: a few rows per thread, kept.
MinMax Gaussian(const Plane& in, double sigma, const Plane& out);

}  // namespace tilecast
