// SPDX-License-Identifier: MIT
// Object measurements from runs: sums in closed form per run, perimeters on bit masks of each
// object's box.
#include "ops/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "ops/check.h"
#include "ops/hull.h"
#include "ops/kernels/kernels.h"
#include "ops/object_runs.h"

namespace tilecast {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Sum of the integers, and of their squares, below n.
constexpr int64_t SumBelow(int64_t n) {
  return n * (n - 1) / 2;
}
constexpr Int128 SquaresBelow(int64_t n) {
  return static_cast<Int128>(n * (n - 1) / 2) * (2 * n - 1) / 3;
}

void SetBits(uint64_t* row, int64_t x0, int64_t x1) {
  for (int64_t word = x0 / 64; word <= (x1 - 1) / 64; ++word) {
    const int64_t from = std::max<int64_t>(x0 - 64 * word, 0),
                  to = std::min<int64_t>(x1 - 64 * word, 64);
    row[word] |= (~uint64_t{0} >> (64 - (to - from))) << from;
  }
}

// skimage.measure.perimeter(mask, neighborhood=4) (Benkrid and Crookes, "Design and FPGA
// Implementation of a Perimeter Estimator"): border pixels are those with a 4-neighbour outside the
// object; each weighs 1, sqrt 2 or (1 + sqrt 2) / 2 by how many border pixels it has among its
// 4-neighbours and its diagonal ones, or nothing (isolated pixels, line ends).
class PerimeterMeter {
 public:
  double Measure(const Objects& objects, std::span<const int32_t> runs, const ShapeRow& box,
                 const KernelTable& kernels) {
    const int64_t height = box.y1 - box.y0, words = (box.x1 - box.x0 + 63) / 64;
    const int64_t stride =
        words + 2;  // an empty word on either side, and an empty row above and below
    mask_.assign(static_cast<size_t>((height + 2) * stride), 0);
    border_.assign(mask_.size(), 0);
    auto row = [&](std::vector<uint64_t>& image, int64_t y) {
      return image.data() + (y + 1) * stride + 1;
    };
    for (const int32_t i : runs) {
      const Run& run = objects.runs[static_cast<size_t>(i)];
      SetBits(row(mask_, run.y - box.y0), run.x0 - box.x0, run.x1 - box.x0);
    }
    for (int64_t y = 0; y < height; ++y) {
      const uint64_t *above = row(mask_, y - 1), *here = row(mask_, y), *below = row(mask_, y + 1);
      uint64_t* border = row(border_, y);
      for (int64_t i = 0; i < words; ++i) {
        const uint64_t left = here[i] << 1 | here[i - 1] >> 63,
                       right = here[i] >> 1 | here[i + 1] << 63;
        border[i] = here[i] & ~(above[i] & below[i] & left & right);
      }
    }
    int64_t counts[3] = {0, 0, 0};
    for (int64_t y = 0; y < height; ++y) {
      kernels.perimeter_row(row(border_, y - 1), row(border_, y), row(border_, y + 1), words,
                            counts);
    }
    return PerimeterOf(counts);
  }

 private:
  std::vector<uint64_t> mask_, border_;
};

}  // namespace

// regionprops' ellipse of the same second moments: the eigenvalues l1 >= l2 of the covariance of
// the pixel centres (no variance of the pixel itself: one pixel gives 0, any straight line an
// eccentricity of 1). The central moments are differences of exact integers, so that nothing
// cancels, and 1 - l2 / l1 is evaluated as (l1 - l2) / l1.
void SetEllipse(const Moments& m, ShapeRow& row) {
  constexpr double kPi = 3.14159265358979323846;
  const auto n = static_cast<Int128>(row.area);
  const auto scale = static_cast<double>(row.area) * static_cast<double>(row.area);
  const double yy = static_cast<double>(n * m.yy - static_cast<Int128>(m.y) * m.y) / scale;
  const double xx = static_cast<double>(n * m.xx - static_cast<Int128>(m.x) * m.x) / scale;
  const double xy = static_cast<double>(n * m.xy - static_cast<Int128>(m.y) * m.x) / scale;
  const double spread = std::hypot(yy - xx, 2 * xy);  // l1 - l2
  const double major = (yy + xx + spread) / 2;
  row.eccentricity = major == 0 ? 0 : std::sqrt(std::min(spread / major, 1.0));
  row.major_axis = 4 * std::sqrt(major);
  row.minor_axis = 4 * std::sqrt(std::max(0.0, (yy + xx - spread) / 2));
  if (yy == xx) {
    row.orientation = xy > 0 ? kPi / 4 : -kPi / 4;
  } else {
    row.orientation = 0.5 * std::atan2(2 * xy, yy - xx);
  }
}

double PerimeterOf(const int64_t* counts) {
  const double root = std::sqrt(2.0);
  return static_cast<double>(counts[0]) + static_cast<double>(counts[1]) * root +
         static_cast<double>(counts[2]) * ((1 + root) / 2);
}

void MeasureShapes(const Objects& objects, const ShapeFeatures& features,
                   std::vector<ShapeRow>& rows) {
  const auto count = static_cast<size_t>(objects.count);
  constexpr int32_t kFar = std::numeric_limits<int32_t>::max();
  ShapeRow none{0, 0, kNan, kNan, kFar, kFar, 0, 0};
  none.perimeter = features.perimeter ? 0 : kNan;
  none.eccentricity = none.major_axis = none.minor_axis = none.orientation =
      features.eccentricity ? 0 : kNan;
  none.solidity = features.solidity ? 0 : kNan;
  rows.assign(count, none);
  thread_local std::vector<Moments> moments;
  moments.assign(count, Moments{});
  for (const Run& run : objects.runs) {
    const size_t object = static_cast<size_t>(run.label) - 1;
    ShapeRow& row = rows[object];
    Moments& m = moments[object];
    const int64_t n = run.x1 - run.x0, y = run.y;
    const int64_t sum_x = SumBelow(run.x1) - SumBelow(run.x0);
    row.area += n;
    row.y0 = std::min(row.y0, run.y);
    row.y1 = std::max(row.y1, run.y + 1);
    row.x0 = std::min(row.x0, run.x0);
    row.x1 = std::max(row.x1, run.x1);
    m.y += n * y;
    m.x += sum_x;
    if (features.eccentricity) {
      m.yy += static_cast<Int128>(n * y) * y;
      m.xx += SquaresBelow(run.x1) - SquaresBelow(run.x0);
      m.xy += static_cast<Int128>(sum_x) * y;
    }
  }
  for (size_t i = 0; i < count; ++i) {
    ShapeRow& row = rows[i];
    row.label = static_cast<int32_t>(i) + 1;
    if (row.area == 0) {
      row.y0 = row.x0 = 0;
      continue;
    }
    row.centroid_y = static_cast<double>(moments[i].y) / static_cast<double>(row.area);
    row.centroid_x = static_cast<double>(moments[i].x) / static_cast<double>(row.area);
    if (features.eccentricity) SetEllipse(moments[i], row);
  }
  if (!features.perimeter && !features.solidity) return;

  thread_local ObjectRuns groups;
  thread_local PerimeterMeter meter;
  groups.Group(objects);
  const KernelTable& kernels = Kernels();
  for (ShapeRow& row : rows) {
    if (row.area == 0) continue;
    const auto runs = groups.of(row.label);
    if (features.perimeter) row.perimeter = meter.Measure(objects, runs, row, kernels);
    if (features.solidity)
      row.solidity = static_cast<double>(row.area) / static_cast<double>(ConvexArea(objects, runs));
  }
}

void MeasureIntensity(const Objects& objects, const Plane& image, std::vector<IntensityRow>& rows) {
  RequireShape("measure", "the intensity image", image, objects.height, objects.width);
  const auto count = static_cast<size_t>(objects.count);
  thread_local std::vector<SpanSums> sums;
  thread_local std::vector<int64_t> areas;
  constexpr double kInf = std::numeric_limits<double>::infinity();
  sums.assign(count, SpanSums{0, 0, kInf, -kInf, false});
  areas.assign(count, 0);
  const auto span = Kernels().span[static_cast<int>(image.dtype)];
  const auto size = static_cast<int64_t>(DTypeSize(image.dtype));
  for (const Run& run : objects.runs) {
    const size_t object = static_cast<size_t>(run.label) - 1;
    areas[object] += run.x1 - run.x0;
    span(image.row<std::byte>(run.y) + run.x0 * size, run.x1 - run.x0, &sums[object]);
  }
  rows.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const SpanSums& s = sums[i];
    const double total = IsFloat(image.dtype) ? s.real : static_cast<double>(s.integer);
    if (areas[i] == 0) {
      rows[i] = {0, kNan, kNan, kNan};
    } else {
      rows[i] = {total, total / static_cast<double>(areas[i]), s.nan ? kNan : s.min,
                 s.nan ? kNan : s.max};
    }
  }
}

}  // namespace tilecast
