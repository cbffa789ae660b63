// SPDX-License-Identifier: MIT
// Runs by rows: each part appends its own, joined with the one before where the parts meet.
#include "ops/object_parts.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "error.h"
#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/run_ranges.h"

namespace tilecast {

ObjectParts::ObjectParts(int64_t height, int64_t width, uint64_t most_bytes)
    : height_(height), width_(width), most_bytes_(most_bytes) {
  RequireRunnable(height, width);
  rows_.resize(static_cast<size_t>(height));
}

void ObjectParts::Append(std::vector<Run>& row, int64_t y, int64_t x0, int64_t x1, int32_t label) {
  if (!row.empty() && row.back().x1 == x0 && row.back().label == label) {
    row.back().x1 = static_cast<int32_t>(x1);
  } else {
    row.push_back(
        {static_cast<int32_t>(y), static_cast<int32_t>(x0), static_cast<int32_t>(x1), label});
  }
}

// Runs are gathered once more while they are put together.
constexpr uint64_t kRunBytes = 2 * sizeof(Run);

void ObjectParts::AddMask(const Plane& part, double value, int64_t y, int64_t x) {
  thread_local std::vector<uint64_t> bits;
  bits.resize(static_cast<size_t>(part.width + 63) / 64);
  const auto threshold = Kernels().threshold_bits[static_cast<int>(part.dtype)];
  uint64_t added = 0;
  for (int64_t i = 0; i < part.height; ++i) {
    std::vector<Run>& row = rows_[static_cast<size_t>(y + i)];
    const size_t before = row.size();
    threshold(part.row<std::byte>(i), value, bits.data(), part.width);
    ForRanges(bits.data(), part.width,
              [&](int64_t x0, int64_t x1) { Append(row, y + i, x + x0, x + x1, 1); });
    added += row.size() - before;
  }
  Account(added);
}

void ObjectParts::AddLabels(const Plane& part, int64_t y, int64_t x) {
  RequireDType("labels", "the label plane", part, DType::kI32);
  thread_local std::vector<uint64_t> bits;
  bits.resize(static_cast<size_t>(part.width + 63) / 64);
  const KernelTable& kernels = Kernels();
  uint64_t added = 0;
  for (int64_t i = 0; i < part.height; ++i) {
    std::vector<Run>& row = rows_[static_cast<size_t>(y + i)];
    const size_t before = row.size();
    const int32_t* const labels = part.row<int32_t>(i);
    kernels.change_bits(labels, bits.data(), part.width);
    ForLabelRanges(labels, bits.data(), part.width, [&](int64_t x0, int64_t x1, int32_t label) {
      Append(row, y + i, x + x0, x + x1, label);
    });
    added += row.size() - before;
  }
  Account(added);
}

void ObjectParts::Account(uint64_t runs) {
  const uint64_t bytes = (bytes_ += runs * kRunBytes);
  if (bytes <= most_bytes_) return;
  throw Error(
      Code::kPoolMemory,
      "the objects of this image of " + std::to_string(width_) + " x " + std::to_string(height_) +
          " px take more than the " + std::to_string(most_bytes_ >> 20) +
          " MiB that are left for them; smooth the image before it is thresholded, or allow "
          "more memory");
}

void ObjectParts::Take(Objects& objects) {
  size_t count = 0;
  for (const auto& row : rows_) count += row.size();
  if (count > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw Error(Code::kOpShape, "label: the image has more than 2147483647 runs");
  }
  objects.height = height_;
  objects.width = width_;
  objects.count = 0;
  objects.runs.clear();
  objects.runs.shrink_to_fit();
  objects.runs.reserve(count);
  objects.run_of_row.assign(1, 0);
  for (auto& row : rows_) {
    for (const Run& run : row) objects.count = std::max(objects.count, run.label);
    objects.runs.insert(objects.runs.end(), row.begin(), row.end());
    objects.run_of_row.push_back(static_cast<int32_t>(objects.runs.size()));
    std::vector<Run>().swap(row);
  }
}

void ObjectParts::Label(const LabelOptions& options, Objects& objects) {
  Take(objects);
  NumberRuns(options, objects);
}

void FilterObjects(const Objects& labels, const LabelOptions& options, Objects& out) {
  std::vector<int64_t> area(static_cast<size_t>(labels.count) + 1);  // negative: at the edge
  for (const Run& run : labels.runs) {
    int64_t& a = area[static_cast<size_t>(run.label)];
    const bool edge =
        run.y == 0 || run.y == labels.height - 1 || run.x0 == 0 || run.x1 == labels.width;
    a = a < 0 || (edge && options.clear_border) ? -1 : a + run.x1 - run.x0;
  }
  out.height = labels.height;
  out.width = labels.width;
  out.count = 0;
  out.runs.clear();
  out.run_of_row.assign(1, 0);
  for (int64_t y = 0; y < labels.height; ++y) {
    for (int32_t i = labels.run_of_row[static_cast<size_t>(y)];
         i < labels.run_of_row[static_cast<size_t>(y) + 1]; ++i) {
      const Run& run = labels.runs[static_cast<size_t>(i)];
      const int64_t a = area[static_cast<size_t>(run.label)];
      if (a < 0 || a < options.min_area || a > options.max_area) continue;
      out.runs.push_back(run);
      out.count = std::max(out.count, run.label);
    }
    out.run_of_row.push_back(static_cast<int32_t>(out.runs.size()));
  }
}

void PaintObjects(const Objects& objects, int64_t y, int64_t x, const Plane& out) {
  for (int64_t i = 0; i < out.height && out.width > 0; ++i) {
    std::memset(out.row<std::byte>(i), 0, static_cast<size_t>(out.row_bytes()));
    ForRunsIn(objects, y + i, x, x + out.width, [&](const Run& run, int64_t x0, int64_t x1) {
      if (out.dtype == DType::kU8) {
        std::memset(out.row<uint8_t>(i) + (x0 - x), 1, static_cast<size_t>(x1 - x0));
      } else {
        std::fill(out.row<int32_t>(i) + (x0 - x), out.row<int32_t>(i) + (x1 - x), run.label);
      }
    });
  }
}

}  // namespace tilecast
