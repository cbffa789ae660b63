// SPDX-License-Identifier: MIT
// Euclidean distances, peaks, and what splits, grows and drops labelled objects by them.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"
#include "ops/label.h"

namespace tilecast {

// out(float32) = distance in px from each pixel of mask(uint8) that is not 0 to the nearest that
// is: scipy.ndimage.distance_transform_edt, the root of an exact integer, rounded once. A mask
// without a 0 is infinitely far everywhere. Columns, then the lower envelope of parabolas along
// each run (Meijster, Roerdink, Hesselink, 2000): cost follows the foreground. Sides below 32768
// px (kOpShape). Scratch: one plane of int32 a thread.
void DistanceTransform(const Plane& mask, const Plane& out);

struct Peak {
  int32_t y, x;
  double value;
};

// Pixels above `threshold` that are greatest in the square of 2 distance + 1 px around them, the
// brightest first (raster order among equals), without any that is less than `distance` px (along
// the longer axis) from one before it: skimage.feature.peak_local_max(in, min_distance,
// threshold_abs, exclude_border=border). Every pixel of a plateau is a peak when distance is 1; a
// constant image has none. in: any dtype but float64 (kOpDtype); distance >= 1, border >= 0
// (kInvalidArgument). Scratch: one plane a thread.
void FindPeaks(const Plane& in, int64_t distance, double threshold, int64_t border,
               std::vector<Peak>& peaks);

// labels(int32) holds markers, 0 elsewhere; they grow over the pixels where mask(uint8) is not 0,
// from the least value of `in` (float32) up, along 4-neighbours (8 with `diagonal`): each pixel
// takes the label of the neighbour that reaches it first, in the order of values, then of arrival;
// markers begin in raster order. skimage.segmentation.watershed(in, markers, connectivity, mask),
// which leaves the order of markers of equal value open; no lines between basins. Markers outside
// the mask are dropped. mask may be null: everywhere. NaN comes last.
void Watershed(const Plane& in, const Plane* mask, bool diagonal, const Plane& labels);

// Splits touching objects of a mask(uint8): watershed of the negated DistanceTransform,
// 8-connected, from the peaks of the distance (FindPeaks with `distance`, threshold 0, plateaus of
// 8-connected peaks as one). An object whose peaks all gave way to a neighbour's gets its greatest
// pixel, so none is lost. out(int32): numbered in raster order of first pixels. distance >= 1 px.
// Returns the number of objects.
int32_t SplitObjects(const Plane& mask, int64_t distance, const Plane& out);

// out(int32) = labels(int32), and on pixels of 0 that are within `distance` px the label of the
// nearest labelled pixel, the least label where several are as near:
// skimage.segmentation.expand_labels, which leaves ties open. 0 <= distance <= 4096
// (kInvalidArgument). They must not overlap. Cost grows with distance. Scratch: two planes a
// thread.
void ExpandLabels(const Plane& labels, double distance, const Plane& out);

// out(int32) = labels(int32) without those that the options drop, numbers kept:
// skimage.morphology.remove_small_objects and skimage.segmentation.clear_border. out may be
// `labels`. Negative labels are background.
void FilterLabels(const Plane& labels, const LabelOptions& options, const Plane& out);

}  // namespace tilecast
