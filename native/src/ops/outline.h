// SPDX-License-Identifier: MIT
// Outlines of labelled objects as polygons, traced from runs.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/label.h"

namespace tilecast {

// Closed rings of vertices on the corners of pixels: pixel (y, x) is the square [y, y + 1] x
// [x, x + 1], so a plane of h x w pixels has corners (0, 0) to (h, w). A ring runs along the cracks
// between its object and everything else, clockwise on the screen (y downwards) around an object
// and counter-clockwise around a hole. Its vertices are its turns: consecutive ones differ in one
// coordinate only, alternately x and y, and none lies on a straight line. The first is not
// repeated.
//
// What it encloses is exact: filling an object's rings with the even-odd rule at pixel centres
// gives its pixels, and the signed areas (positive clockwise) sum up to their number. Diagonal
// neighbours are connected, as in LabelRuns: such a ring touches itself at the shared corner, and
// never crosses itself. A label in several parts has a ring a part.
struct Outlines {
  std::vector<int32_t> vertices;  // y, x, y, x, ...
  std::vector<uint32_t> offsets;  // ring r: vertices offsets[r] to offsets[r + 1], counted in pairs
  std::vector<int32_t> labels;    // of each ring
  std::vector<uint8_t> holes;     // 1: around a hole of its label
};

class OutlineTracer {
 public:
  // Replaces `out`: rings by label, those of a label by their first pixel in raster order, an
  // object's outer ring first. Without `holes` only outer rings are given, which then enclose what
  // lies in the holes too. Runs must be maximal, as LabelRuns and RunsFromLabels give them. Time
  // and memory are linear in the runs (and in objects.count).
  void Trace(const Objects& objects, bool holes, Outlines& out);

 private:
  void Link(const Objects& objects, int32_t above, int32_t above_end, int32_t below,
            int32_t below_end);

  std::vector<int32_t> order_;  // indices of runs by label, raster order within
  std::vector<int32_t> first_;  // of each label in order_
  // Each run has two vertical edges: 2 i up along its left side, 2 i + 1 down along its right side.
  // What follows each in its ring, by position in order_.
  std::vector<int32_t> next_;
};

}  // namespace tilecast
