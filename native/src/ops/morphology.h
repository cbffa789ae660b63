// SPDX-License-Identifier: MIT
// Grey and binary morphology with flat rectangles and disks, and the filling of holes.
#pragma once

#include "image.h"

namespace tilecast {

// A flat footprint. A disk of radius r is the digital disk dx^2 + dy^2 <= r^2 in the square of
// 2 r + 1 px (skimage.morphology.disk(r)). A rectangle of even size reaches one pixel further to
// the top and left when it erodes, to the bottom and right when it dilates
// (scipy.ndimage.grey_erosion and grey_dilation with `size`), so that opening and closing stay in
// place.
struct Footprint {
  enum class Shape : uint8_t { kRectangle, kDisk } shape = Shape::kRectangle;
  int64_t height = 1, width = 1;  // px; 2 radius + 1 for a disk

  static Footprint Rectangle(int64_t height, int64_t width) {
    return {Shape::kRectangle, height, width};
  }
  static Footprint Disk(int64_t radius) { return {Shape::kDisk, 2 * radius + 1, 2 * radius + 1}; }
};

enum class Morphology : uint8_t {
  kErode,        // least pixel under the footprint
  kDilate,       // greatest pixel under the mirrored footprint
  kOpen,         // dilation of the erosion
  kClose,        // erosion of the dilation
  kWhiteTopHat,  // in - open(in)
  kBlackTopHat,  // close(in) - in
};

// out(dtype of in) = op(in), as skimage.morphology.erosion, dilation, opening, closing,
// white_tophat and black_tophat (0.26) define them: pixels outside the image do not take part,
// which for these footprints is also what scipy's mode "reflect" gives.
//
// On a mask of 0 and 1 these are the binary operations (skimage's isotropic or footprint forms with
// mode "ignore"; scipy.ndimage.binary_erosion differs at the edge, where its outside is 0).
//
// in: any dtype but float64 (kOpDtype: convert first); out: the same dtype and shape; they must not
// overlap. Footprint sides: 1 px and above, a disk's radius 255 px at most (kInvalidArgument).
// Exact and equal on every CPU. float32 orders as numpy.sort does: NaN above infinity, so that a
// dilation spreads it and an erosion keeps it only where a window holds nothing else (every NaN
// comes out as the quiet one); -0 is below +0. The top-hats subtract in the dtype (signed integers
// wrap).
//
// Rectangles cost the same whatever their size (van Herk, Pattern Recognition Letters 13(7), 1992,
// down the columns, doubling along the rows); a disk costs one comparison a pixel for each of its
// rows and each chord length (Urbach and Wilkinson, IEEE TIP 17(1), 2008). Halo for block-wise use:
// half a footprint, twice that from kOpen on. Scratch is kept per thread: one plane for kOpen and
// after, one or two planes of int32 for other dtypes than uint8, uint16 and int32.
void Morph(Morphology op, const Footprint& footprint, const Plane& in, const Plane& out);

// out(uint8) = 1 where mask(uint8) is not 0, or where no 4-connected path of zeros leads to the
// edge of the image (scipy.ndimage.binary_fill_holes with its default structure). out may be the
// mask's own memory.
void FillHoles(const Plane& mask, const Plane& out);

}  // namespace tilecast
