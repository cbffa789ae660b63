// SPDX-License-Identifier: MIT
// Row-blocked separable Gaussian: per pair of output rows a vertical pass into rows that stay in
// cache, then the horizontal pass from them.
#include "ops/gaussian.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/reflect.h"

namespace tilecast {

namespace {

// Normalised, in float64.
void Exact(double sigma, std::vector<double>& weights) {
  const int64_t radius = GaussianRadius(sigma);
  weights.resize(static_cast<size_t>(radius) + 1);
  double total = 0;
  for (int64_t i = radius; i >= 0; --i) {
    const double w = std::exp(-0.5 / (sigma * sigma) * static_cast<double>(i * i));
    weights[static_cast<size_t>(i)] = w;
    total += i == 0 ? w : 2 * w;
  }
  for (double& w : weights) w /= total;
}

struct Scratch {
  std::vector<float> ring;         // converted source rows
  std::vector<const float*> rows;  // the vertical pass's sources
  std::vector<float>
      lines;  // two rows after the vertical pass, with `radius` pixels of margin on either side
};

// The filter `down` the columns, then `along` the rows; both of the same radius.
MinMax Separable(const Plane& in, const Taps& down, const Taps& along, const Plane& out) {
  const int64_t height = in.height, width = in.width, radius = down.radius;
  float low = std::numeric_limits<float>::infinity(), high = -low;
  if (height == 0 || width == 0) return {0, 0};
  thread_local Scratch scratch;
  const KernelTable& kernels = Kernels();

  const bool convert = in.dtype != DType::kF32;
  const auto to_f32 = kernels.to_f32[static_cast<int>(in.dtype)];
  // Two output rows are computed at a time, from the rows within radius of either.
  const int64_t ring_rows = std::min(2 * radius + 2, height);
  const int64_t ring_stride = (width + 15) / 16 * 16;
  if (convert) scratch.ring.resize(static_cast<size_t>(ring_rows * ring_stride));
  auto source = [&](int64_t y) -> const float* {
    return convert ? scratch.ring.data() + y % ring_rows * ring_stride : in.row<float>(y);
  };
  scratch.rows.resize(static_cast<size_t>(2 * radius + 2));
  const int64_t line_size = width + 2 * radius;
  scratch.lines.resize(static_cast<size_t>(2 * line_size));

  int64_t converted = 0;  // rows before this one are, or were, in the ring
  for (int64_t y = 0; y < height; y += 2) {
    const int64_t count = std::min<int64_t>(2, height - y);
    // Reflection only ever asks for rows within radius of an output row, so the ring holds every
    // row needed.
    if (convert) {
      for (const int64_t end = std::min(y + count + radius, height); converted < end; ++converted) {
        to_f32(in.row<std::byte>(converted),
               scratch.ring.data() + converted % ring_rows * ring_stride, width);
      }
    }
    for (int64_t i = -radius; i < count + radius; ++i) {
      scratch.rows[static_cast<size_t>(i + radius)] = source(Reflect(y + i, height));
    }
    float* const first = scratch.lines.data() + radius;
    if (count == 2) {
      kernels.gaussian_vertical2(scratch.rows.data(), &down, first, first + line_size, width);
    } else {
      kernels.gaussian_vertical(scratch.rows.data(), &down, first, width);
    }
    for (int64_t k = 0; k < count; ++k) {
      float* const line = first + k * line_size;
      for (int64_t i = 1; i <= radius; ++i) {
        line[-i] = line[Reflect(-i, width)];
        line[width - 1 + i] = line[Reflect(width - 1 + i, width)];
      }
      kernels.gaussian_horizontal(line - radius, &along, out.row<float>(y + k), width, &low, &high);
    }
  }
  return {low, high};
}

void RequireSigma(const std::string& op, double sigma) {
  if (sigma >= 0 && sigma <= 1e6) return;
  throw Error(Code::kInvalidArgument,
              op + ": sigma must be within 0..1e6 px, got " + std::to_string(sigma));
}

}  // namespace

int64_t GaussianRadius(double sigma) {
  return static_cast<int64_t>(4 * sigma + 0.5);
}

void GaussianWeights(double sigma, std::vector<float>& smooth) {
  if (GaussianRadius(sigma) == 0) return smooth.assign(1, 1.0f);  // scipy skips a sigma of 0
  thread_local std::vector<double> exact;
  Exact(sigma, exact);
  smooth.assign(exact.size(), 0);
  for (size_t i = 0; i < exact.size(); ++i) smooth[i] = static_cast<float>(exact[i]);
}

void GaussianCurveWeights(double sigma, std::vector<float>& curve) {
  thread_local std::vector<double> exact;
  Exact(sigma, exact);
  curve.assign(exact.size(), 0);
  for (size_t i = 0; i < exact.size(); ++i) {
    const double x = static_cast<double>(i), variance = sigma * sigma;
    curve[i] = static_cast<float>(exact[i] * (x * x / (variance * variance) - 1 / variance));
  }
}

MinMax Gaussian(const Plane& in, double sigma, const Plane& out) {
  RequireDType("gaussian", "the result", out, DType::kF32);
  RequireShape("gaussian", "the result", out, in.height, in.width);
  RequireSigma("gaussian", sigma);
  thread_local std::vector<float> weights;
  GaussianWeights(sigma, weights);
  const Taps taps{weights.data(), GaussianRadius(sigma)};
  return Separable(in, taps, taps, out);
}

void GaussianLaplace(const Plane& in, double sigma, const Plane& out) {
  RequireDType("laplacianOfGaussian", "the result", out, DType::kF32);
  RequireShape("laplacianOfGaussian", "the result", out, in.height, in.width);
  RequireSigma("laplacianOfGaussian", sigma);
  if (!(sigma > 0)) {
    throw Error(Code::kInvalidArgument, "laplacianOfGaussian: sigma must be above 0 px, got 0");
  }
  thread_local std::vector<float> smooth_weights, curve_weights, other;
  GaussianWeights(sigma, smooth_weights);
  GaussianCurveWeights(sigma, curve_weights);
  const Taps smooth{smooth_weights.data(), GaussianRadius(sigma)};
  const Taps curve{curve_weights.data(), smooth.radius};
  Separable(in, curve, smooth, out);
  other.resize(static_cast<size_t>(in.pixels()));
  const Plane second = PackedPlane(other.data(), DType::kF32, in.height, in.width);
  Separable(in, smooth, curve, second);
  for (int64_t y = 0; y < in.height; ++y) {
    float* const a = out.row<float>(y);
    const float* const b = second.row<float>(y);
    for (int64_t x = 0; x < in.width; ++x) a[x] += b[x];
  }
}

}  // namespace tilecast
