// SPDX-License-Identifier: MIT
// Background by a rolling ball.
#pragma once

#include "image.h"

namespace tilecast {

enum class BallResult : uint8_t { kCorrected, kBackground };

inline constexpr int64_t kMaxBallRadius = 1024;

// The background is where a ball of `radius` px, rolled under the image's landscape, touches it: at
// each pixel the least of in(y + dy, x + dx) + radius - sqrt(radius^2 - dy^2 - dx^2) over the disk
// dy^2 + dx^2 <= radius^2, pixels outside the image taking no part (Sternberg, Computer 16(1),
// 1983; skimage.restoration.rolling_ball, without shrinking the image first as ImageJ does).
// kCorrected: in - background, in the dtype of `in`; it is never negative.
//
// uint8, uint16: the background is rounded down, exactly; float32: each sum is rounded to float32,
// as scikit-image does; NaN is no background and stays NaN in the result. Other dtypes: kOpDtype.
// 1 <= radius <= kMaxBallRadius (kInvalidArgument). Exact and equal on every CPU; in and out must
// not overlap.
//
// Cost: at most radius^2 comparisons a pixel by vectors; chords of the ball that are certain to lie
// above what was found so far are left out, which on microscopy's images are most. Scratch: two
// padded planes a thread.
void RollingBall(const Plane& in, int64_t radius, BallResult result, const Plane& out);

}  // namespace tilecast
