// SPDX-License-Identifier: MIT
// Anscombe's transform, pixel by pixel.
#include "ops/anscombe.h"

#include <cmath>

#include "ops/check.h"

namespace tilecast {

void Anscombe(const Plane& in, const Plane& out) {
  RequireDType("anscombe", "the result", out, DType::kF32);
  RequireShape("anscombe", "the result", out, in.height, in.width);
  Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < in.height; ++y) {
      const T* from = in.row<T>(y);
      float* to = out.row<float>(y);
      for (int64_t x = 0; x < in.width; ++x) {
        const auto v = static_cast<double>(from[x]);
        to[x] = static_cast<float>(2 * std::sqrt((v < 0 ? 0 : v) + 0.375));
      }
    }
  });
}

}  // namespace tilecast
