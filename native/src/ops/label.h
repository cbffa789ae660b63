// SPDX-License-Identifier: MIT
// Connected components of a thresholded plane, by runs.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast {

// Pixels x0 <= x < x1 of row y belong to object `label` (1..).
struct Run {
  int32_t y, x0, x1, label;
};

// Runs in raster order; labels numbered 1..count in raster order of each object's first pixel.
// Reused between planes.
struct Objects {
  std::vector<Run> runs;
  std::vector<int32_t> run_of_row;  // runs of row y are [run_of_row[y], run_of_row[y + 1])
  int32_t count = 0;
  int64_t height = 0, width = 0;
};

// Filters look at the components as they were before any was dropped, so their order doesn't
// matter.
struct LabelOptions {
  int64_t min_area = 0;          // px; objects smaller than this are dropped
  int64_t max_area = INT64_MAX;  // px; objects larger than this are dropped
  bool clear_border = false;     // drop objects that touch the image's edge
                                 // (skimage.segmentation.clear_border, buffer_size 0)
};

// 8-connected components of {in > value} (same comparison as Threshold); for a mask pass value 0.
// Run-based two-pass union-find (He, Chao, Suzuki, IEEE TIP 17(5), 2008). Numbering is canonical:
// what skimage.measure.label(mask, connectivity=2) gives. After filtering, labels are renumbered
// without gaps in raster order. `objects` keeps its capacity. Cost: one vectorised pass over the
// image, then by runs.
void LabelRuns(const Plane& in, double value, const LabelOptions& options, Objects& objects);

// The same from a mask's runs: rows in order, the runs of a row from left to right and apart; their
// labels are given here.
void NumberRuns(const LabelOptions& options, Objects& objects);

// kOpShape for images whose coordinates a run cannot hold.
void RequireRunnable(int64_t height, int64_t width);

// Paints the objects into out(int32): label or 0 (every pixel is written).
void PaintLabels(const Objects& objects, const Plane& out);

// The objects of every second pixel of every second row, with their labels: what PaintLabels of the
// result paints is HalveStride of what it paints of `objects`.
void HalveObjects(const Objects& objects, Objects& half);

// Labels of one row, 0 where there is none; `out` has the objects' width.
void PaintLabelRow(const Objects& objects, int64_t y, int32_t* out);

// Rebuilds the runs from any int32 label plane: labels kept as they are (they may have gaps, touch,
// or be in parts), count = the greatest label, 0 and negative values are background. Memory of the
// measurements grows with count, not with the number of labels present.
void RunsFromLabels(const Plane& labels, Objects& objects);

}  // namespace tilecast
