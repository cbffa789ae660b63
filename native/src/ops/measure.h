// SPDX-License-Identifier: MIT
// Measurements of labelled objects, computed from runs: cost follows the objects, not the image.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"
#include "ops/label.h"

namespace tilecast {

// Shape of one object; skimage.measure.regionprops definitions (0.26).
struct ShapeRow {
  int32_t label;
  int64_t area;                     // px
  double centroid_y, centroid_x;    // px, mean of pixel centres
  int32_t y0, x0, y1, x1;           // half-open bounding box, px
  double perimeter;                 // skimage.measure.perimeter(neighborhood=4) of the object's own mask
  double eccentricity;              // of the ellipse with the same second moments (regionprops: with the 1/12 pixel variance term? see .cc)
};

// Intensity of one object on one image. Integer images: integrated, min and max are exact (sums in int64); float images sum in float64.
struct IntensityRow {
  double integrated, mean, min, max;
};

struct ShapeFeatures {
  bool perimeter = false;     // costs a pass over each object's box
  bool eccentricity = false;
};

// One row per object, in label order; `rows` is resized to objects.count. Labels that own no pixel get area 0 and NaN centroid.
void MeasureShapes(const Objects& objects, const ShapeFeatures& features, std::vector<ShapeRow>& rows);
// `image` has the objects' shape (kOpShape otherwise); any dtype.
void MeasureIntensity(const Objects& objects, const Plane& image, std::vector<IntensityRow>& rows);

}  // namespace tilecast
