// SPDX-License-Identifier: MIT
// Separable Gaussian blur in float32.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast {

struct MinMax {
  double min = 0;
  double max = 0;
};

// out(float32) = Gaussian(in, sigma px), as defined by
// scipy.ndimage.gaussian_filter(float32(in), sigma, mode="reflect", truncate=4):
// radius = int(4 * sigma + 0.5), weights exp(-x^2 / 2 sigma^2) normalised in float64 and rounded
// to float32, axis 0 then axis 1, float32 between the passes. The boundary is half-sample
// symmetric (d c b a | a b c d | d c b a), repeated when the radius exceeds the image.
//
// in: any dtype, converted to float32 first. 0 <= sigma <= 1e6 (kInvalidArgument otherwise;
// 0 converts). in and out must not overlap. An empty image is left alone.
//
// Sums are float32, outermost taps first: agrees with scipy, which sums in float64, within 1e-6 of
// each pixel where pixels have one sign, and within 1e-6 of the greatest magnitude where they
// cancel. CPUs with fused multiply-add and without may differ in the last bit.
//
// Returns the minimum and maximum of `out` (free here, needed by Otsu), NaN pixels left out; 0, 0
// for an empty image. Cost grows with sigma: 8 * sigma + 1 taps in each direction. Scratch is kept
// per thread: two rows, and for other dtypes than float32 another 8 * sigma + 2.
MinMax Gaussian(const Plane& in, double sigma, const Plane& out);

// out(float32) = Laplacian of Gaussian: scipy.ndimage.gaussian_laplace(float32(in), sigma,
// mode="reflect"), the sum of the two second derivatives (bright spots come out negative). As
// Gaussian in boundary, dtypes, radius and rounding: within 2e-6 of the image's greatest magnitude
// divided by sigma^2. sigma > 0. Scratch: one plane of float32 is kept per thread besides.
void GaussianLaplace(const Plane& in, double sigma, const Plane& out);

// Of both: weights[i] for the two pixels at distance i, i <= GaussianRadius(sigma), in float32.
int64_t GaussianRadius(double sigma);
void GaussianWeights(double sigma, std::vector<float>& smooth);
// Those of the second derivative; sigma > 0.
void GaussianCurveWeights(double sigma, std::vector<float>& curve);

}  // namespace tilecast
