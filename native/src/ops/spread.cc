// SPDX-License-Identifier: MIT
// Deviation and quartiles from each object's pixels, gathered.
#include "ops/spread.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/check.h"
#include "ops/object_runs.h"

namespace tilecast {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Selects the pixels around the quantile; those before `from` are known to be less already.
template <class T>
double Quantile(std::vector<T>& pixels, size_t from, double q) {
  const double position = q * static_cast<double>(pixels.size() - 1);
  const auto low = static_cast<size_t>(position);
  const double t = position - static_cast<double>(low);
  const auto at = pixels.begin() + static_cast<ptrdiff_t>(low);
  if (low >= from)
    std::nth_element(pixels.begin() + static_cast<ptrdiff_t>(from), at, pixels.end());
  const auto a = static_cast<double>(*at);
  if (t == 0) return a;
  const auto b = static_cast<double>(*std::min_element(at + 1, pixels.end()));
  // numpy's way of rounding it.
  return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

template <class T>
SpreadRow SpreadOf(std::vector<T>& pixels) {
  const auto n = static_cast<double>(pixels.size());
  double sum = 0;
  for (const T v : pixels) sum += static_cast<double>(v);
  if (std::isnan(sum)) {
    for (const T v : pixels) {
      if (v != v) return {kNan, kNan, kNan, kNan};
    }
  }
  const double mean = sum / n;
  double squares = 0;
  for (const T v : pixels) {
    const double d = static_cast<double>(v) - mean;
    squares += d * d;
  }
  SpreadRow row{};
  row.deviation = std::sqrt(squares / n);
  row.lower_quartile = Quantile(pixels, 0, 0.25);
  row.median = Quantile(pixels, static_cast<size_t>(0.25 * (n - 1)), 0.5);
  row.upper_quartile = Quantile(pixels, static_cast<size_t>(0.5 * (n - 1)), 0.75);
  return row;
}

}  // namespace

void MeasureSpread(const Objects& objects, const Plane& image, std::vector<SpreadRow>& rows) {
  RequireShape("measure", "the intensity image", image, objects.height, objects.width);
  rows.assign(static_cast<size_t>(objects.count), SpreadRow{kNan, kNan, kNan, kNan});
  thread_local ObjectRuns groups;
  groups.Group(objects);
  Visit(image.dtype, [&](auto zero) {
    using T = decltype(zero);
    thread_local std::vector<T> pixels;
    for (int32_t label = 1; label <= objects.count; ++label) {
      pixels.clear();
      for (const int32_t i : groups.of(label)) {
        const Run& run = objects.runs[static_cast<size_t>(i)];
        const T* const from = image.row<T>(run.y);
        pixels.insert(pixels.end(), from + run.x0, from + run.x1);
      }
      if (!pixels.empty()) rows[static_cast<size_t>(label) - 1] = SpreadOf(pixels);
    }
  });
}

}  // namespace tilecast
