// SPDX-License-Identifier: MIT
// Shifts as two filters of constant taps: along the rows, then down the columns from a ring of
// filtered rows.
#include "ops/translate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

constexpr int64_t kReach = 20;

double CubicSpline(double t) {
  t = std::abs(t);
  if (t >= 2) return 0;
  if (t >= 1) return (2 - t) * (2 - t) * (2 - t) / 6;
  return 2.0 / 3 - t * t * (2 - t) / 2;
}

// What one direction takes for each output pixel i: the sum of weight[k] * in[i + first + k].
struct Filter {
  int64_t first;
  std::vector<double> weight;
  double shift;

  Filter(Spline spline, double by) : shift(-by) {
    const double whole = std::floor(shift), t = shift - whole;
    first = static_cast<int64_t>(whole);
    if (t == 0) {
      weight = {1};
    } else if (spline == Spline::kLinear) {
      weight = {1 - t, t};
    } else {
      // The spline's coefficients are the pixels filtered by sqrt(3) z^|k|, z = sqrt(3) - 2 (Unser,
      // IEEE Signal Processing Magazine 16(6), 1999).
      first -= kReach;
      weight.assign(static_cast<size_t>(2 * kReach + 2), 0);
      for (int64_t k = 0; k < 2 * kReach + 2; ++k) {
        for (int64_t j = -1; j <= 2; ++j) {
          weight[static_cast<size_t>(k)] +=
              std::sqrt(3.0) *
              std::pow(std::sqrt(3.0) - 2, static_cast<double>(std::abs(k - kReach - j))) *
              CubicSpline(t - static_cast<double>(j));
        }
      }
    }
  }
  int64_t count() const { return static_cast<int64_t>(weight.size()); }
};

// The pixel that stands for one at i.
int64_t Inside(int64_t i, int64_t n, Outside outside) {
  if (outside == Outside::kEdge || n == 1) return std::clamp<int64_t>(i, 0, n - 1);
  i %= 2 * n - 2;  // d c b | a b c d | c b a: what scipy's spline takes for the outside
  if (i < 0) i += 2 * n - 2;
  return i < n ? i : 2 * n - 2 - i;
}

struct Scratch {
  std::vector<double> ring, line, result;
  std::vector<const double*> rows;
};

}  // namespace

int64_t TranslateHalo(Spline spline, double y, double x) {
  const auto reach = static_cast<int64_t>(std::ceil(std::max(std::abs(y), std::abs(x))));
  return reach + (spline == Spline::kCubic ? kReach + 1 : 1);
}

void Translate(const Plane& in, double y_by, double x_by, Spline spline, Outside outside,
               const Plane& out) {
  RequireDType("translate", "the result", out, in.dtype);
  RequireShape("translate", "the result", out, in.height, in.width);
  for (const double by : {y_by, x_by}) {
    if (std::abs(by) <= kMaxShift) continue;
    throw Error(Code::kInvalidArgument,
                "translate: a shift must be within 65536 px, got " + std::to_string(by));
  }
  if (in.height == 0 || in.width == 0) return;
  thread_local Scratch scratch;
  const Filter down(spline, y_by), along(spline, x_by);
  const KernelTable& kernels = Kernels();
  const auto load = kernels.scale_to_f64[static_cast<int>(in.dtype)];
  const auto store = kernels.from_f64[static_cast<int>(in.dtype)];
  const int64_t width = in.width, span = width + along.count() - 1;
  const int64_t ring = std::min(down.count() + 1, in.height);
  scratch.ring.resize(static_cast<size_t>(ring * width));
  scratch.line.resize(static_cast<size_t>(width + span));
  scratch.result.resize(static_cast<size_t>(width));
  scratch.rows.resize(static_cast<size_t>(down.count()));
  // Row y lies in the ring at y % ring; which one does is noted.
  thread_local std::vector<int64_t> held;
  held.assign(static_cast<size_t>(ring), -1);
  const auto row = [&](int64_t y) {
    double* const to = scratch.ring.data() + y % ring * width;
    if (held[static_cast<size_t>(y % ring)] == y) return to;
    held[static_cast<size_t>(y % ring)] = y;
    double* const pixels = scratch.line.data();
    double* const around = pixels + width;
    load(in.row<std::byte>(y), 1, 0, pixels, width);
    for (int64_t i = 0; i < span; ++i) {
      const int64_t x = along.first + i;
      around[i] = pixels[x >= 0 && x < width ? x : Inside(x, width, outside)];
    }
    kernels.neighbours.weigh_line(around, along.weight.data(), along.count(), to, width);
    return to;
  };
  const auto size = static_cast<int64_t>(DTypeSize(in.dtype));
  // Source positions i + shift that lie within 0..n - 1.
  const auto begin = [](const Filter& f, int64_t n) {
    return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(-f.shift)), 0, n);
  };
  const auto end = [](const Filter& f, int64_t n) {
    return std::clamp<int64_t>(
        static_cast<int64_t>(std::floor(static_cast<double>(n - 1) - f.shift)) + 1, 0, n);
  };
  const bool zero = outside == Outside::kZero;
  const int64_t top = zero ? begin(down, in.height) : 0,
                bottom = zero ? end(down, in.height) : in.height,
                left = zero ? begin(along, width) : 0, right = zero ? end(along, width) : width;
  for (int64_t y = 0; y < in.height; ++y) {
    std::byte* const to = out.row<std::byte>(y);
    if (y < top || y >= bottom || left >= right) {
      std::memset(to, 0, static_cast<size_t>(out.row_bytes()));
      continue;
    }
    for (int64_t i = 0; i < down.count(); ++i) {
      scratch.rows[static_cast<size_t>(i)] = row(Inside(y + down.first + i, in.height, outside));
    }
    kernels.neighbours.weigh_rows(scratch.rows.data(), down.weight.data(), down.count(),
                                  scratch.result.data(), width);
    store(scratch.result.data() + left, to + left * size, right - left);
    std::memset(to, 0, static_cast<size_t>(left * size));
    std::memset(to + right * size, 0, static_cast<size_t>((width - right) * size));
  }
}

}  // namespace tilecast
