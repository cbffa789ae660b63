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
  int64_t area;                   // px
  double centroid_y, centroid_x;  // px, mean of pixel centres
  int32_t y0, x0, y1, x1;         // half-open bounding box, px
  // regionprops.perimeter = skimage.measure.perimeter(mask, 4) of the object alone, px (Benkrid and
  // Crookes): its border pixels (those with a 4-neighbour outside) weigh 1, sqrt 2 or (1 + sqrt 2)
  // / 2 by how many 4- and diagonal neighbours are border pixels too. Isolated pixels and line ends
  // weigh nothing: a single pixel, or two, have perimeter 0. NaN when not asked for.
  double perimeter;
  // regionprops.eccentricity = sqrt(1 - l2 / l1), l1 >= l2 the eigenvalues of the covariance of the
  // pixel centres, without the 1/12 that pixels of unit size would add: 0 for one pixel and for a
  // square, 1 for any straight line. NaN when not asked for.
  double eccentricity;
  // regionprops.axis_major_length and axis_minor_length = 4 sqrt(l1), 4 sqrt(l2), px; orientation:
  // angle of the major axis to the rows' direction (downwards), -pi / 2..pi / 2, and of an object
  // as wide as high -pi / 4, or pi / 4 where it leans to the lower right. With eccentricity.
  double major_axis, minor_axis, orientation;
  // regionprops.solidity: area / ConvexArea (hull.h). NaN when not asked for.
  double solidity;
};

// Intensity of one object on one image. Integer images: integrated, min and max are exact (sums in
// int64); float images sum in float64.
struct IntensityRow {
  double integrated, mean, min, max;
  // What whoever measures more of the object on this image has put beside (exec/worker_measure.cc);
  // nullptr after MeasureIntensity.
  const double* more = nullptr;
};

struct ShapeFeatures {
  bool perimeter = false;     // costs a pass over each object's box
  bool eccentricity = false;  // with the axes and the orientation
  bool solidity = false;      // costs its convex hull
};

// What rows are computed from, wherever it was summed.

__extension__ using Int128 = __int128;

// Raw moments about the image's origin, exact.
struct Moments {
  int64_t y = 0, x = 0;  // sums of coordinates
  Int128 yy = 0, xx = 0, xy = 0;
};
// Eccentricity, axes and orientation of `row`, whose area is set.
void SetEllipse(const Moments& m, ShapeRow& row);
// Of the border pixels that weigh 1, sqrt 2 and (1 + sqrt 2) / 2.
double PerimeterOf(const int64_t* counts);

// One row per object, in label order; `rows` is resized to objects.count. Labels that own no pixel
// get area 0, an empty box at the origin, NaN centroid, and 0 for the features asked for. Moments
// are exact integers until the last step.
void MeasureShapes(const Objects& objects, const ShapeFeatures& features,
                   std::vector<ShapeRow>& rows);
// `image` has the objects' shape (kOpShape otherwise); any dtype. Labels that own no pixel get
// integrated 0 and NaN. An object with a NaN pixel gets NaN throughout. float32 images are summed
// in float64 (numpy's mean of float32 is less precise).
void MeasureIntensity(const Objects& objects, const Plane& image, std::vector<IntensityRow>& rows);

}  // namespace tilecast
