// SPDX-License-Identifier: MIT
// Quarter turns and flips against their definition, pixel by pixel: whole squares, parts of them,
// padded rows.
#include <doctest/doctest.h>

#include <cstring>
#include <utility>
#include <vector>

#include "ops/geometry.h"

namespace tilecast {
namespace {

std::pair<int64_t, int64_t> From(Turn turn, int64_t y, int64_t x, int64_t height, int64_t width) {
  switch (turn) {
    case Turn::kRotate90:
      return {x, width - 1 - y};
    case Turn::kRotate180:
      return {height - 1 - y, width - 1 - x};
    case Turn::kRotate270:
      return {height - 1 - x, y};
    case Turn::kFlipRows:
      return {height - 1 - y, x};
    case Turn::kFlipColumns:
      return {y, width - 1 - x};
    case Turn::kTranspose:
      return {x, y};
  }
  return {0, 0};
}

}  // namespace

TEST_CASE("every turn moves every pixel of every size to its place") {
  int cases = 0;
  for (const DType dtype : {DType::kU8, DType::kI16, DType::kF32, DType::kF64}) {
    const auto size = static_cast<int64_t>(DTypeSize(dtype));
    for (const auto& [height, width] :
         {std::pair<int64_t, int64_t>{1, 1}, {1, 200}, {200, 1}, {64, 64}, {128, 192}, {70, 133}}) {
      const int64_t stride = width * size + 24;
      std::vector<std::byte> memory(static_cast<size_t>(height * stride));
      for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 131 % 251);
      const Plane in{memory.data(), dtype, height, width, stride};
      for (const Turn turn : {Turn::kRotate90, Turn::kRotate180, Turn::kRotate270, Turn::kFlipRows,
                              Turn::kFlipColumns, Turn::kTranspose}) {
        const bool across =
            turn == Turn::kRotate90 || turn == Turn::kRotate270 || turn == Turn::kTranspose;
        const int64_t h = across ? width : height, w = across ? height : width;
        const int64_t out_stride = w * size + 8;
        std::vector<std::byte> result(static_cast<size_t>(h * out_stride), std::byte{0xee});
        const Plane out{result.data(), dtype, h, w, out_stride};
        Rearrange(turn, in, out);
        int wrong = 0;
        for (int64_t y = 0; y < h; ++y) {
          for (int64_t x = 0; x < w; ++x) {
            const auto [from_y, from_x] = From(turn, y, x, height, width);
            wrong += std::memcmp(out.row<std::byte>(y) + x * size,
                                 in.row<std::byte>(from_y) + from_x * size,
                                 static_cast<size_t>(size)) != 0;
          }
          wrong += out.row<std::byte>(y)[w * size] != std::byte{0xee};  // the padding
        }
        CHECK(wrong == 0);
        ++cases;
      }
    }
  }
  CHECK(cases == 4 * 6 * 6);
}

}  // namespace tilecast
