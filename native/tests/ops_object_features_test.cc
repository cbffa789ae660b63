// SPDX-License-Identifier: MIT
// Hulls, spreads, textures, colocalisation and plane quality whose values follow from the
// definitions; what they do with NaN, gaps and single pixels.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "error.h"
#include "ops/colocalization.h"
#include "ops/hull.h"
#include "ops/measure.h"
#include "ops/object_runs.h"
#include "ops/project.h"
#include "ops/quality.h"
#include "ops/spread.h"
#include "ops/texture.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using doctest::Approx;
using test::Image;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Labelled {
  explicit Labelled(Image<int32_t> image) : labels(std::move(image)) {
    RunsFromLabels(labels.plane(), objects);
  }
  Image<int32_t> labels;
  Objects objects;
};

double At(const std::vector<HaralickRow>& rows, size_t object, Haralick f) {
  return rows.at(object).at(static_cast<size_t>(f));
}

// All pixels whose centres lie in the hull of the middles of sides, by every pair of such points.
int64_t HullByDefinition(Image<int32_t>& labels) {
  std::vector<std::pair<int64_t, int64_t>> points;
  const Plane p = labels.plane();
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x) {
      if (labels.at(y, x) == 0) continue;
      for (const auto& [dy, dx] : {std::pair{-1, 0}, {1, 0}, {0, -1}, {0, 1}})
        points.emplace_back(2 * y + dy, 2 * x + dx);
    }
  }
  int64_t area = 0;
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x) {
      bool inside = true;
      for (const auto& a : points) {
        for (const auto& b : points) {
          const auto side = [&](int64_t v, int64_t u) {
            return (b.first - a.first) * (u - a.second) - (b.second - a.second) * (v - a.first);
          };
          if (side(2 * y, 2 * x) >= 0) continue;
          bool edge = a != b;  // all points on the other side: (a, b) is an edge of the hull
          for (const auto& q : points) edge = edge && side(q.first, q.second) >= 0;
          inside = inside && !edge;
        }
      }
      area += inside;
    }
  }
  return area;
}

TEST_CASE("a convex area counts the pixels in the hull of the sides' middles") {
  std::mt19937 random(8);
  for (const double share : {0.02, 0.1, 0.5}) {
    for (int trial = 0; trial < 4; ++trial) {
      Labelled scene(Image<int32_t>::From(11, 13, [&](int64_t y, int64_t x) {
        return std::uniform_real_distribution<double>(0, 1)(random) < share || (y == 4 && x == 6);
      }));
      ObjectRuns groups;
      groups.Group(scene.objects);
      CHECK(ConvexArea(scene.objects, groups.of(1)) == HullByDefinition(scene.labels));
    }
  }
  Labelled one(Image<int32_t>::Of({{0, 1, 0}}));
  ObjectRuns groups;
  groups.Group(one.objects);
  CHECK(ConvexArea(one.objects, groups.of(1)) == 1);
}

TEST_CASE("an ellipse's axes and orientation are those of the moments") {
  Labelled bars(Image<int32_t>::From(30, 40, [](int64_t y, int64_t x) {
    return y >= 3 && y < 6 && x >= 5 && x < 12 ? 1 : y == x - 10 && y > 10 ? 3 : 0;
  }));
  std::vector<ShapeRow> rows;
  MeasureShapes(bars.objects, {.eccentricity = true, .solidity = true}, rows);
  CHECK(rows[0].major_axis == Approx(4 * std::sqrt(48.0 / 12)));
  CHECK(rows[0].minor_axis == Approx(4 * std::sqrt(8.0 / 12)));
  CHECK(std::abs(rows[0].orientation) == Approx(std::acos(-1.0) / 2));
  CHECK(rows[0].solidity == 1);
  CHECK(rows[1].major_axis == 0);  // a gap in the numbering
  CHECK(rows[2].orientation == Approx(std::acos(-1.0) / 4));
  CHECK(rows[2].minor_axis == Approx(0).epsilon(1e-6));
}

TEST_CASE("spreads are the population's deviation and interpolated quartiles") {
  Labelled scene(Image<int32_t>::Of({{1, 1, 1, 1, 0, 3, 4, 4}}));
  auto image = Image<float>::Of({{4, 1, 3, 2, 99, 7, kNan, 5}});
  std::vector<SpreadRow> rows;
  MeasureSpread(scene.objects, image.plane(), rows);
  CHECK(rows[0].deviation == Approx(std::sqrt(1.25)));
  CHECK(rows[0].lower_quartile == 1.75);
  CHECK(rows[0].median == 2.5);
  CHECK(rows[0].upper_quartile == 3.25);
  CHECK(std::isnan(rows[1].median));
  CHECK(rows[2].deviation == 0);
  CHECK(rows[2].upper_quartile == 7);
  CHECK(std::isnan(rows[3].deviation));
  CHECK(std::isnan(rows[3].lower_quartile));
}

TEST_CASE("textures of objects of one level, of two, of one pixel, and with NaN") {
  Labelled scene(Image<int32_t>::From(8, 40, [](int64_t y, int64_t x) {
    return y == 7 ? (x == 3 ? 3 : 0) : x < 20 ? 1 : 2;
  }));
  auto image = Image<float>::From(8, 40, [](int64_t y, int64_t x) {
    return x < 20 ? 5.0f : (y + x) % 2 ? 10.0f : 0.0f;
  });
  std::vector<HaralickRow> rows;
  MeasureHaralick(scene.objects, scene.labels.plane(), image.plane(), {.levels = 4}, rows);
  // One level, the third of four: no contrast, no entropy.
  CHECK(At(rows, 0, Haralick::kAngularSecondMoment) == 1);
  CHECK(At(rows, 0, Haralick::kContrast) == 0);
  CHECK(At(rows, 0, Haralick::kCorrelation) == 1);
  CHECK(At(rows, 0, Haralick::kSumAverage) == 6);
  CHECK(At(rows, 0, Haralick::kEntropy) == 0);
  CHECK(At(rows, 0, Haralick::kInformation2) == 0);
  // A checkerboard: levels 1 and 4 side by side, the same along diagonals.
  CHECK(At(rows, 1, Haralick::kContrast) == Approx(9.0 / 2));
  CHECK(At(rows, 1, Haralick::kCorrelation) == Approx(0).epsilon(0.05));
  CHECK(At(rows, 1, Haralick::kSumAverage) == Approx(5).epsilon(0.01));
  // A pixel alone has no pair.
  for (const double v : rows[2]) CHECK(std::isnan(v));
  image.at(2, 30) = kNan;
  std::vector<HaralickRow> less;
  MeasureHaralick(scene.objects, scene.labels.plane(), image.plane(), {.levels = 4}, less);
  CHECK(less[0] == rows[0]);
  CHECK(At(less, 1, Haralick::kContrast) == Approx(9.0 / 2));
  CHECK(At(less, 1, Haralick::kAngularSecondMoment) != At(rows, 1, Haralick::kAngularSecondMoment));
  CHECK_THROWS_WITH(
      MeasureHaralick(scene.objects, scene.labels.plane(), image.plane(), {.levels = 300}, less),
      "texture: levels must be within 2..256 and the distance within 1..64 px, got 300 and 1");
}

TEST_CASE("two images are compared object by object, and as planes") {
  Labelled scene(Image<int32_t>::Of({{1, 1, 1, 1, 2, 2, 3, 3}}));
  auto a = Image<uint8_t>::Of({{0, 10, 0, 30, 5, 5, 1, 2}});
  auto b = Image<float>::Of({{8, 8, 0, 0, 1, 2, kNan, 3}});
  std::vector<ColocalizationRow> rows;
  MeasureColocalization(scene.objects, a.plane(), b.plane(), 0, rows);
  CHECK(rows[0].manders1 == Approx(0.25));
  CHECK(rows[0].manders2 == Approx(0.5));
  CHECK(rows[0].overlap == Approx(80 / std::sqrt(1000.0 * 128)));
  CHECK(rows[0].pearson == Approx(-80 / std::sqrt(600.0 * 64)));
  CHECK(std::isnan(rows[1].pearson));  // a constant
  CHECK(std::isnan(rows[2].manders1));
  CHECK(std::isnan(rows[2].manders2));
  MeasureColocalization(scene.objects, a.plane(), b.plane(), 50, rows);
  CHECK(rows[0].manders2 == Approx(0));
  auto c = Image<uint16_t>::Of({{0, 20, 0, 60, 10, 10, 2, 4}});
  CHECK(Colocalization(a.plane(), c.plane(), 15).pearson == Approx(1));
  CHECK_THROWS_WITH(Colocalization(a.plane(), c.plane(), 100),
                    "colocalization: the threshold must be within 0..100 %, got 100.000000");
}

TEST_CASE("a plane's quality at one pixel, with NaN, and without a pixel") {
  auto one = Image<uint8_t>::Of({{255}});
  const PlaneQuality q = MeasureQuality(one.plane(), 255);
  CHECK(q.mean == 255);
  CHECK(q.deviation == 0);
  CHECK(q.saturated == 1);
  CHECK(MeasureSharpness(one.plane()).brenner == 0);
  CHECK(MeasureSharpness(one.plane()).tenengrad == 0);
  auto odd = Image<float>::Of({{1, kNan, 3}});
  const PlaneQuality o = MeasureQuality(odd.plane(), 3);
  CHECK(std::isnan(o.mean));
  CHECK(o.min == 1);
  CHECK(o.max == 3);
  CHECK(o.nan);
  CHECK(o.saturated == Approx(1.0 / 3));
  Plane none = odd.plane();
  none.height = 0;
  CHECK_THROWS_AS(MeasureQuality(none, 1), Error);
}

TEST_CASE("weighed planes are the sum of their pixels times the weights") {
  auto a = Image<float>::Of({{1, 2, 3}, {4, 5, 6}}), b = Image<float>::Of({{8, 8, 8}, {0, 0, 4}});
  Image<float> out(2, 3);
  const std::vector<Plane> planes = {a.plane(), b.plane()};
  const std::vector<float> weights = {0.5f, 0.25f};
  WeighPlanes(planes, weights, out.plane());
  CHECK(out.values() == std::vector<float>{2.5f, 3, 3.5f, 2, 2.5f, 4});
  CHECK(out.intact());
  CHECK_THROWS_WITH(WeighPlanes({}, {}, out.plane()), "weigh: got 0 weights for 0 planes");
}

}  // namespace
}  // namespace tilecast
