// SPDX-License-Identifier: MIT
// Co-occurrences object by object, and the features from their marginal sums.
#include "ops/texture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/object_runs.h"

namespace tilecast {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// c log2 c: what entropies of counts are sums of.
double CountLog(int64_t c) {
  constexpr size_t kTable = 4096;
  static const std::vector<double> table = [] {
    std::vector<double> t(kTable, 0);
    for (size_t i = 2; i < kTable; ++i)
      t[i] = static_cast<double>(i) * std::log2(static_cast<double>(i));
    return t;
  }();
  if (c < static_cast<int64_t>(kTable)) return table[static_cast<size_t>(c)];
  return static_cast<double>(c) * std::log2(static_cast<double>(c));
}

// One direction's counts. Levels are 0..levels - 1 here; pairs are counted once, and the symmetric
// matrix is never formed: where the features need it, pair (i, j) stands for both.
struct Matrix {
  int levels;
  std::vector<int32_t> count;  // [level][level]
  int64_t pairs = 0;
  std::vector<int64_t> marginal, sum, difference;

  explicit Matrix(int n)
      : levels(n),
        count(static_cast<size_t>(n * n)),
        marginal(static_cast<size_t>(n)),
        sum(static_cast<size_t>(2 * n - 1)),
        difference(static_cast<size_t>(n)) {}

  void Clear() {
    std::fill(count.begin(), count.end(), 0);
    pairs = 0;
  }
  void Add(int a, int b) {
    ++count[static_cast<size_t>(a) * static_cast<size_t>(levels) + static_cast<size_t>(b)];
    ++pairs;
  }

  // Adds the thirteen features to `row`.
  void Features(HaralickRow& row) {
    std::fill(marginal.begin(), marginal.end(), 0);
    std::fill(sum.begin(), sum.end(), 0);
    std::fill(difference.begin(), difference.end(), 0);
    int64_t squares = 0, products = 0;  // of the symmetric counts; of the levels
    double logs = 0;
    for (int i = 0; i < levels; ++i) {
      const int32_t* const line = count.data() + static_cast<ptrdiff_t>(i) * levels;
      for (int j = 0; j <= i; ++j) {
        // Both ways; a pair of like levels is in the symmetric matrix twice.
        const int64_t c =
            static_cast<int64_t>(line[j]) +
            count[static_cast<size_t>(j) * static_cast<size_t>(levels) + static_cast<size_t>(i)];
        if (c == 0) continue;
        const int64_t twice = i == j ? 1 : 2;
        marginal[static_cast<size_t>(i)] += c;
        if (i != j) marginal[static_cast<size_t>(j)] += c;
        sum[static_cast<size_t>(i) + static_cast<size_t>(j)] += twice * c;
        difference[static_cast<size_t>(i) - static_cast<size_t>(j)] += twice * c;
        squares += twice * c * c;
        products += twice * c * i * j;
        logs += static_cast<double>(twice) * CountLog(c);
      }
    }
    const auto total = static_cast<double>(2 * pairs);
    // Moments of a histogram: exact sums, then sum v^2 c / n - (sum v c / n)^2.
    struct Moment {
      double mean, variance, entropy, square;
    };
    const auto moments = [&](const std::vector<int64_t>& counts) {
      int64_t first = 0, second = 0, most = 0;
      double log = 0;
      for (size_t v = 0; v < counts.size(); ++v) {
        most = std::max(most, counts[v]);
        const auto value = static_cast<int64_t>(v);
        first += value * counts[v];
        second += value * value * counts[v];
        log += CountLog(counts[v]);
      }
      const auto a = static_cast<double>(first), b = static_cast<double>(second);
      const double variance = (b * total - a * a) / (total * total);
      // One value has entropy 0 to the last bit: f12 divides by it.
      const double entropy = most == 2 * pairs ? 0 : std::log2(total) - log / total;
      return Moment{a / total, std::max(0.0, variance), entropy, b / total};
    };
    const Moment p = moments(marginal), s = moments(sum), d = moments(difference);
    const double entropy = p.entropy == 0 ? 0 : std::log2(total) - logs / total;
    double inverse = 0;
    for (size_t v = 0; v < difference.size(); ++v)
      inverse += static_cast<double>(difference[v]) / (1 + static_cast<double>(v * v));
    const auto at = [&](Haralick f) -> double& { return row[static_cast<size_t>(f)]; };
    at(Haralick::kAngularSecondMoment) += static_cast<double>(squares) / (total * total);
    at(Haralick::kContrast) += d.square;
    at(Haralick::kCorrelation) +=
        p.variance == 0 ? 1
                        : (static_cast<double>(products) / total - p.mean * p.mean) / p.variance;
    at(Haralick::kVariance) += p.variance;
    at(Haralick::kInverseDifferenceMoment) += inverse / total;
    at(Haralick::kSumAverage) += s.mean + 2;  // levels begin at 1
    at(Haralick::kSumVariance) += s.variance;
    at(Haralick::kSumEntropy) += s.entropy;
    at(Haralick::kEntropy) += entropy;
    at(Haralick::kDifferenceVariance) += d.variance;
    at(Haralick::kDifferenceEntropy) += d.entropy;
    // HXY1 and HXY2 are both the sum of the marginals' entropies, which are the same one.
    const double independent = 2 * p.entropy;
    at(Haralick::kInformation1) +=
        p.entropy == 0 ? entropy - independent : (entropy - independent) / p.entropy;
    at(Haralick::kInformation2) +=
        std::sqrt(std::max(0.0, 1 - std::exp(-2 * (independent - entropy))));
  }
};

}  // namespace

void MeasureHaralick(const Objects& objects, const Plane& labels, const Plane& image,
                     const TextureOptions& options, std::vector<HaralickRow>& rows) {
  RequireShape("texture", "the intensity image", image, objects.height, objects.width);
  RequireShape("texture", "the labels", labels, objects.height, objects.width);
  RequireDType("texture", "the labels", labels, DType::kI32);
  const int levels = options.levels;
  const int64_t distance = options.distance;
  if (levels < 2 || levels > 256 || distance < 1 || distance > 64) {
    throw Error(Code::kInvalidArgument,
                "texture: levels must be within 2..256 and the distance within 1..64 px, got " +
                    std::to_string(levels) + " and " + std::to_string(distance));
  }
  HaralickRow none;
  none.fill(kNan);
  rows.assign(static_cast<size_t>(objects.count), none);
  if (objects.runs.empty()) return;
  thread_local std::vector<uint8_t> memory;
  thread_local ObjectRuns groups;
  // Levels of the objects' pixels, less one; 255 with `known` off stands for NaN.
  memory.resize(static_cast<size_t>(image.pixels()));
  bool known = true;  // every pixel has a level
  Visit(image.dtype, [&](auto zero) {
    using T = decltype(zero);
    double low = 0, high = 0;
    if (options.range) {
      low = options.range->min;
      high = options.range->max;
    } else {
      constexpr double kInf = std::numeric_limits<double>::infinity();
      RowRange range{kInf, -kInf, false};
      for (int64_t y = 0; y < image.height; ++y)
        Kernels().range[static_cast<int>(image.dtype)](image.row<T>(y), image.width, &range);
      low = range.min;
      high = range.max;
    }
    const double scale = high > low ? levels / (high - low) : 0;
    for (const Run& run : objects.runs) {
      const T* const from = image.row<T>(run.y);
      uint8_t* const to = memory.data() + run.y * image.width;
      for (int64_t x = run.x0; x < run.x1; ++x) {
        const auto v = static_cast<double>(from[x]);
        known = known && v == v;
        const double level = (v - low) * scale;
        // A NaN compares false twice.
        to[x] = level >= levels ? static_cast<uint8_t>(levels - 1)
                : level > 0     ? static_cast<uint8_t>(level)
                                : uint8_t{0};
      }
    }
  });
  const auto has_level = [&](int64_t y, int64_t x) {
    return image.dtype == DType::kF32 ? !std::isnan(image.row<float>(y)[x])
                                      : !std::isnan(image.row<double>(y)[x]);
  };
  groups.Group(objects);
  Matrix matrix(levels);
  for (int32_t label = 1; label <= objects.count; ++label) {
    HaralickRow total{};
    int directions = 0;
    for (const auto& [down, right] : {std::pair{0, 1}, {1, 1}, {1, 0}, {1, -1}}) {
      const int64_t dy = down * distance, dx = right * distance;
      matrix.Clear();
      for (const int32_t i : groups.of(label)) {
        const Run& run = objects.runs[static_cast<size_t>(i)];
        if (run.y + dy >= image.height) break;
        const int32_t* const owner = labels.row<int32_t>(run.y + dy) + dx;
        const uint8_t* const here = memory.data() + run.y * image.width;
        const uint8_t* const there = memory.data() + (run.y + dy) * image.width + dx;
        const int64_t x0 = std::max<int64_t>(run.x0, -dx),
                      x1 = std::min<int64_t>(run.x1, image.width - dx);
        for (int64_t x = x0; x < x1; ++x) {
          if (owner[x] != label) continue;
          if (!known && !(has_level(run.y, x) && has_level(run.y + dy, x + dx))) continue;
          matrix.Add(here[x], there[x]);
        }
      }
      if (matrix.pairs == 0) continue;
      matrix.Features(total);
      ++directions;
    }
    if (directions == 0) continue;
    HaralickRow& row = rows[static_cast<size_t>(label) - 1];
    for (size_t f = 0; f < row.size(); ++f) row[f] = total[f] / directions;
  }
}

}  // namespace tilecast
