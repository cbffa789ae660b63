// SPDX-License-Identifier: MIT
// Intensities: arithmetic of images, clipping, gamma, inversion, normalisation, histograms,
// equalisation.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast {

// Results go to out's dtype as Rescale's do: computed in float64, integers rounded half to even and
// saturated (NaN gives 0), float32 rounded once. So a float32 result of float32 images is numpy's,
// and integers saturate as OpenCV's do. `out` may be `a` or `b` where their dtypes are equal.
enum class Arithmetic : uint8_t { kAdd, kSubtract, kMultiply, kDivide };

// out = a (op) b. Any dtypes, equal shapes (kOpShape). Division by 0 gives infinity or NaN.
void Calculate(Arithmetic op, const Plane& a, const Plane& b, const Plane& out);
// out = a (op) value.
void Calculate(Arithmetic op, const Plane& a, double value, const Plane& out);

// out(dtype of in) = in held within low..high: numpy.clip; NaN stays. low <= high
// (kInvalidArgument). Limits beyond an integer dtype's are its own, fractions round half to even.
void Clip(const Plane& in, double low, double high, const Plane& out);

// out = gain * range * (in / range)^gamma, range the greatest value of an integer dtype and 1 for
// floats: skimage.exposure.adjust_gamma, rounded where it truncates 16 bits. Negative pixels give
// NaN unless gamma is whole. gamma >= 0, out of any dtype. 8/16-bit images go through a table.
void Gamma(const Plane& in, double gamma, double gain, const Plane& out);

// out(dtype of in): integers max - in (unsigned) or -1 - in (signed), floats 1 - in:
// skimage.util.invert.
void Invert(const Plane& in, const Plane& out);

// out = low..high of `in` mapped linearly to out_low..out_high, pixels outside held at the ends:
// skimage.exposure.rescale_intensity(in_range=(low, high), out_range=(out_low, out_high)). Where
// high <= low, every pixel becomes out_low. With Range this is min-max normalisation, with two
// Percentiles percentile normalisation (of a contiguous stack: pass it to Percentile as one tall
// plane).
void Stretch(const Plane& in, double low, double high, double out_low, double out_high,
             const Plane& out);

// counts[i] = pixels in the i-th of `bins` equal bins of low..high, the last one closed:
// numpy.histogram(in, bins, (low, high)); pixels outside and NaN are not counted. Edges are
// numpy.linspace in float64, rounded to float32 for a float32 image. low < high, finite;
// 1 <= bins <= 1e6 (kInvalidArgument). `counts` is resized.
void Histogram(const Plane& in, int64_t bins, double low, double high,
               std::vector<uint64_t>& counts);

// out(float32) = the share of pixels at or below each, linear between the centres of 256 bins for
// floats: skimage.exposure.equalize_hist(image, nbins=256). 8/16-bit integers by value; 32-bit ones
// kOpDtype; NaN or infinities kInvalidArgument. A constant float image gives 1.
void Equalize(const Plane& in, const Plane& out);
// The same of a part of an image whose CountLevels (histogram.h) these are.
void EqualizeByLevels(const Plane& in, const std::vector<float>& counts,
                      const std::vector<double>& levels, const Plane& out);

// Contrast-limited adaptive equalisation, OpenCV's cv2.createCLAHE(clip, (tiles_x, tiles_y)): in
// and out both uint8 or both uint16 (kOpDtype). Clip 0 does not limit. 1 <= tiles <= 256 along each
// side and no more than the image has pixels there (kInvalidArgument). Scratch: a table of 256 or
// 65536 entries a tile.
void Clahe(const Plane& in, double clip, int64_t tiles_y, int64_t tiles_x, const Plane& out);

}  // namespace tilecast
