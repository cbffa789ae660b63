// SPDX-License-Identifier: MIT
// Measurements of shapes whose values follow from the definitions.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "error.h"
#include "ops/measure.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;

std::vector<ShapeRow> Shapes(Image<int32_t>& labels) {
  Objects objects;
  RunsFromLabels(labels.plane(), objects);
  std::vector<ShapeRow> rows;
  MeasureShapes(objects, {.perimeter = true, .eccentricity = true}, rows);
  return rows;
}

Image<int32_t> Rectangle(int64_t height, int64_t width, int64_t y0, int64_t x0, int64_t y1,
                         int64_t x1) {
  return Image<int32_t>::From(
      height, width, [=](int64_t y, int64_t x) { return y >= y0 && y < y1 && x >= x0 && x < x1; });
}

TEST_CASE("a single pixel has area 1, no perimeter and no eccentricity") {
  auto labels = Rectangle(5, 6, 3, 2, 4, 3);
  const ShapeRow row = Shapes(labels).at(0);
  CHECK(row.label == 1);
  CHECK(row.area == 1);
  CHECK(row.centroid_y == 3);
  CHECK(row.centroid_x == 2);
  CHECK(row.y0 == 3);
  CHECK(row.y1 == 4);
  CHECK(row.x0 == 2);
  CHECK(row.x1 == 3);
  CHECK(row.perimeter == 0);
  CHECK(row.eccentricity == 0);
}

TEST_CASE("straight lines have eccentricity 1 in any direction") {
  auto horizontal = Rectangle(4, 90, 1, 3, 2, 80), vertical = Rectangle(50, 3, 2, 1, 40, 2);
  auto diagonal = Image<int32_t>::From(9, 9, [](int64_t y, int64_t x) { return y == x; });
  CHECK(Shapes(horizontal)[0].eccentricity == 1);
  CHECK(Shapes(vertical)[0].eccentricity == 1);
  CHECK(Shapes(diagonal)[0].eccentricity == doctest::Approx(1));
}

TEST_CASE("a square is round, a rectangle has the eccentricity of its moments") {
  auto square = Rectangle(40, 40, 5, 6, 15, 16);
  CHECK(Shapes(square)[0].eccentricity == 0);
  // Variance of n pixels in a row: (n^2 - 1) / 12. 3 x 7 pixels: 8 / 12 and 48 / 12, so sqrt(1 - 8
  // / 48).
  auto rectangle = Rectangle(10, 10, 2, 1, 5, 8);
  CHECK(Shapes(rectangle)[0].eccentricity == doctest::Approx(std::sqrt(40.0 / 48)));
}

TEST_CASE("the perimeter of an axis-parallel rectangle counts its border pixels") {
  // Each border pixel of a rectangle has two border neighbours among its four: weight 1, 2 * (h +
  // w) - 4 in all.
  for (const auto& [h, w] :
       {std::pair<int64_t, int64_t>{3, 3}, {5, 9}, {30, 64}, {30, 65}, {2, 200}}) {
    auto labels = Rectangle(h + 2, w + 3, 1, 2, h + 1, w + 2);
    INFO(h, " x ", w);
    CHECK(Shapes(labels)[0].perimeter == 2 * (h + w) - 4);
  }
}

TEST_CASE("a rectangle at the image's edge has the same perimeter as elsewhere") {
  auto labels = Rectangle(6, 70, 0, 0, 6, 70);
  CHECK(Shapes(labels)[0].perimeter == 2 * (6 + 70) - 4);
}

TEST_CASE("diagonal border steps weigh sqrt 2") {
  // A diamond of radius 2: border pixels are the 8 on its rim, each with only two diagonal border
  // neighbours, except that the tips (four of them) also have two.
  auto labels = Image<int32_t>::From(
      5, 5, [](int64_t y, int64_t x) { return std::abs(y - 2) + std::abs(x - 2) <= 2; });
  CHECK(Shapes(labels)[0].perimeter == doctest::Approx(8 * std::sqrt(2.0)));
}

TEST_CASE("touching objects are measured apart") {
  auto labels = Image<int32_t>::From(8, 20, [](int64_t, int64_t x) { return x < 12 ? 2 : 1; });
  const auto rows = Shapes(labels);
  CHECK(rows[0].area == 64);
  CHECK(rows[1].area == 96);
  CHECK(rows[0].centroid_x == 15.5);
  CHECK(rows[1].x1 == 12);
  CHECK(rows[0].perimeter == 2 * (8 + 8) - 4);
  CHECK(rows[1].perimeter == 2 * (8 + 12) - 4);
}

TEST_CASE("labels that own no pixel get area 0 and NaN") {
  auto labels = Image<int32_t>::Of({{3, 0, 1}});
  const auto rows = Shapes(labels);
  REQUIRE(rows.size() == 3);
  CHECK(rows[1].label == 2);
  CHECK(rows[1].area == 0);
  CHECK(std::isnan(rows[1].centroid_y));
  CHECK(rows[1].x1 == 0);
  Objects objects;
  RunsFromLabels(labels.plane(), objects);
  std::vector<IntensityRow> intensity;
  MeasureIntensity(objects, labels.plane(), intensity);
  CHECK(intensity[1].integrated == 0);
  CHECK(std::isnan(intensity[1].mean));
  CHECK(intensity[2].mean == 3);
}

TEST_CASE("second moments stay exact far from the origin") {
  // Moments about the origin are 1e18 here: differences of doubles would leave nothing of the
  // shape.
  Objects objects;
  objects.height = objects.width = 2000000000;
  objects.count = 1;
  const int32_t far = 1999999000;
  for (int32_t y = 0; y < 3; ++y) objects.runs.push_back({far + y, far, far + 7, 1});
  std::vector<ShapeRow> rows;
  MeasureShapes(objects, {.perimeter = true, .eccentricity = true}, rows);
  CHECK(rows[0].eccentricity == doctest::Approx(std::sqrt(40.0 / 48)));
  CHECK(rows[0].centroid_x == far + 3.0);
  CHECK(rows[0].perimeter == 16);
}

TEST_CASE("features that weren't asked for are NaN") {
  auto labels = Image<int32_t>::Of({{1}});
  Objects objects;
  RunsFromLabels(labels.plane(), objects);
  std::vector<ShapeRow> rows;
  MeasureShapes(objects, {}, rows);
  CHECK(rows[0].area == 1);
  CHECK(std::isnan(rows[0].perimeter));
  CHECK(std::isnan(rows[0].eccentricity));
}

TEST_CASE("intensity sums, means and extremes are exact for integers") {
  auto labels = Image<int32_t>::Of({{1, 1, 0}, {2, 1, 2}});
  auto image = Image<uint16_t>::Of({{65535, 65534, 9}, {3, 1, 40}});
  Objects objects;
  RunsFromLabels(labels.plane(), objects);
  std::vector<IntensityRow> rows;
  MeasureIntensity(objects, image.plane(), rows);
  CHECK(rows[0].integrated == 131070);
  CHECK(rows[0].mean == 43690);
  CHECK(rows[0].min == 1);
  CHECK(rows[0].max == 65535);
  CHECK(rows[1].integrated == 43);
  CHECK(rows[1].min == 3);
}

TEST_CASE("a NaN makes its object's intensities NaN, and no other's") {
  auto labels = Image<int32_t>::Of({{1, 1, 2, 2}});
  auto image = Image<float>::Of({{5, std::numeric_limits<float>::quiet_NaN(), 3, 4}});
  Objects objects;
  RunsFromLabels(labels.plane(), objects);
  std::vector<IntensityRow> rows;
  MeasureIntensity(objects, image.plane(), rows);
  CHECK(std::isnan(rows[0].integrated));
  CHECK(std::isnan(rows[0].min));
  CHECK(std::isnan(rows[0].max));
  CHECK(rows[1].mean == 3.5);
}

TEST_CASE("intensity refuses an image of another shape") {
  Objects objects;
  objects.height = 2;
  objects.width = 3;
  std::vector<IntensityRow> rows;
  CHECK_THROWS_WITH_AS(MeasureIntensity(objects, Image<float>(3, 2).plane(), rows),
                       "measure: the intensity image must have shape [2, 3], got [3, 2]", Error);
}

}  // namespace
}  // namespace tilecast
