// SPDX-License-Identifier: MIT
// Sobel magnitude, unsharp masking, difference of Gaussians.
#include "ops/detail.h"

#include <algorithm>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/gaussian.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

void RequireF32(const char* op, const Plane& in, const Plane& out) {
  RequireDType(op, "the result", out, DType::kF32);
  RequireShape(op, "the result", out, in.height, in.width);
}

}  // namespace

void SobelMagnitude(const Plane& in, const Plane& out) {
  RequireF32("sobel", in, out);
  if (in.height == 0 || in.width == 0) return;
  thread_local std::vector<float> lines;
  const KernelTable& kernels = Kernels();
  const auto to_f32 = kernels.to_f32[static_cast<int>(in.dtype)];
  const int64_t stride = in.width + 2;
  lines.resize(static_cast<size_t>(3 * stride));
  // Row y lies in line y % 3, with its first and last pixel repeated. Rows -1 and height are rows 0
  // and height - 1.
  auto line = [&](int64_t y) {
    return lines.data() + std::clamp<int64_t>(y, 0, in.height - 1) % 3 * stride;
  };
  auto load = [&](int64_t y) {
    float* const to = line(y);
    to_f32(in.row<std::byte>(y), to + 1, in.width);
    to[0] = to[1];
    to[in.width + 1] = to[in.width];
  };
  load(0);
  for (int64_t y = 0; y < in.height; ++y) {
    if (y + 1 < in.height) load(y + 1);
    kernels.sobel(line(y - 1), line(y), line(y + 1), out.row<float>(y), in.width);
  }
}

void UnsharpMask(const Plane& in, double sigma, double amount, const Plane& out) {
  RequireF32("unsharp", in, out);
  Gaussian(in, sigma, out);
  thread_local std::vector<float> line;
  line.resize(static_cast<size_t>(in.width));
  const auto to_f32 = Kernels().to_f32[static_cast<int>(in.dtype)];
  const auto factor = static_cast<float>(amount);
  for (int64_t y = 0; y < in.height; ++y) {
    to_f32(in.row<std::byte>(y), line.data(), in.width);
    const float* const pixels = line.data();
    float* const row = out.row<float>(y);
    for (int64_t x = 0; x < in.width; ++x) row[x] = pixels[x] + (pixels[x] - row[x]) * factor;
  }
}

void DifferenceOfGaussians(const Plane& in, double low, double high, const Plane& out) {
  RequireF32("differenceOfGaussians", in, out);
  if (!(high > low)) {
    throw Error(Code::kInvalidArgument,
                "differenceOfGaussians: the second sigma must be above the first, got " +
                    std::to_string(low) + " and " + std::to_string(high));
  }
  thread_local std::vector<float> memory;
  memory.resize(static_cast<size_t>(in.pixels()));
  const Plane wide = PackedPlane(memory.data(), DType::kF32, in.height, in.width);
  Gaussian(in, low, out);
  Gaussian(in, high, wide);
  for (int64_t y = 0; y < in.height; ++y) {
    float* const row = out.row<float>(y);
    const float* const subtracted = wide.row<float>(y);
    for (int64_t x = 0; x < in.width; ++x) row[x] -= subtracted[x];
  }
}

}  // namespace tilecast
