// SPDX-License-Identifier: MIT
// Point operations, percentiles and projections on images small enough to work out by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "error.h"
#include "ops/arithmetic.h"
#include "ops/project.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;
constexpr float kNanF = std::numeric_limits<float>::quiet_NaN();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::string MessageOf(const std::function<void()>& call, Code code) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "nothing was thrown";
}

TEST_CASE(
    "flat field subtracts the background and divides by the field, rounding each step to float32") {
  auto in = Image<uint16_t>::Of({{100, 110, 65535}, {0, 101, 7}});
  auto field = Image<float>::Of({{1, 2, 0.5f}, {4, 3, 0}});
  Image<float> out(2, 3);
  FlatField(in.plane(), field.plane(), 100, out.plane());
  CHECK(out.values() == std::vector<float>{0, 5, 130870, -25, 1.0f / 3.0f,
                                           -std::numeric_limits<float>::infinity()});
  CHECK(out.intact());
}

TEST_CASE("flat field works in place on float32") {
  auto image = Image<float>::Random(9, 131, 0, 1000);
  auto field = Image<float>::Random(9, 131, 0.5, 2, 2);
  Image<float> out(9, 131);
  FlatField(image.plane(), field.plane(), 3.5f, out.plane());
  FlatField(image.plane(), field.plane(), 3.5f, image.plane());
  CHECK(image.values() == out.values());
  CHECK(image.intact());
}

TEST_CASE("flat field refuses a field of another shape or dtype, and a result that isn't float32") {
  Image<uint8_t> in(2, 3), bytes(2, 3);
  Image<float> narrow(2, 2), out(2, 3);
  CHECK(MessageOf([&] { FlatField(in.plane(), narrow.plane(), 0, out.plane()); }, Code::kOpShape) ==
        "flatField: the field must have shape [2, 3], got [2, 2]");
  CHECK(MessageOf([&] { FlatField(in.plane(), bytes.plane(), 0, out.plane()); }, Code::kOpDtype) ==
        "flatField: the field must be float32, got uint8");
  CHECK(MessageOf([&] { FlatField(in.plane(), out.plane(), 0, bytes.plane()); }, Code::kOpDtype) ==
        "flatField: the result must be float32, got uint8");
}

TEST_CASE("subtract converts to float32 first") {
  auto in = Image<int32_t>::Of({{16777217, -5, 0}});  // 2^24 + 1 rounds to 2^24
  Image<float> out(1, 3);
  SubtractConstant(in.plane(), 1, out.plane());
  CHECK(out.values() == std::vector<float>{16777215, -6, -1});
}

TEST_CASE("rescale rounds half to even, saturates, and turns NaN into 0 for integers") {
  auto in =
      Image<double>::Of({{0.5, 1.5, 2.5, -0.5, 254.5, 255.5, 1e300, -1e300, kNan, kInf, -kInf}});
  Image<uint8_t> bytes(1, 11);
  Rescale(in.plane(), 1, 0, bytes.plane());
  CHECK(bytes.values() == std::vector<uint8_t>{0, 2, 2, 0, 254, 255, 255, 0, 0, 255, 0});
  Image<int8_t> signed_bytes(1, 11);
  Rescale(in.plane(), 1, -1, signed_bytes.plane());
  CHECK(signed_bytes.values() ==
        std::vector<int8_t>{0, 0, 2, -2, 127, 127, 127, -128, 0, 127, -128});
  Image<uint32_t> words(1, 11);
  Rescale(in.plane(), 2e9, 0, words.plane());
  CHECK(words.values() == std::vector<uint32_t>{1000000000, 3000000000, UINT32_MAX, 0, UINT32_MAX,
                                                UINT32_MAX, UINT32_MAX, 0, 0, UINT32_MAX, 0});
  CHECK(bytes.intact());
}

TEST_CASE("rescale does scale and offset as two float64 roundings") {
  // 0.1 * 3 - 0.3: the product rounds to 0.30000000000000004, so the difference is 2^-54; fused it
  // would be 2.7e-17 instead.
  auto in = Image<double>::Of({{3}});
  Image<double> out(1, 1);
  Rescale(in.plane(), 0.1, -0.3, out.plane());
  CHECK(out.at(0, 0) == std::ldexp(1.0, -54));
}

TEST_CASE("rescale handles rows longer than its chunk") {
  auto in = Image<uint16_t>::From(2, 1500, [](int64_t y, int64_t x) { return 3 * x + y; });
  Image<float> out(2, 1500);
  Rescale(in.plane(), 0.5, 1, out.plane());
  CHECK(out.at(1, 1499) == 2250);
  CHECK(out.at(0, 512) == 769);
  CHECK(out.intact());
}

TEST_CASE("threshold is strict, and NaN is never above") {
  auto in = Image<float>::Of({{1, 1.5f, 2, kNanF, -3}});
  Image<uint8_t> out(1, 5);
  Threshold(in.plane(), 1.5, out.plane());
  CHECK(out.values() == std::vector<uint8_t>{0, 0, 1, 0, 0});
  Threshold(in.plane(), kNan, out.plane());
  CHECK(out.values() == std::vector<uint8_t>{0, 0, 0, 0, 0});
}

TEST_CASE("threshold compares integers with values that they can't hold") {
  auto in = Image<uint8_t>::Of({{0, 100, 101, 255}});
  Image<uint8_t> out(1, 4);
  auto above = [&](double value) {
    Threshold(in.plane(), value, out.plane());
    return out.values();
  };
  CHECK(above(100.5) == std::vector<uint8_t>{0, 0, 1, 1});
  CHECK(above(-0.5) == std::vector<uint8_t>{1, 1, 1, 1});
  CHECK(above(-1e9) == std::vector<uint8_t>{1, 1, 1, 1});
  CHECK(above(254.9) == std::vector<uint8_t>{0, 0, 0, 1});
  CHECK(above(255) == std::vector<uint8_t>{0, 0, 0, 0});
  CHECK(above(kInf) == std::vector<uint8_t>{0, 0, 0, 0});
  CHECK(above(-kInf) == std::vector<uint8_t>{1, 1, 1, 1});
  CHECK(above(kNan) == std::vector<uint8_t>{0, 0, 0, 0});
}

TEST_CASE("percentile interpolates between order statistics") {
  auto in = Image<uint16_t>::Of({{40, 10}, {30, 20}});
  CHECK(Percentile(in.plane(), 0) == 10);
  CHECK(Percentile(in.plane(), 50) == 25);
  CHECK(Percentile(in.plane(), 75) == 32.5);
  CHECK(Percentile(in.plane(), 100) == 40);
  auto floats = Image<float>::Of({{-1, 3, 7}});
  CHECK(Percentile(floats.plane(), 25) == 1);
  CHECK(Percentile(Image<int8_t>::Of({{-128, 127}}).plane(), 0) == -128);
  CHECK(Percentile(Image<int16_t>::Of({{-32768, 32767, 0}}).plane(), 50) == 0);
  CHECK(Percentile(Image<uint32_t>::Of({{4000000000}}).plane(), 99) == 4000000000);
}

TEST_CASE("percentile is the order statistic whatever the spread of values") {
  // A hot pixel, infinities, a range beyond float32's, denormals, and neighbours in rank that are
  // far apart in value.
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto& special :
       {std::vector<float>{1e9f}, {inf, -inf}, {3e38f, -3e38f}, {1e-45f, 2e-45f, 0}, {}}) {
    auto image = Image<float>::Random(13, 77, 0, special.size() == 3 ? 1e-44 : 50);
    for (size_t i = 0; i < special.size(); ++i) image.at(static_cast<int64_t>(i), 5) = special[i];
    auto sorted = image.values();
    std::sort(sorted.begin(), sorted.end());
    for (int64_t k = 0; k < 1001; k += 7) {
      const double got = Percentile(image.plane(), 100.0 * static_cast<double>(k) / 1000),
                   want = sorted[static_cast<size_t>(k)];
      CHECK((got == want ||
             got == doctest::Approx(want)));  // the position may fall short of k by an ulp
    }
    CHECK(Percentile(image.plane(), 100) == static_cast<double>(sorted.back()));
  }
  auto words = Image<int32_t>::Of({{INT32_MIN, INT32_MAX, 5, 6}});
  CHECK(Percentile(words.plane(), 50) == 5.5);
  CHECK(Percentile(words.plane(), 100) == INT32_MAX);
}

TEST_CASE("percentile refuses NaN, no pixels, and q outside 0..100") {
  auto in = Image<float>::Of({{1, 2}, {kNanF, 4}});
  CHECK(MessageOf([&] { Percentile(in.plane(), 50); }, Code::kInvalidArgument) ==
        "percentile: the image has a NaN at row 1, column 0; percentiles are not defined then");
  CHECK(MessageOf([&] { Percentile(Image<uint8_t>(0, 4).plane(), 50); }, Code::kInvalidArgument) ==
        "percentile: the image must have at least one pixel, got shape [0, 4]");
  Image<uint8_t> bytes(1, 1);
  CHECK_THROWS_AS(Percentile(bytes.plane(), -0.1), Error);
  CHECK_THROWS_AS(Percentile(bytes.plane(), kNan), Error);
}

TEST_CASE("projections take max, sum and mean of a stack plane by plane") {
  auto a = Image<uint8_t>::Of({{1, 200, 3}}), b = Image<uint8_t>::Of({{4, 100, 3}}),
       c = Image<uint8_t>::Of({{2, 255, 4}});
  Image<uint8_t> greatest(1, 3);
  ProjectFirst(Projection::kMax, a.plane(), greatest.plane());
  ProjectNext(Projection::kMax, b.plane(), greatest.plane());
  ProjectNext(Projection::kMax, c.plane(), greatest.plane());
  CHECK(greatest.values() == std::vector<uint8_t>{4, 255, 4});

  Image<uint32_t> sum(1, 3);
  ProjectFirst(Projection::kMean, a.plane(), sum.plane());
  ProjectNext(Projection::kMean, b.plane(), sum.plane());
  ProjectNext(Projection::kMean, c.plane(), sum.plane());
  CHECK(sum.values() == std::vector<uint32_t>{7, 555, 10});
  Image<float> mean(1, 3);
  ProjectFinish(Projection::kMean, 3, sum.plane(), mean.plane());
  CHECK(mean.values() == std::vector<float>{7.0f / 3, 185, 10.0f / 3});
  CHECK(mean.intact());
  CHECK(sum.intact());
}

TEST_CASE("a mean may be finished in the accumulator's own memory") {
  Image<uint32_t> sum(3, 70, 0);
  for (int64_t y = 0; y < 3; ++y) {
    for (int64_t x = 0; x < 70; ++x) sum.at(y, x) = static_cast<uint32_t>(y * 70 + x);
  }
  Plane out = sum.plane();
  out.dtype = DType::kF32;
  ProjectFinish(Projection::kMean, 2, sum.plane(), out);
  for (int64_t y = 0; y < 3; ++y) {
    for (int64_t x = 0; x < 70; ++x)
      CHECK(out.row<float>(y)[x] == static_cast<float>(y * 70 + x) / 2);
  }
}

TEST_CASE("a maximum keeps NaN from either side, at any place in a vector") {
  const int64_t n = 70;
  auto a = Image<float>::From(1, n, [](int64_t, int64_t x) { return x; });
  auto b = Image<float>::From(1, n, [](int64_t, int64_t x) { return 2 * x - 20; });
  a.at(0, 3) = a.at(0, 69) = kNanF;
  b.at(0, 40) = kNanF;
  ProjectNext(Projection::kMax, b.plane(), a.plane());
  for (int64_t x = 0; x < n; ++x) {
    if (x == 3 || x == 69 || x == 40) {
      CHECK(std::isnan(a.at(0, x)));
    } else {
      CHECK(a.at(0, x) == static_cast<float>(std::max(x, 2 * x - 20)));
    }
  }
}

TEST_CASE("accumulators have room: sums of small integers widen, others are float64") {
  CHECK(ProjectionAccumulator(Projection::kSum, DType::kU16) == DType::kU32);
  CHECK(ProjectionAccumulator(Projection::kMean, DType::kI8) == DType::kI32);
  CHECK(ProjectionAccumulator(Projection::kSum, DType::kU32) == DType::kF64);
  CHECK(ProjectionAccumulator(Projection::kMax, DType::kI16) == DType::kI16);
  CHECK(ProjectionResult(Projection::kMean, DType::kU16) == DType::kF32);
  CHECK(ProjectionResult(Projection::kSum, DType::kF32) == DType::kF64);
  Image<uint8_t> in(1, 1);
  Image<float> wrong(1, 1);
  CHECK(MessageOf([&] { ProjectFirst(Projection::kSum, in.plane(), wrong.plane()); },
                  Code::kOpDtype) == "project: the accumulator must be uint32, got float32");
  Image<uint32_t> acc(1, 1);
  CHECK_THROWS_AS(ProjectFinish(Projection::kMean, 0, acc.plane(), wrong.plane()), Error);
}

}  // namespace
}  // namespace tilecast
