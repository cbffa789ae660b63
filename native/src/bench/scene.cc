// SPDX-License-Identifier: MIT
// Paints the picture that measurements work on; see scene.h.
#include "bench/scene.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "error.h"

namespace tilecast::bench {

OwnedPlane::OwnedPlane(DType dtype, int64_t height, int64_t width)
    : memory_(static_cast<size_t>(height * width) * DTypeSize(dtype) + 64) {
  const auto at = (reinterpret_cast<uintptr_t>(memory_.data()) + 63) & ~uintptr_t{63};
  plane_ = PackedPlane(memory_.data() + (at - reinterpret_cast<uintptr_t>(memory_.data())), dtype,
                       height, width);
}

OwnedPlane Nuclei(int64_t side, uint32_t seed) {
  if (side < 16 || side > 16384) {
    throw Error(Code::kInvalidArgument, "side must be 16 to 16384 px");
  }
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> image(static_cast<size_t>(side * side));
  const auto size = static_cast<float>(side);
  for (int64_t x = 0; x < side; ++x) {
    image[static_cast<size_t>(x)] = 300 + 120 * std::sin(3.0F * static_cast<float>(x) / size);
  }
  for (int64_t y = 1; y < side; ++y) std::copy_n(image.begin(), side, image.begin() + y * side);
  for (int64_t count = side * side / 3500; count > 0; --count) {
    const float cy = uniform(random) * size;
    const float cx = uniform(random) * size;
    const float radius = 7 + 5 * uniform(random);
    const float bright = 1500 + 4000 * uniform(random);
    const auto reach = static_cast<int64_t>(radius * 1.6F);
    const auto row = static_cast<int64_t>(cy);
    const auto column = static_cast<int64_t>(cx);
    for (int64_t y = std::max<int64_t>(0, row - reach); y < std::min(side, row + reach); ++y) {
      for (int64_t x = std::max<int64_t>(0, column - reach); x < std::min(side, column + reach);
           ++x) {
        const float dy = static_cast<float>(y) - cy;
        const float dx = static_cast<float>(x) - cx;
        const float d = std::sqrt(dy * dy + dx * dx) / radius;
        image[static_cast<size_t>(y * side + x)] += bright / (1 + std::exp(8 * (d - 1)));
      }
    }
  }
  OwnedPlane out(DType::kU16, side, side);
  std::normal_distribution<float> normal;
  auto* pixels = out.plane().row<uint16_t>(0);
  for (size_t i = 0; i < image.size(); ++i) {
    pixels[i] = static_cast<uint16_t>(
        std::clamp(image[i] + std::sqrt(image[i]) * normal(random), 0.0F, 65535.0F));
  }
  return out;
}

}  // namespace tilecast::bench
