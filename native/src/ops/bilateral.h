// SPDX-License-Identifier: MIT
// Bilateral filter: a mean over near pixels of like intensity.
#pragma once

#include "image.h"

namespace tilecast {

inline constexpr int64_t kMaxBilateralRadius = 192;

// The disk that a bilateral filter looks at: ceil(3 sigma) px.
int64_t BilateralRadius(double sigma);

// out(float32) = sum of w q / sum of w over the pixels q within BilateralRadius(sigma) of p,
// w = exp(-distance^2 / (2 sigma^2)) exp(-(q - p)^2 / (2 range^2)) (Tomasi, Manduchi, ICCV 1998),
// of float32(in), half-sample symmetric at the edges: cv2.bilateralFilter(float32(in), 2 radius +
// 1, range, sigma, borderType=BORDER_REFLECT), which interpolates the weights from a table. Here
// they are computed, within 2e-7 of themselves; sums are float32: the result lies within 2e-6 of
// `range` of the exact one. Pixels that are not finite have no weight, and stay what they are.
//
// sigma: above 0, at most 64 px; range: 1e-9..1e9 (kInvalidArgument). Equal on every CPU. Cost:
// pi radius^2 weights a pixel. Scratch: one padded plane of float32 a thread.
void Bilateral(const Plane& in, double sigma, double range, const Plane& out);

}  // namespace tilecast
