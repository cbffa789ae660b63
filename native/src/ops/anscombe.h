// SPDX-License-Identifier: MIT
// Anscombe's transform: Poisson noise made even.
#pragma once

#include "image.h"

namespace tilecast {

// out(float32) = 2 sqrt(max(in, 0) + 3/8) in float64, rounded once (Anscombe, Biometrika 35, 1948).
// NaN stays. in: any dtype; out: float32 of the same shape (kOpDtype, kOpShape), `in` itself if
// that is float32.
void Anscombe(const Plane& in, const Plane& out);

}  // namespace tilecast
