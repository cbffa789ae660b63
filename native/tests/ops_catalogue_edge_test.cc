// SPDX-License-Identifier: MIT
// The catalogue's ops where no reference library has an answer: NaN and infinities, empty images,
// padding, refused arguments.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "error.h"
#include "ops/detail.h"
#include "ops/distance.h"
#include "ops/focus.h"
#include "ops/geometry.h"
#include "ops/intensity.h"
#include "ops/morphology.h"
#include "ops/rank.h"
#include "ops/thresholds.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST_CASE("morphology and medians order NaN above infinity, as numpy.sort does") {
  auto image = Image<float>::Of({{1, 2, -kNan, 4, kInf, 6, 7, -kInf, 9}});
  Image<float> out(1, 9);
  Morph(Morphology::kDilate, Footprint::Rectangle(1, 3), image.plane(), out.plane());
  for (const int64_t x : {1, 2, 3}) CHECK(std::isnan(out.at(0, x)));
  CHECK(out.at(0, 0) == 2);
  CHECK(out.at(0, 4) == kInf);
  CHECK(out.at(0, 7) == 9);
  Morph(Morphology::kErode, Footprint::Rectangle(1, 3), image.plane(), out.plane());
  CHECK(out.values() == std::vector<float>{1, 1, 2, 4, 4, 6, -kInf, -kInf, -kInf});
  Median(image.plane(), 1, out.plane());
  CHECK(out.values() == std::vector<float>{1, 2, 4, kInf, 6, 7, 6, 7, 9});
  Image<float> nothing = Image<float>::From(9, 40, [](int64_t, int64_t) { return kNan; });
  Image<float> erased(9, 40);
  Morph(Morphology::kErode, Footprint::Disk(3), nothing.plane(), erased.plane());
  CHECK(std::isnan(erased.at(4, 20)));
  CHECK(erased.intact());
}

TEST_CASE("a box mean's NaN and infinities stay in their windows") {
  auto image = Image<float>::From(20, 90, [](int64_t, int64_t) { return 2; });
  image.at(10, 40) = kInf;
  image.at(3, 70) = kNan;
  Image<float> out(20, 90);
  BoxMean(image.plane(), 5, 5, out.plane());
  for (int64_t y = 0; y < 20; ++y) {
    for (int64_t x = 0; x < 90; ++x) {
      const bool infinite = std::abs(y - 10) <= 2 && std::abs(x - 40) <= 2;
      const bool nan = std::abs(y - 3) <= 2 && std::abs(x - 70) <= 2;
      CHECK((nan ? std::isnan(out.at(y, x)) : out.at(y, x) == (infinite ? kInf : 2.0f)));
    }
  }
  CHECK(out.intact());
}

TEST_CASE("integers saturate, and NaN becomes 0 in them") {
  auto a = Image<uint8_t>::Of({{200, 3, 0}}), b = Image<uint8_t>::Of({{100, 5, 0}});
  Image<uint8_t> out(1, 3);
  Calculate(Arithmetic::kAdd, a.plane(), b.plane(), out.plane());
  CHECK(out.values() == std::vector<uint8_t>{255, 8, 0});
  Calculate(Arithmetic::kSubtract, a.plane(), b.plane(), out.plane());
  CHECK(out.values() == std::vector<uint8_t>{100, 0, 0});
  Calculate(Arithmetic::kDivide, a.plane(), b.plane(), out.plane());
  CHECK(out.values() == std::vector<uint8_t>{2, 1, 0});
  auto f = Image<float>::Of({{kNan, kInf, -5}});
  Clip(f.plane(), 0, 10, f.plane());
  CHECK(std::isnan(f.at(0, 0)));
  CHECK(f.at(0, 1) == 10);
  CHECK(f.at(0, 2) == 0);
  Stretch(Image<uint8_t>::Of({{7, 7, 7}}).plane(), 7, 7, 3, 9, out.plane());
  CHECK(out.values() == std::vector<uint8_t>{3, 3, 3});
}

TEST_CASE("a mask without background is infinitely far from it") {
  Image<uint8_t> mask = Image<uint8_t>::From(4, 70, [](int64_t, int64_t) { return 1; });
  Image<float> out(4, 70);
  DistanceTransform(mask.plane(), out.plane());
  CHECK(out.at(2, 30) == kInf);
  mask.at(0, 0) = 0;
  DistanceTransform(mask.plane(), out.plane());
  CHECK(out.at(3, 4) == 5);
  CHECK(out.intact());
}

TEST_CASE("empty images are left alone") {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{0, 5}, {5, 0}, {0, 0}}) {
    Image<float> f(height, width), g(height, width);
    Image<uint8_t> mask(height, width), filled(height, width);
    Image<int32_t> labels(height, width), grown(height, width);
    for (const Morphology op : {Morphology::kErode, Morphology::kWhiteTopHat})
      Morph(op, Footprint::Disk(4), f.plane(), g.plane());
    for (const int64_t radius : {0, 1, 2, 9}) Median(f.plane(), radius, g.plane());
    BoxMean(f.plane(), 3, 3, g.plane());
    FillHoles(mask.plane(), filled.plane());
    SobelMagnitude(f.plane(), g.plane());
    UnsharpMask(f.plane(), 1, 1, g.plane());
    DistanceTransform(mask.plane(), f.plane());
    const Plane allowed = mask.plane();
    Watershed(f.plane(), &allowed, true, labels.plane());
    ExpandLabels(labels.plane(), 3, grown.plane());
    FilterLabels(labels.plane(), {}, grown.plane());
    CHECK(SplitObjects(mask.plane(), 3, labels.plane()) == 0);
    std::vector<Peak> peaks;
    FindPeaks(f.plane(), 2, 0, 0, peaks);
    CHECK(peaks.empty());
    CHECK_THROWS_AS(FocusScore(f.plane()), Error);
    CHECK_THROWS_AS(TriangleThreshold(f.plane()), Error);
  }
}

TEST_CASE("thresholds refuse NaN and return a constant image's value") {
  auto image = Image<float>::Of({{1, 2, kNan}});
  CHECK_THROWS_WITH_AS(YenThreshold(image.plane()), "range: the image has NaN pixels", Error);
  CHECK_THROWS_AS(LiThreshold(image.plane()), Error);
  auto constant = Image<float>::Of({{2.5f, 2.5f}});
  CHECK(TriangleThreshold(constant.plane()) == 2.5);
  CHECK(YenThreshold(constant.plane()) == 2.5);
  CHECK(LiThreshold(constant.plane()) == 2.5);
}

TEST_CASE("arguments out of range are refused by name") {
  Image<float> f(4, 4), g(4, 4);
  Image<double> d(4, 4), e(4, 4);
  Image<uint8_t> u(4, 4), v(4, 4);
  CHECK_THROWS_WITH_AS(
      Morph(Morphology::kErode, Footprint::Disk(256), f.plane(), g.plane()),
      "morphology: a rectangle's sides must be at least 1 px and a disk's radius within 0..255 px, "
      "got a footprint of 513 x 513 px",
      Error);
  CHECK_THROWS_WITH_AS(Median(d.plane(), 1, e.plane()),
                       "median: takes integers or float32, got float64; convert the image first",
                       Error);
  CHECK_THROWS_WITH_AS(Median(f.plane(), 128, g.plane()),
                       "median: radius must be within 0..127 px, got 128", Error);
  CHECK_THROWS_AS(BoxMean(f.plane(), 0, 3, g.plane()), Error);
  CHECK_THROWS_AS(Clip(f.plane(), 2, 1, g.plane()), Error);
  CHECK_THROWS_AS(Clahe(u.plane(), 2, 5, 1, v.plane()), Error);
  CHECK_THROWS_AS(Crop(f.plane(), 1, 0, g.plane()), Error);
  CHECK_THROWS_AS(AdaptiveThreshold(f.plane(), Surroundings::kMean, 4, 0, u.plane()), Error);
  CHECK_THROWS_AS(DifferenceOfGaussians(f.plane(), 2, 1, g.plane()), Error);
  CHECK_THROWS_AS(FocusStack(0), Error);
}

}  // namespace
}  // namespace tilecast
