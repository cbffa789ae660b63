// SPDX-License-Identifier: MIT
// Puts images side by side onto a canvas, one after another.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast {

// Images of one size on a canvas. Positions are those of their first pixels' centres on the canvas,
// px; a canvas pixel is covered by an image where its centre lies between centres of the image's
// pixels.
struct MosaicPlan {
  int64_t height = 0, width = 0;              // of the canvas
  int64_t image_height = 0, image_width = 0;  // of every image
  std::vector<double> y, x;
};

// kLinear: the mean of the images there, each weighted by its distance to its own edges (the
// product of those along rows and columns, counted from 1), so that one fades into the other over
// the whole overlap. kNone: the one with the greatest weight, the first of several as great. kMax:
// the greatest value.
enum class Blend : uint8_t { kLinear, kNone, kMax };

// What a pixel between four of an image's is: kNearest moves images by whole pixels (their
// positions rounded half away from zero), so that pixels stay what they were; kLinear interpolates.
enum class Placing : uint8_t { kNearest, kLinear };

// dtype of the canvas while images are put onto it: of kLinear float32, or float64 for 32-bit
// integers and float64; else that of the images. Weights are float32, or float64 there.
DType CanvasDType(DType image, Blend blend);

// Puts image `index` of the plan onto the canvas, or onto a part of it: `canvas` is the region at
// (top, left) of the plan's canvas, which was zero before the first image. Every image is put on
// exactly once, in any order; for kLinear the pixels then are the blended values, to be rounded to
// the images' dtype (Rescale), and where one image alone lies its own, exactly.
//
// kOpShape when an image is not of the plan's size, kOpDtype when the canvas has not CanvasDType.
void PlaceImage(const MosaicPlan& plan, size_t index, const Plane& image, Blend blend,
                Placing placing, int64_t top, int64_t left, const Plane& canvas);

}  // namespace tilecast
