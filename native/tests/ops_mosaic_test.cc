// SPDX-License-Identifier: MIT
// Images put onto a canvas, against the definition carried out pixel by pixel in float64.
#include <doctest/doctest.h>

#include <cmath>
#include <optional>
#include <random>
#include <vector>

#include "error.h"
#include "ops/arithmetic.h"
#include "ops/mosaic.h"
#include "ops_oracle.h"

namespace tilecast {
namespace {

using test::Array;
using test::At;
using test::MakeArray;

constexpr DType kAll[] = {DType::kU8,  DType::kI8,  DType::kU16, DType::kI16,
                          DType::kU32, DType::kI32, DType::kF32, DType::kF64};

std::vector<Array> Images(size_t count, DType dtype, int64_t height, int64_t width) {
  std::mt19937 random(static_cast<unsigned>(dtype) + 3);
  std::vector<Array> out;
  for (size_t i = 0; i < count; ++i) {
    out.push_back(MakeArray(dtype, height, width));
    Visit(dtype, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
          const auto bits = static_cast<int64_t>(random());
          if constexpr (std::is_floating_point_v<T>) {
            out.back().plane.row<T>(y)[x] = static_cast<T>(bits % 100000) / 7 - 5000;
          } else {
            out.back().plane.row<T>(y)[x] = static_cast<T>(bits);
          }
        }
      }
    });
  }
  return out;
}

void Clear(const Plane& p) {
  for (int64_t y = 0; y < p.height; ++y)
    std::fill_n(p.row<std::byte>(y), p.row_bytes(), std::byte{});
}

// The blended canvas in the images' dtype.
Array Assemble(const MosaicPlan& plan, const std::vector<Array>& images, Blend blend,
               Placing placing, std::optional<int64_t> strip = {}) {
  const DType dtype = images[0].plane.dtype;
  Array canvas = MakeArray(CanvasDType(dtype, blend), plan.height, plan.width);
  Clear(canvas.plane);
  const int64_t rows = strip.value_or(plan.height);
  for (int64_t top = 0; top < plan.height; top += rows) {
    for (int64_t left = 0; left < plan.width; left += strip ? 11 : plan.width) {
      const Plane& c = canvas.plane;
      const int64_t width = std::min(strip ? 11 : plan.width, plan.width - left);
      const Plane part{c.data + top * c.stride + left * static_cast<int64_t>(DTypeSize(c.dtype)),
                       c.dtype, std::min(rows, plan.height - top), width, c.stride};
      for (size_t i = 0; i < images.size(); ++i)
        PlaceImage(plan, i, images[i].plane, blend, placing, top, left, part);
    }
  }
  Array out = MakeArray(dtype, plan.height, plan.width);
  Rescale(canvas.plane, 1, 0, out.plane);
  return out;
}

struct Sample {
  double value, weight;
};

// What an image gives to a canvas pixel.
std::optional<Sample> SampleAt(const Plane& image, double at_y, double at_x, Placing placing,
                               int64_t y, int64_t x) {
  if (placing == Placing::kNearest) {
    at_y = std::round(at_y);
    at_x = std::round(at_x);
  }
  const double v = static_cast<double>(y) - at_y, u = static_cast<double>(x) - at_x;
  const auto h = static_cast<double>(image.height - 1), w = static_cast<double>(image.width - 1);
  if (v < 0 || u < 0 || v > h || u > w) return {};
  const auto y0 = static_cast<int64_t>(v), x0 = static_cast<int64_t>(u);
  const int64_t y1 = std::min(y0 + 1, image.height - 1), x1 = std::min(x0 + 1, image.width - 1);
  const double fy = v - static_cast<double>(y0), fx = u - static_cast<double>(x0);
  const double value = (1 - fy) * ((1 - fx) * At(image, y0, x0) + fx * At(image, y0, x1)) +
                       fy * ((1 - fx) * At(image, y1, x0) + fx * At(image, y1, x1));
  return Sample{value, (std::min(v, h - v) + 1) * (std::min(u, w - u) + 1)};
}

double Expected(const MosaicPlan& plan, const std::vector<Array>& images, Blend blend,
                Placing placing, int64_t y, int64_t x, bool& tie) {
  double sum = 0, total = 0, heaviest = 0, result = 0;
  bool any = false;
  for (size_t i = 0; i < images.size(); ++i) {
    const auto s = SampleAt(images[i].plane, plan.y[i], plan.x[i], placing, y, x);
    if (!s) continue;
    sum += s->value * s->weight;
    total += s->weight;
    if (blend == Blend::kMax) result = any ? std::max(result, s->value) : s->value;
    if (blend == Blend::kNone && s->weight > heaviest) {
      // Weights that float32 cannot tell apart.
      tie = tie || (any && s->weight < heaviest * (1 + 1e-6));
      result = s->value;
    }
    tie = tie || (blend == Blend::kNone && placing == Placing::kLinear && any &&
                  std::abs(s->weight - heaviest) < 1e-6 * heaviest);
    heaviest = std::max(heaviest, s->weight);
    any = true;
  }
  return blend == Blend::kLinear ? (any ? sum / total : 0) : result;
}

void CheckMosaic(const MosaicPlan& plan, DType dtype, Blend blend, Placing placing) {
  const std::vector<Array> images =
      Images(plan.y.size(), dtype, plan.image_height, plan.image_width);
  const Array got = Assemble(plan, images, blend, placing);
  const Array parts = Assemble(plan, images, blend, placing, 7);
  const bool exact = blend != Blend::kLinear && placing == Placing::kNearest;
  const double largest = test::Greatest(images[0].plane);
  int wrong = 0, different = 0;
  for (int64_t y = 0; y < plan.height; ++y) {
    for (int64_t x = 0; x < plan.width; ++x) {
      bool tie = false;
      const double want = Expected(plan, images, blend, placing, y, x, tie);
      const double value = At(got.plane, y, x);
      different += value != At(parts.plane, y, x);
      // Rounding to an integer may go the other way where float32 sums are half-way between two.
      const double error = IsFloat(dtype) ? 2e-6 * largest : 0.5 + 2e-6 * largest;
      wrong += !tie && std::abs(value - want) > (exact ? 0 : error);
    }
  }
  CAPTURE(DTypeName(dtype));
  CAPTURE(static_cast<int>(blend));
  CAPTURE(static_cast<int>(placing));
  CHECK(wrong == 0);
  CHECK(different == 0);  // assembled part by part it is the same, bit for bit
}

TEST_CASE("a mosaic is its definition in every dtype, blend and placing, whole or in parts") {
  const MosaicPlan plan{
      50, 64, 22, 30, {0, 1.4, 18.7, 20.2, 27.5, 3.5}, {0, 25.3, 2.6, 26.5, 33.9, 12.0}};
  for (const DType dtype : kAll) {
    for (const Blend blend : {Blend::kLinear, Blend::kNone, Blend::kMax}) {
      CheckMosaic(plan, dtype, blend, Placing::kNearest);
      CheckMosaic(plan, dtype, blend, Placing::kLinear);
    }
  }
}

TEST_CASE("images that leave the canvas are cut, and what no image covers stays 0") {
  const MosaicPlan plan{30, 30, 20, 20, {-6, 17.4}, {-9.2, 21}};
  for (const Blend blend : {Blend::kLinear, Blend::kNone, Blend::kMax}) {
    CheckMosaic(plan, DType::kU16, blend, Placing::kNearest);
    CheckMosaic(plan, DType::kI16, blend, Placing::kLinear);
  }
}

TEST_CASE("pixels that one image alone covers are its own, exactly") {
  const MosaicPlan plan{20, 50, 20, 30, {0, 0}, {0, 20}};
  const std::vector<Array> images = Images(2, DType::kF32, 20, 30);
  const Array got = Assemble(plan, images, Blend::kLinear, Placing::kNearest);
  for (int64_t y = 0; y < 20; ++y) {
    for (int64_t x = 0; x < 20; ++x) {
      CHECK(At(got.plane, y, x) == At(images[0].plane, y, x));
      CHECK(At(got.plane, y, x + 30) == At(images[1].plane, y, x + 10));
    }
  }
}

TEST_CASE("equal images blend into themselves") {
  const MosaicPlan plan{24, 24, 24, 24, {0, 0, 0}, {0, 0, 0}};
  Array image = MakeArray(DType::kU16, 24, 24);
  for (int64_t y = 0; y < 24; ++y)
    for (int64_t x = 0; x < 24; ++x) image.plane.row<uint16_t>(y)[x] = 65535;
  const Array again = Assemble(plan, {image, image, image}, Blend::kLinear, Placing::kNearest);
  for (int64_t y = 0; y < 24; ++y)
    for (int64_t x = 0; x < 24; ++x) CHECK(At(again.plane, y, x) == 65535);
}

TEST_CASE("a mosaic refuses images and canvases that do not fit its plan") {
  const MosaicPlan plan{10, 10, 5, 5, {0}, {0}};
  Array image = MakeArray(DType::kU8, 5, 6), right = MakeArray(DType::kU8, 5, 5);
  Array canvas = MakeArray(DType::kU8, 10, 10);
  const auto place = [&](size_t index, const Array& in, Blend blend) {
    PlaceImage(plan, index, in.plane, blend, Placing::kNearest, 0, 0, canvas.plane);
  };
  CHECK_THROWS_WITH_AS(place(0, image, Blend::kNone),
                       "an image of a mosaic is 6 x 5 px and the others 5 x 5", Error);
  CHECK_THROWS_WITH_AS(place(0, right, Blend::kLinear), "a canvas for uint8 is uint8", Error);
  CHECK_THROWS_WITH_AS(place(1, right, Blend::kNone), "a mosaic has no image 1", Error);
}

}  // namespace
}  // namespace tilecast
