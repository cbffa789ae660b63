// SPDX-License-Identifier: MIT
// Plane statistics and focus scores, row by row in float64.
#include "ops/quality.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

// Calls f(y, pixels) with each row as float64.
template <class F>
void ForRows(const Plane& in, F f) {
  thread_local std::vector<double> line;
  line.resize(static_cast<size_t>(in.width));
  const auto load = Kernels().scale_to_f64[static_cast<int>(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y) {
    load(in.row<std::byte>(y), 1, 0, line.data(), in.width);
    f(y, line.data());
  }
}

// Several sums in flight: one alone waits for each addition. In a fixed order.
constexpr int kLanes = 8;
struct Sum {
  double lane[kLanes] = {};
  template <class F>
  void Add(int64_t n, F at) {
    int64_t x = 0;
    for (; x + kLanes <= n; x += kLanes) {
      for (int i = 0; i < kLanes; ++i) lane[i] += at(x + i);
    }
    for (; x < n; ++x) lane[0] += at(x);
  }
  double total() const {
    double sum = 0;
    for (const double v : lane) sum += v;
    return sum;
  }
};

}  // namespace

PlaneQuality MeasureQuality(const Plane& in, double saturation) {
  RequirePixels("measurePlane", in);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  RowRange range{kInf, -kInf, false};
  Sum sum, saturated;
  const auto range_of = Kernels().range[static_cast<int>(in.dtype)];
  ForRows(in, [&](int64_t y, const double* v) {
    range_of(in.row<std::byte>(y), in.width, &range);
    sum.Add(in.width, [&](int64_t x) { return v[x]; });
    saturated.Add(in.width, [&](int64_t x) { return v[x] >= saturation ? 1.0 : 0.0; });
  });
  const auto n = static_cast<double>(in.pixels());
  const double mean = sum.total() / n;
  Sum squares;
  ForRows(in, [&](int64_t, const double* v) {
    squares.Add(in.width, [&](int64_t x) { return (v[x] - mean) * (v[x] - mean); });
  });
  const bool none = range.min > range.max;  // nothing but NaN
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  return {mean,
          std::sqrt(squares.total() / n),
          none ? kNan : range.min,
          none ? kNan : range.max,
          saturated.total() / n,
          range.nan};
}

SharpnessRow MeasureSharpness(const Plane& in) {
  RequirePixels("measurePlane", in);
  thread_local std::vector<double> lines;
  const int64_t stride = in.width + 2;
  lines.resize(static_cast<size_t>(3 * stride));
  const auto load = Kernels().scale_to_f64[static_cast<int>(in.dtype)];
  const auto line = [&](int64_t y) {
    return lines.data() + std::clamp<int64_t>(y, 0, in.height - 1) % 3 * stride;
  };
  const auto read = [&](int64_t y) {
    double* const to = line(y);
    load(in.row<std::byte>(y), 1, 0, to + 1, in.width);
    to[0] = to[1];
    to[in.width + 1] = to[in.width];
  };
  Sum steps, gradients;
  read(0);
  for (int64_t y = 0; y < in.height; ++y) {
    if (y + 1 < in.height) read(y + 1);
    const double *const a = line(y - 1), *const b = line(y), *const c = line(y + 1);
    steps.Add(in.width - 2,
              [&](int64_t x) { return (b[x + 3] - b[x + 1]) * (b[x + 3] - b[x + 1]); });
    gradients.Add(in.width, [&](int64_t x) {
      const double down = (c[x] + 2 * c[x + 1] + c[x + 2]) - (a[x] + 2 * a[x + 1] + a[x + 2]);
      const double right = (a[x + 2] + 2 * b[x + 2] + c[x + 2]) - (a[x] + 2 * b[x] + c[x]);
      return down * down + right * right;
    });
  }
  const auto n = static_cast<double>(in.pixels());
  const auto pairs = static_cast<double>(std::max<int64_t>(0, in.width - 2) * in.height);
  return {pairs > 0 ? steps.total() / pairs : 0, gradients.total() / n};
}

}  // namespace tilecast
