// SPDX-License-Identifier: MIT
// The bilateral filter on a padded copy of the image.
#include "ops/bilateral.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/reflect.h"

namespace tilecast {

namespace {

// Stands for pixels that are not finite: so far from any other that its weight is 0.
constexpr float kFar = 3e38f;

struct Scratch {
  std::vector<float> padded, line, cost;
  std::vector<int64_t> offset;
};

}  // namespace

int64_t BilateralRadius(double sigma) {
  return static_cast<int64_t>(std::ceil(3 * sigma));
}

void Bilateral(const Plane& in, double sigma, double range, const Plane& out) {
  RequireDType("bilateral", "the result", out, DType::kF32);
  RequireShape("bilateral", "the result", out, in.height, in.width);
  if (!(sigma > 0 && sigma <= 64)) {
    throw Error(Code::kInvalidArgument,
                "bilateral: sigma must be above 0 and at most 64 px, got " + std::to_string(sigma));
  }
  if (!(range >= 1e-9 && range <= 1e9)) {
    throw Error(Code::kInvalidArgument,
                "bilateral: the range must be within 1e-9..1e9, got " + std::to_string(range));
  }
  if (in.height == 0 || in.width == 0) return;
  thread_local Scratch scratch;
  const int64_t radius = BilateralRadius(sigma);
  constexpr int64_t slack = kNeighbourSlack / static_cast<int64_t>(sizeof(float));
  const int64_t stride = in.width + 2 * radius + slack;
  scratch.padded.resize(static_cast<size_t>((in.height + 2 * radius) * stride));
  scratch.line.resize(static_cast<size_t>(stride));
  const auto row = [&](int64_t y) { return scratch.padded.data() + (y + radius) * stride; };
  const auto to_f32 = Kernels().to_f32[static_cast<int>(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y) {
    to_f32(in.row<std::byte>(y), scratch.line.data(), in.width);
    if (IsFloat(in.dtype)) {
      for (int64_t x = 0; x < in.width; ++x) {
        float& v = scratch.line[static_cast<size_t>(x)];
        v = std::isfinite(v) ? v : kFar;
      }
    }
    CopyReflected(scratch.line.data(), in.width, -radius, in.width + 2 * radius, row(y));
  }
  for (int64_t i = 1; i <= radius; ++i) {
    const auto bytes = static_cast<size_t>(stride) * sizeof(float);
    std::memcpy(row(-i), row(Reflect(-i, in.height)), bytes);
    const int64_t below = in.height - 1 + i;
    std::memcpy(row(below), row(Reflect(below, in.height)), bytes);
  }

  // Exponents of 2.
  constexpr double kLog2E = 1.4426950408889634;
  const double near = kLog2E / (2 * sigma * sigma);
  scratch.offset.clear();
  scratch.cost.clear();
  for (int64_t dy = -radius; dy <= radius; ++dy) {
    for (int64_t dx = -radius; dx <= radius; ++dx) {
      const int64_t square = dy * dy + dx * dx;
      if (square == 0 || square > radius * radius) continue;
      scratch.offset.push_back(dy * stride + dx);
      scratch.cost.push_back(static_cast<float>(static_cast<double>(square) * near));
    }
  }
  const auto scale = static_cast<float>(kLog2E / (2 * range * range));
  const auto filter = Kernels().neighbours.bilateral;
  for (int64_t y = 0; y < in.height; ++y) {
    const float* const centre = row(y) + radius;
    filter(centre, scratch.offset.data(), scratch.cost.data(),
           static_cast<int64_t>(scratch.offset.size()), scale, scratch.line.data(), in.width);
    float* const to = out.row<float>(y);
    std::memcpy(to, scratch.line.data(), static_cast<size_t>(out.row_bytes()));
    if (!IsFloat(in.dtype)) continue;
    // What isn't finite stays: in the input's own words.
    for (int64_t x = 0; x < in.width; ++x) {
      if (centre[x] != kFar) continue;
      to[x] =
          in.dtype == DType::kF32 ? in.row<float>(y)[x] : static_cast<float>(in.row<double>(y)[x]);
    }
  }
}

}  // namespace tilecast
