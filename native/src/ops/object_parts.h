// SPDX-License-Identifier: MIT
// Objects of an image that is seen part by part: what LabelRuns, RunsFromLabels, FillHoles and
// FilterLabels find in the image at once, and the painting of parts. Only runs are kept, never a
// plane.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "image.h"
#include "ops/label.h"

namespace tilecast {

class ObjectParts {
 public:
  // `most_bytes`: what the runs may take; beyond, an Add throws kPoolMemory.
  ObjectParts(int64_t height, int64_t width, uint64_t most_bytes);

  // A part whose first pixel is (y, x) of the image. From any thread; but parts of the same row
  // come one after the other, from left to right.
  void AddMask(const Plane& part, double value, int64_t y, int64_t x);  // {part > value}
  void AddLabels(const Plane& part, int64_t y, int64_t x);              // int32; 0 and below: none

  // Of the parts of a mask: its 8-connected components, as LabelRuns numbers and filters them.
  void Label(const LabelOptions& options, Objects& objects);
  // Of the parts of labels, as RunsFromLabels; or of a mask, all of it as label 1.
  void Take(Objects& objects);

 private:
  void Append(std::vector<Run>& row, int64_t y, int64_t x0, int64_t x1, int32_t label);
  void Account(uint64_t runs);

  const int64_t height_, width_;
  const uint64_t most_bytes_;
  std::atomic<uint64_t> bytes_{0};
  std::vector<std::vector<Run>> rows_;
};

// Those that the options keep, with their numbers.
void FilterObjects(const Objects& labels, const LabelOptions& options, Objects& out);

// `mask` (of one label) and its holes, as label 1.
void FillObjects(const Objects& mask, Objects& out);

// Paints the part of the objects' image whose first pixel is (y, x) into out: int32 labels, or
// uint8 1 where there is an object.
void PaintObjects(const Objects& objects, int64_t y, int64_t x, const Plane& out);

// Calls f(run, x0, x1) for the runs of row y that reach into columns left <= x < right, with what
// is inside.
template <class F>
void ForRunsIn(const Objects& objects, int64_t y, int64_t left, int64_t right, F f) {
  const Run* const end = objects.runs.data() + objects.run_of_row[static_cast<size_t>(y) + 1];
  const Run* low = objects.runs.data() + objects.run_of_row[static_cast<size_t>(y)];
  for (int64_t n = end - low; n > 0;) {  // the first run that ends behind `left`
    const int64_t half = n / 2;
    if (low[half].x1 <= left) {
      low += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  for (; low != end && low->x0 < right; ++low) {
    f(*low, low->x0 > left ? static_cast<int64_t>(low->x0) : left,
      low->x1 < right ? static_cast<int64_t>(low->x1) : right);
  }
}

}  // namespace tilecast
