// SPDX-License-Identifier: MIT
// The Gaussian on images where its definition gives the answer, and at sizes where vectors, margins
// and the ring of rows could go wrong.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "error.h"
#include "ops/gaussian.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;

// The definition, in float64, straight from the header.
template <class T>
std::vector<double> Reference(Image<T>& in, double sigma) {
  const Plane p = in.plane();
  const auto radius = static_cast<int64_t>(4 * sigma + 0.5);
  std::vector<double> weights;
  double total = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    weights.push_back(radius == 0 ? 1
                                  : std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)));
    total += weights.back();
  }
  auto reflect = [](int64_t i, int64_t n) {
    while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
  };
  std::vector<double> columns(static_cast<size_t>(p.pixels())), out(columns.size());
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x) {
      double sum = 0;
      for (int64_t i = -radius; i <= radius; ++i) {
        sum += weights[static_cast<size_t>(i + radius)] / total *
               static_cast<double>(static_cast<float>(in.at(reflect(y + i, p.height), x)));
      }
      columns[static_cast<size_t>(y * p.width + x)] = sum;
    }
  }
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x) {
      double sum = 0;
      for (int64_t i = -radius; i <= radius; ++i) {
        sum += weights[static_cast<size_t>(i + radius)] / total *
               columns[static_cast<size_t>(y * p.width + reflect(x + i, p.width))];
      }
      out[static_cast<size_t>(y * p.width + x)] = sum;
    }
  }
  return out;
}

template <class T>
void CheckAgainstDefinition(int64_t height, int64_t width, double sigma) {
  auto in = Image<T>::Random(height, width, 10, 120);
  Image<float> out(height, width);
  const MinMax range = Gaussian(in.plane(), sigma, out.plane());
  const std::vector<double> want = Reference(in, sigma);
  const std::vector<float> got = out.values();
  double low = std::numeric_limits<double>::infinity(), high = -low, worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - want[i]) / want[i]);
    low = std::min(low, static_cast<double>(got[i]));
    high = std::max(high, static_cast<double>(got[i]));
  }
  INFO(height, " x ", width, ", sigma ", sigma);
  CHECK(worst < 1e-6);
  CHECK(range.min == low);
  CHECK(range.max == high);
  CHECK(out.intact());
}

TEST_CASE("gaussian of one bright pixel is the kernel") {
  Image<float> in(1, 9), out(1, 9);
  for (int64_t x = 0; x < 9; ++x) in.at(0, x) = x == 4;
  Gaussian(in.plane(), 0.5, out.plane());
  // Radius 2: exp(-2 x^2) for x = -2..2 over its sum; rows reflect onto themselves.
  const double e1 = std::exp(-2.0), e2 = std::exp(-8.0), total = 1 + 2 * e1 + 2 * e2;
  const double want[] = {0, 0, e2 / total, e1 / total, 1 / total, e1 / total, e2 / total, 0, 0};
  for (int64_t x = 0; x < 9; ++x) CHECK(out.at(0, x) == doctest::Approx(want[x]).epsilon(1e-6));
}

TEST_CASE("gaussian keeps a constant image constant") {
  auto in = Image<uint16_t>::From(37, 41, [](int64_t, int64_t) { return 1234; });
  Image<float> out(37, 41);
  const MinMax range = Gaussian(in.plane(), 2.3, out.plane());
  CHECK(range.min == range.max);
  CHECK(range.min == doctest::Approx(1234).epsilon(1e-6));
}

TEST_CASE("gaussian of sigma 0 converts") {
  auto in = Image<int16_t>::Of({{-5, 7}, {32767, 0}});
  Image<float> out(2, 2);
  const MinMax range = Gaussian(in.plane(), 0, out.plane());
  CHECK(out.values() == std::vector<float>{-5, 7, 32767, 0});
  CHECK(range.min == -5);
  CHECK(range.max == 32767);
}

TEST_CASE("gaussian follows its definition at every remainder of the vector width") {
  for (int64_t width = 1; width <= 70; ++width) CheckAgainstDefinition<float>(5, width, 1.0);
  for (const int64_t width : {127, 128, 129, 191, 200})
    CheckAgainstDefinition<uint8_t>(9, width, 1.5);
}

TEST_CASE("gaussian follows its definition when the radius exceeds the image") {
  CheckAgainstDefinition<float>(1, 1, 3);
  CheckAgainstDefinition<uint16_t>(3, 2, 7);
  CheckAgainstDefinition<uint8_t>(2, 90, 30);
  CheckAgainstDefinition<double>(90, 2, 30);
  CheckAgainstDefinition<float>(17, 33, 25);
}

TEST_CASE("gaussian follows its definition for every dtype") {
  CheckAgainstDefinition<uint8_t>(31, 45, 1.5);
  CheckAgainstDefinition<int8_t>(31, 45, 1.5);
  CheckAgainstDefinition<uint16_t>(31, 45, 1.5);
  CheckAgainstDefinition<int16_t>(31, 45, 1.5);
  CheckAgainstDefinition<uint32_t>(31, 45, 1.5);
  CheckAgainstDefinition<int32_t>(31, 45, 1.5);
  CheckAgainstDefinition<float>(31, 45, 1.5);
  CheckAgainstDefinition<double>(31, 45, 1.5);
}

TEST_CASE("gaussian's scratch from a large image doesn't leak into a small one") {
  CheckAgainstDefinition<uint16_t>(80, 90, 6);
  CheckAgainstDefinition<uint16_t>(4, 5, 1);
  CheckAgainstDefinition<uint16_t>(80, 20, 0.7);
}

TEST_CASE("gaussian leaves an empty image alone and refuses a bad sigma") {
  Image<float> empty(0, 5), in(2, 2), out(2, 2);
  CHECK_NOTHROW(Gaussian(empty.plane(), 1, empty.plane()));
  CHECK_THROWS_WITH_AS(Gaussian(in.plane(), -1, out.plane()),
                       "gaussian: sigma must be within 0..1e6 px, got -1.000000", Error);
  CHECK_THROWS_AS(Gaussian(in.plane(), std::numeric_limits<double>::quiet_NaN(), out.plane()),
                  Error);
}

}  // namespace
}  // namespace tilecast
