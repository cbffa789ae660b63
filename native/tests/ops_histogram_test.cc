// SPDX-License-Identifier: MIT
// Range and Otsu on small images; the comparison with scikit-image is in ops_oracle_test.cc.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "error.h"
#include "ops/histogram.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;
constexpr float kNanF = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("range finds extremes at every place of a row") {
  for (int64_t width = 1; width <= 140; ++width) {
    auto image = Image<int16_t>::From(2, width, [](int64_t, int64_t) { return 5; });
    image.at(0, width - 1) = -300;
    image.at(1, width / 2) = 400;
    const MinMax range = Range(image.plane());
    CHECK(range.min == -300);
    CHECK(range.max == 400);
  }
}

TEST_CASE("range refuses NaN wherever it is, and accepts infinities") {
  for (int64_t x = 0; x < 67; ++x) {
    auto image = Image<float>::Random(1, 67, 0, 1);
    image.at(0, x) = kNanF;
    CHECK_THROWS_WITH_AS(Range(image.plane()), "range: the image has NaN pixels", Error);
  }
  auto image = Image<float>::Of({{1, std::numeric_limits<float>::infinity()}});
  CHECK(std::isinf(Range(image.plane()).max));
  CHECK_THROWS_AS(Range(Image<uint8_t>(3, 0).plane()), Error);
}

TEST_CASE("Otsu separates two values at the lower one") {
  // Every threshold from 10 to 199 separates the classes equally well; the first best bin wins.
  CHECK(Otsu(Image<uint8_t>::Of({{10, 200, 10}, {200, 10, 200}}).plane()) == 10);
  CHECK(Otsu(Image<int16_t>::Of({{-500, 300}}).plane()) == -500);
  // 0..256 in 256 bins of width 1: the first bin's centre.
  CHECK(Otsu(Image<float>::Of({{0, 256}}).plane()) == 0.5);
  CHECK(Otsu(Image<double>::Of({{-256, 0}}).plane()) == -255.5);
}

TEST_CASE("Otsu of a constant image is its value") {
  CHECK(Otsu(Image<uint8_t>::Of({{7, 7, 7}}).plane()) == 7);
  CHECK(Otsu(Image<uint16_t>::Of({{65535}}).plane()) == 65535);
  CHECK(Otsu(Image<float>::Of({{2.5f, 2.5f}}).plane()) == 2.5);
}

TEST_CASE(
    "Otsu drops pixels outside a narrower range and refuses NaN even when the range is given") {
  auto image = Image<float>::Of({{0, 256, 1000, -7}});
  CHECK(Otsu(image.plane(), MinMax{0, 256}) == 0.5);
  image.at(0, 2) = kNanF;
  CHECK_THROWS_WITH_AS(Otsu(image.plane(), MinMax{0, 256}),
                       "otsu: the image has NaN pixels; its histogram is not defined", Error);
}

TEST_CASE("Otsu refuses what it isn't defined for") {
  CHECK_THROWS_WITH_AS(
      Otsu(Image<uint32_t>(1, 1).plane()),
      "otsu: takes 8- or 16-bit integers or floats, got uint32; convert the image first", Error);
  CHECK_THROWS_AS(Otsu(Image<float>(0, 0).plane()), Error);
  CHECK_THROWS_AS(Otsu(Image<float>::Of({{0, std::numeric_limits<float>::infinity()}}).plane()),
                  Error);
  CHECK_THROWS_AS(Otsu(Image<float>::Of({{-3e38f, 3e38f}}).plane()), Error);
  CHECK_THROWS_WITH_AS(Otsu(Image<float>::Of({{1, 1.00001f}}).plane()),
                       "otsu: values 1.000000..1.000010 are too close together for 256 bins in "
                       "float32; the image is constant but for rounding",
                       Error);
}

TEST_CASE("Otsu is the same for a saturated image, whose pixels lie on the range's ends") {
  auto image = Image<float>::From(
      40, 130, [](int64_t y, int64_t x) { return (x * 7 + y * 13) % 10 < 6 ? 0 : 1; });
  image.at(0, 0) = 0.25f;
  // 0.25 goes with 0: bins 64..254 are equally good, the first of them has this centre.
  CHECK(Otsu(image.plane()) == 0.251953125);
}

}  // namespace
}  // namespace tilecast
