// SPDX-License-Identifier: MIT
// Projections that look at a stack plane by plane: standard deviation, best focus; and how sharp a
// plane is.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast {

// Population standard deviation over a stack: numpy.std(float64(stack), axis=0), rounded once.
// Deviations are taken from the first plane, so that no digits are lost to a large mean; NaN and
// infinities give NaN. Holds two planes of float64 and the first plane as such, reused.
class DeviationProjection {
 public:
  void First(const Plane& plane);
  // Same shape (kOpShape) and dtype (kOpDtype) as the first.
  void Next(const Plane& plane);
  void Finish(const Plane& out) const;  // out: float32

 private:
  DType dtype_{};
  int64_t height_ = 0, width_ = 0, count_ = 0;
  std::vector<double> first_, sum_, squares_;
};

// Extended depth of field: each pixel from the plane that is sharpest around it, the first of
// several as sharp. Sharpness is the mean over window x window px (BoxMean) of the squared
// Laplacian (0 1 0; 1 -4 1; 0 1 0) of float32(plane), boundary half-sample symmetric. NaN is never
// sharper. Result in the planes' dtype.
class FocusStack {
 public:
  explicit FocusStack(int64_t window);  // px, 1..65535 (kInvalidArgument)
  // Starts with a copy of the plane.
  void First(const Plane& plane, const Plane& out);
  // Takes over the pixels of `plane` that are sharper than all before. Same shape and dtype.
  void Next(const Plane& plane, const Plane& out);

 private:
  void Sharpness(const Plane& plane, std::vector<float>& result);

  int64_t window_;
  std::vector<float> laplacian_, best_, sharpness_;
};

// Population variance of the Laplacian of float64(in) (Pech-Pacheco et al., ICPR 2000):
// numpy.var(scipy.ndimage.laplace(float64(in), mode="reflect")). Greater is sharper. No pixels:
// kInvalidArgument.
double FocusScore(const Plane& in);

}  // namespace tilecast
