// SPDX-License-Identifier: MIT
// Halving, block means and enlargement on images small enough to work out by hand.
#include <doctest/doctest.h>

#include <vector>

#include "error.h"
#include "ops/resample.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;

TEST_CASE("halving averages blocks of four, half to even") {
  auto in = Image<uint8_t>::Of({{0, 0, 1, 1, 2, 3, 255, 255}, {1, 1, 2, 2, 3, 2, 255, 254}});
  Image<uint8_t> out(1, 4);
  HalveMean(in.plane(), out.plane());
  CHECK(out.values() == std::vector<uint8_t>{0, 2, 2, 255});  // 0.5, 1.5, 2.5, 254.75
  CHECK(out.intact());
  auto negative =
      Image<int16_t>::Of({{-1, -1, -32768, -32768, -1, -2}, {0, 0, -32768, -32767, -1, -2}});
  Image<int16_t> half(1, 3);
  HalveMean(negative.plane(), half.plane());
  CHECK(half.values() == std::vector<int16_t>{0, -32768, -2});  // -0.5, -32767.75, -1.5
}

TEST_CASE("halving an odd image averages what exists at its ends") {
  auto in = Image<uint16_t>::Of({{10, 20, 5}, {30, 40, 8}, {1, 2, 9}});
  Image<uint16_t> out(2, 2);
  HalveMean(in.plane(), out.plane());
  CHECK(out.values() ==
        std::vector<uint16_t>{25, 6, 2, 9});  // 25; 6.5 and 1.5 to even; the corner itself
  auto pixel = Image<float>::Of({{3.5f}});
  Image<float> same(1, 1);
  HalveMean(pixel.plane(), same.plane());
  CHECK(same.at(0, 0) == 3.5f);
}

TEST_CASE("halving covers every width") {
  for (int64_t width = 1; width <= 140; ++width) {
    auto in =
        Image<uint16_t>::From(2, width, [](int64_t y, int64_t x) { return 65000 + x + 4 * y; });
    Image<uint16_t> out(1, HalfSize(width));
    HalveMean(in.plane(), out.plane());
    for (int64_t x = 0; x < width / 2; ++x) {
      const int64_t sum = 4 * 65000 + 8 * x + 2 + 8;  // mean 65000 + 2x + 2.5: to even
      CHECK(out.at(0, x) == (sum - 2) / 4);
    }
    if (width % 2 != 0) CHECK(out.at(0, width / 2) == 65000 + width - 1 + 2);
    CHECK(out.intact());
  }
}

TEST_CASE("striding keeps the even pixels") {
  auto in = Image<int32_t>::Of({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});
  Image<int32_t> out(2, 2);
  HalveStride(in.plane(), out.plane());
  CHECK(out.values() == std::vector<int32_t>{1, 3, 7, 9});
  Image<int32_t> wrong(1, 1);
  CHECK_THROWS_WITH_AS(HalveStride(in.plane(), wrong.plane()),
                       "halveStride: the result must have shape [2, 2], got [1, 1]", Error);
  Image<uint8_t> bytes(2, 2);
  CHECK_THROWS_WITH_AS(HalveMean(in.plane(), bytes.plane()),
                       "halveMean: the result must be int32, got uint8", Error);
}

TEST_CASE("block means are clipped to the image") {
  auto in = Image<uint8_t>::Of({{1, 3, 10}, {5, 7, 20}, {100, 200, 250}});
  Image<float> out(2, 2);
  BlockMean(in.plane(), 2, out.plane());
  CHECK(out.values() == std::vector<float>{4, 15, 150, 250});
  Image<float> whole(1, 1);
  BlockMean(in.plane(), 50, whole.plane());
  CHECK(whole.at(0, 0) == static_cast<float>(596.0 / 9));
  CHECK_THROWS_AS(BlockMean(in.plane(), 0, whole.plane()), Error);
}

TEST_CASE("enlargement is linear between block centres and flat outside them") {
  auto in = Image<float>::Of({{0, 8}});
  Image<float> out(1, 8);
  EnlargeBilinear(in.plane(), 4, out.plane());
  CHECK(out.values() == std::vector<float>{0, 0, 1, 3, 5, 7, 8, 8});  // centres at x = 1.5 and 5.5
  auto column = Image<float>::Of({{0}, {8}});
  Image<float> tall(7, 1);
  EnlargeBilinear(column.plane(), 4, tall.plane());
  CHECK(tall.values() == std::vector<float>{0, 0, 1, 3, 5, 7, 8});
  Image<float> same(1, 2);
  EnlargeBilinear(in.plane(), 1, same.plane());
  CHECK(same.values() == std::vector<float>{0, 8});
}

}  // namespace
}  // namespace tilecast
