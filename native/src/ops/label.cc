// SPDX-License-Identifier: MIT
// Run-based connected components: rows become bit masks, masks become runs, runs are united with
// those of the row above.
#include "ops/label.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/resample.h"
#include "ops/run_ranges.h"

namespace tilecast {

namespace {

// While labelling, Run::label is the parent in the union-find forest: the index of a run that comes
// earlier, or of itself. The root of a tree is its smallest index, that is, the run that holds the
// object's first pixel in raster order.
int32_t Root(const std::vector<Run>& runs, int32_t i) {
  while (runs[static_cast<size_t>(i)].label != i) i = runs[static_cast<size_t>(i)].label;
  return i;
}

void Unite(std::vector<Run>& runs, int32_t a, int32_t b) {
  const int32_t root_a = Root(runs, a), root_b = Root(runs, b);
  const int32_t root = std::min(root_a, root_b);
  // Compress both paths, so that chains stay short whatever the shape.
  for (int32_t i : {a, b}) {
    while (runs[static_cast<size_t>(i)].label != root) {
      const int32_t next = runs[static_cast<size_t>(i)].label;
      runs[static_cast<size_t>(i)].label = root;
      i = next;
    }
  }
}

// Unites run i with those of the row above, [above, above_end), that it touches; gives the first of
// them that the next run may touch. 8-connected: a run above touches when it reaches x0 - 1 and
// starts at x1 or before.
int32_t UniteAbove(std::vector<Run>& runs, int32_t above, int32_t above_end, int32_t i) {
  const int32_t x0 = runs[static_cast<size_t>(i)].x0, x1 = runs[static_cast<size_t>(i)].x1;
  while (above < above_end && runs[static_cast<size_t>(above)].x1 < x0) ++above;
  for (int32_t k = above; k < above_end && runs[static_cast<size_t>(k)].x0 <= x1; ++k)
    Unite(runs, k, i);
  return above;
}

// Labels of roots: 0 for objects to drop, 1.. for those to keep.
void NumberRoots(const LabelOptions& options, Objects& objects) {
  auto& runs = objects.runs;
  const size_t n = runs.size();
  const bool filter = options.min_area > 1 || options.max_area != INT64_MAX || options.clear_border;
  if (!filter) {
    int32_t next = 0;
    for (size_t i = 0; i < n; ++i) {
      // Parents come first, and their labels are final (and 1-based) by the time they are read.
      const int32_t parent = runs[i].label;
      runs[i].label =
          parent == static_cast<int32_t>(i) ? ++next : runs[static_cast<size_t>(parent)].label;
    }
    objects.count = next;
    return;
  }

  // Provisional numbers first, in raster order; then the properties of each; then the gaps are
  // closed.
  thread_local std::vector<int64_t> area;  // -1: touches the edge
  area.clear();
  int32_t provisional = 0;
  for (size_t i = 0; i < n; ++i) {
    Run& run = runs[i];
    const int32_t parent = run.label;
    if (parent == static_cast<int32_t>(i)) {
      run.label = provisional++;
      area.push_back(0);
    } else {
      run.label = runs[static_cast<size_t>(parent)].label;
    }
    int64_t& object = area[static_cast<size_t>(run.label)];
    const bool at_edge =
        run.y == 0 || run.y == objects.height - 1 || run.x0 == 0 || run.x1 == objects.width;
    if (options.clear_border && (at_edge || object < 0)) {
      object = -1;
    } else {
      object += run.x1 - run.x0;
    }
  }
  thread_local std::vector<int32_t> label;
  label.assign(static_cast<size_t>(provisional), 0);
  int32_t next = 0;
  for (size_t i = 0; i < label.size(); ++i) {
    if (area[i] >= 0 && area[i] >= options.min_area && area[i] <= options.max_area)
      label[i] = ++next;
  }
  objects.count = next;

  size_t kept = 0;
  size_t read = 0;
  for (int64_t y = 0; y < objects.height; ++y) {
    const auto end = static_cast<size_t>(objects.run_of_row[static_cast<size_t>(y) + 1]);
    objects.run_of_row[static_cast<size_t>(y)] = static_cast<int32_t>(kept);
    for (; read < end; ++read) {
      Run run = runs[read];
      run.label = label[static_cast<size_t>(run.label)];
      if (run.label != 0) runs[kept++] = run;
    }
  }
  objects.run_of_row[static_cast<size_t>(objects.height)] = static_cast<int32_t>(kept);
  runs.resize(kept);
}

}  // namespace

void RequireRunnable(int64_t height, int64_t width) {
  if (height < std::numeric_limits<int32_t>::max() && width < std::numeric_limits<int32_t>::max())
    return;
  throw Error(Code::kOpShape, "label: an image side must be below 2147483647 px, got [" +
                                  std::to_string(height) + ", " + std::to_string(width) + "]");
}

void NumberRuns(const LabelOptions& options, Objects& objects) {
  auto& runs = objects.runs;
  int32_t above = 0, above_end = 0;  // the runs of the row above
  for (int64_t y = 0; y < objects.height; ++y) {
    const int32_t first = objects.run_of_row[static_cast<size_t>(y)];
    const int32_t end = objects.run_of_row[static_cast<size_t>(y) + 1];
    for (int32_t i = first; i < end; ++i) {
      Run& run = runs[static_cast<size_t>(i)];
      run.label = i;
      above = UniteAbove(runs, above, above_end, i);
    }
    above = first;
    above_end = end;
  }
  NumberRoots(options, objects);
}

void LabelRuns(const Plane& in, double value, const LabelOptions& options, Objects& objects) {
  RequireRunnable(in.height, in.width);
  auto& runs = objects.runs;
  runs.clear();
  objects.height = in.height;
  objects.width = in.width;
  objects.count = 0;
  objects.run_of_row.assign(static_cast<size_t>(in.height) + 1, 0);

  thread_local std::vector<uint64_t> bits;
  bits.resize(static_cast<size_t>(in.width + 63) / 64);
  const auto threshold = Kernels().threshold_bits[static_cast<int>(in.dtype)];
  int32_t above = 0, above_end = 0;  // the runs of the row above
  for (int64_t y = 0; y < in.height; ++y) {
    const auto first = static_cast<int32_t>(runs.size());
    objects.run_of_row[static_cast<size_t>(y)] = first;
    threshold(in.row<std::byte>(y), value, bits.data(), in.width);
    ForRanges(bits.data(), in.width, [&](int64_t x0, int64_t x1) {
      const auto i = static_cast<int32_t>(runs.size());
      runs.push_back(
          {static_cast<int32_t>(y), static_cast<int32_t>(x0), static_cast<int32_t>(x1), i});
      above = UniteAbove(runs, above, above_end, i);
    });
    if (runs.size() >=
        static_cast<size_t>(std::numeric_limits<int32_t>::max()) - static_cast<size_t>(in.width)) {
      throw Error(Code::kOpShape,
                  "label: the image has more than 2147483647 runs; label it in parts");
    }
    above = first;
    above_end = static_cast<int32_t>(runs.size());
  }
  objects.run_of_row[static_cast<size_t>(in.height)] = static_cast<int32_t>(runs.size());
  NumberRoots(options, objects);
}

void PaintLabelRow(const Objects& objects, int64_t y, int32_t* out) {
  int64_t x = 0;
  const auto zero = [&](int64_t end) {
    if (end > x) std::memset(out + x, 0, static_cast<size_t>(end - x) * sizeof(int32_t));
  };
  for (int32_t i = objects.run_of_row[static_cast<size_t>(y)];
       i < objects.run_of_row[static_cast<size_t>(y) + 1]; ++i) {
    const Run& run = objects.runs[static_cast<size_t>(i)];
    zero(run.x0);
    std::fill(out + run.x0, out + run.x1, run.label);
    x = run.x1;
  }
  zero(objects.width);
}

void PaintLabels(const Objects& objects, const Plane& out) {
  RequireDType("paintLabels", "the result", out, DType::kI32);
  RequireShape("paintLabels", "the result", out, objects.height, objects.width);
  for (int64_t y = 0; y < out.height; ++y) PaintLabelRow(objects, y, out.row<int32_t>(y));
}

void HalveObjects(const Objects& objects, Objects& half) {
  half.runs.clear();
  half.height = HalfSize(objects.height);
  half.width = HalfSize(objects.width);
  half.count = objects.count;
  half.run_of_row.assign(static_cast<size_t>(half.height) + 1, 0);
  for (int64_t y = 0; y < half.height; ++y) {
    half.run_of_row[static_cast<size_t>(y)] = static_cast<int32_t>(half.runs.size());
    const auto row = static_cast<size_t>(2 * y);
    for (int32_t i = objects.run_of_row[row]; i < objects.run_of_row[row + 1]; ++i) {
      const Run& run = objects.runs[static_cast<size_t>(i)];
      const int32_t x0 = run.x0 / 2 + run.x0 % 2, x1 = run.x1 / 2 + run.x1 % 2;
      if (x0 < x1) half.runs.push_back({static_cast<int32_t>(y), x0, x1, run.label});
    }
  }
  half.run_of_row[static_cast<size_t>(half.height)] = static_cast<int32_t>(half.runs.size());
}

void RunsFromLabels(const Plane& labels, Objects& objects) {
  RequireDType("runsFromLabels", "the label plane", labels, DType::kI32);
  RequireRunnable(labels.height, labels.width);
  auto& runs = objects.runs;
  runs.clear();
  objects.height = labels.height;
  objects.width = labels.width;
  objects.count = 0;
  objects.run_of_row.assign(static_cast<size_t>(labels.height) + 1, 0);
  thread_local std::vector<uint64_t> bits;
  bits.resize(static_cast<size_t>(labels.width + 63) / 64);
  const KernelTable& kernels = Kernels();
  for (int64_t y = 0; y < labels.height; ++y) {
    objects.run_of_row[static_cast<size_t>(y)] = static_cast<int32_t>(runs.size());
    const int32_t* row = labels.row<int32_t>(y);
    kernels.change_bits(row, bits.data(), labels.width);
    ForLabelRanges(row, bits.data(), labels.width, [&](int64_t x0, int64_t x1, int32_t label) {
      runs.push_back(
          {static_cast<int32_t>(y), static_cast<int32_t>(x0), static_cast<int32_t>(x1), label});
      objects.count = std::max(objects.count, label);
    });
  }
  objects.run_of_row[static_cast<size_t>(labels.height)] = static_cast<int32_t>(runs.size());
}

}  // namespace tilecast
