// SPDX-License-Identifier: MIT
// Standard deviation over a stack, focus stacking and the focus score.
#include "ops/focus.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/rank.h"

namespace tilecast {

namespace {

// Calls f(y, laplacian) with each row's Laplacian in Real.
template <class Real, class Load, class F>
void ForLaplacian(const Plane& in, Load load, F f) {
  const int64_t stride = in.width + 2;
  thread_local std::vector<Real> lines, result;
  lines.resize(static_cast<size_t>(3 * stride));
  result.resize(static_cast<size_t>(in.width));
  auto line = [&](int64_t y) {
    return lines.data() + std::clamp<int64_t>(y, 0, in.height - 1) % 3 * stride;
  };
  auto read = [&](int64_t y) {
    Real* const to = line(y);
    load(in.row<std::byte>(y), to + 1);
    to[0] = to[1];
    to[in.width + 1] = to[in.width];
  };
  read(0);
  for (int64_t y = 0; y < in.height; ++y) {
    if (y + 1 < in.height) read(y + 1);
    const Real *const a = line(y - 1), *const b = line(y), *const c = line(y + 1);
    Real* const to = result.data();
    for (int64_t x = 0; x < in.width; ++x)
      to[x] = ((a[x + 1] - 2 * b[x + 1]) + c[x + 1]) + ((b[x] - 2 * b[x + 1]) + b[x + 2]);
    f(y, to);
  }
}

}  // namespace

void DeviationProjection::First(const Plane& plane) {
  dtype_ = plane.dtype;
  height_ = plane.height;
  width_ = plane.width;
  count_ = 1;
  first_.resize(static_cast<size_t>(plane.pixels()));
  sum_.assign(first_.size(), 0);
  squares_.assign(first_.size(), 0);
  const auto load = Kernels().scale_to_f64[static_cast<int>(plane.dtype)];
  for (int64_t y = 0; y < height_; ++y)
    load(plane.row<std::byte>(y), 1, 0, first_.data() + y * width_, width_);
}

void DeviationProjection::Next(const Plane& plane) {
  RequireShape("standardDeviation", "a plane of the stack", plane, height_, width_);
  RequireDType("standardDeviation", "a plane of the stack", plane, dtype_);
  ++count_;
  const auto load = Kernels().scale_to_f64[static_cast<int>(plane.dtype)];
  thread_local std::vector<double> line;
  line.resize(static_cast<size_t>(width_));
  for (int64_t y = 0; y < height_; ++y) {
    load(plane.row<std::byte>(y), 1, 0, line.data(), width_);
    const double *const v = line.data(), *const first = first_.data() + y * width_;
    double *const sum = sum_.data() + y * width_, *const squares = squares_.data() + y * width_;
    for (int64_t x = 0; x < width_; ++x) {
      const double d = v[x] - first[x];
      sum[x] += d;
      squares[x] += d * d;
    }
  }
}

void DeviationProjection::Finish(const Plane& out) const {
  RequireDType("standardDeviation", "the result", out, DType::kF32);
  RequireShape("standardDeviation", "the result", out, height_, width_);
  const auto n = static_cast<double>(count_);
  for (int64_t y = 0; y < height_; ++y) {
    const double *const sum = sum_.data() + y * width_, *const squares =
                                                            squares_.data() + y * width_;
    const double* const first = first_.data() + y * width_;
    float* const to = out.row<float>(y);
    for (int64_t x = 0; x < width_; ++x) {
      const double variance = (squares[x] - sum[x] * sum[x] / n) / n;
      // first - first: NaN of a stack of one, as numpy gives for NaN and infinities.
      to[x] = static_cast<float>(std::sqrt(variance < 0 ? 0 : variance) + (first[x] - first[x]));
    }
  }
}

FocusStack::FocusStack(int64_t window) : window_(window) {
  if (window < 1 || window > 65535) {
    throw Error(Code::kInvalidArgument,
                "focusStack: the window must be within 1..65535 px, got " + std::to_string(window));
  }
}

void FocusStack::Sharpness(const Plane& plane, std::vector<float>& result) {
  laplacian_.resize(static_cast<size_t>(plane.pixels()));
  result.resize(laplacian_.size());
  const auto to_f32 = Kernels().to_f32[static_cast<int>(plane.dtype)];
  if (plane.pixels() == 0) return;
  ForLaplacian<float>(
      plane, [&](const std::byte* row, float* to) { to_f32(row, to, plane.width); },
      [&](int64_t y, const float* values) {
        float* const to = laplacian_.data() + y * plane.width;
        for (int64_t x = 0; x < plane.width; ++x) to[x] = values[x] * values[x];
      });
  BoxMean(PackedPlane(laplacian_.data(), DType::kF32, plane.height, plane.width), window_, window_,
          PackedPlane(result.data(), DType::kF32, plane.height, plane.width));
}

void FocusStack::First(const Plane& plane, const Plane& out) {
  RequireDType("focusStack", "the result", out, plane.dtype);
  RequireShape("focusStack", "the result", out, plane.height, plane.width);
  Sharpness(plane, best_);
  for (int64_t y = 0; y < plane.height; ++y)
    if (plane.width > 0)
      std::memcpy(out.row<std::byte>(y), plane.row<std::byte>(y),
                  static_cast<size_t>(plane.row_bytes()));
}

void FocusStack::Next(const Plane& plane, const Plane& out) {
  RequireDType("focusStack", "a plane of the stack", plane, out.dtype);
  RequireShape("focusStack", "a plane of the stack", plane, out.height, out.width);
  Sharpness(plane, sharpness_);
  Visit(plane.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < plane.height; ++y) {
      const T* const from = plane.row<T>(y);
      T* const to = out.row<T>(y);
      const float* const now = sharpness_.data() + y * plane.width;
      float* const best = best_.data() + y * plane.width;
      for (int64_t x = 0; x < plane.width; ++x) {
        const bool sharper = now[x] > best[x] || (best[x] != best[x] && now[x] == now[x]);
        to[x] = sharper ? from[x] : to[x];
        best[x] = sharper ? now[x] : best[x];
      }
    }
  });
}

double FocusScore(const Plane& in) {
  RequirePixels("focusScore", in);
  const auto load = Kernels().scale_to_f64[static_cast<int>(in.dtype)];
  // The Laplacian's mean is small: the boundary makes its sum that of nothing but differences.
  double sum = 0, squares = 0;
  ForLaplacian<double>(
      in, [&](const std::byte* row, double* to) { load(row, 1, 0, to, in.width); },
      [&](int64_t, const double* values) {
        double row_sum = 0, row_squares = 0;
        for (int64_t x = 0; x < in.width; ++x) {
          row_sum += values[x];
          row_squares += values[x] * values[x];
        }
        sum += row_sum;
        squares += row_squares;
      });
  const auto n = static_cast<double>(in.pixels());
  return std::max(0.0, squares / n - sum / n * (sum / n));
}

}  // namespace tilecast
