// SPDX-License-Identifier: MIT
// Edges and detail: Sobel magnitude, unsharp masking, difference of Gaussians (GaussianLaplace is
// in gaussian.h). Results are float32 of float32(in), in any dtype, without scaling to 0..1; in and
// out must not overlap; the boundary is half-sample symmetric (d c b a | a b c d | d c b a).
#pragma once

#include "image.h"

namespace tilecast {

// Gradient magnitude: skimage.filters.sobel(float32(in)) = sqrt((v^2 + h^2) / 2), v and h the
// differences of the rows and columns on either side, weighted 1 2 1 over 4. Every CPU gives the
// same bits.
void SobelMagnitude(const Plane& in, const Plane& out);

// in + amount * (in - Gaussian(in, sigma)), not clipped: skimage.filters.unsharp_mask(float32(in),
// sigma, amount, preserve_range=True). Rounded as Gaussian.
void UnsharpMask(const Plane& in, double sigma, double amount, const Plane& out);

// Gaussian(in, low) - Gaussian(in, high): skimage.filters.difference_of_gaussians(float32(in), low,
// high, mode="reflect"). high: above low (kInvalidArgument). Scratch: one plane a thread.
void DifferenceOfGaussians(const Plane& in, double low, double high, const Plane& out);

}  // namespace tilecast
