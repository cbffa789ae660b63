// SPDX-License-Identifier: MIT
// Two passes over the pixels: sums and greatest pixels, then what is about the means and levels.
#include "ops/colocalization.h"

#include <cmath>
#include <limits>
#include <string>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

struct Sums {
  double n = 0, a = 0, b = 0;
  double most_a = -std::numeric_limits<double>::infinity(), most_b = most_a;
  // From the second pass.
  double aa = 0, bb = 0, ab = 0;  // about the means
  double squares_a = 0, squares_b = 0, products = 0;
  double a_in_b = 0, b_in_a = 0;

  void First(const double* x, const double* y, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      a += x[i];
      b += y[i];
      most_a = x[i] > most_a ? x[i] : most_a;
      most_b = y[i] > most_b ? y[i] : most_b;
    }
    n += static_cast<double>(count);
  }
  void Second(const double* x, const double* y, int64_t count, double share) {
    const double mean_a = a / n, mean_b = b / n, level_a = most_a * share, level_b = most_b * share;
    for (int64_t i = 0; i < count; ++i) {
      const double p = x[i] - mean_a, q = y[i] - mean_b;
      aa += p * p;
      bb += q * q;
      ab += p * q;
      squares_a += x[i] * x[i];
      squares_b += y[i] * y[i];
      products += x[i] * y[i];
      a_in_b += y[i] > level_b ? x[i] : 0;
      b_in_a += x[i] > level_a ? y[i] : 0;
    }
  }
  ColocalizationRow Row() const {
    // A pixel that is NaN would be left out of these sums only.
    const double odd = a + b - (a + b);
    return {ab / std::sqrt(aa * bb), products / std::sqrt(squares_a * squares_b), a_in_b / a + odd,
            b_in_a / b + odd};
  }
};

void Require(const Plane& a, const Plane& b, int64_t height, int64_t width, double percent) {
  RequireShape("colocalization", "the first image", a, height, width);
  RequireShape("colocalization", "the second image", b, height, width);
  if (!(percent >= 0 && percent < 100)) {
    throw Error(
        Code::kInvalidArgument,
        "colocalization: the threshold must be within 0..100 %, got " + std::to_string(percent));
  }
}

// Pixels x0..x1 of a row of both images, as float64.
class Lines {
 public:
  Lines(const Plane& a, const Plane& b) : a_(a), b_(b) {
    Memory().resize(static_cast<size_t>(2 * a.width));
  }
  template <class F>
  void At(int64_t y, int64_t x0, int64_t x1, F f) const {
    double *const a = Memory().data(), *const b = a + a_.width;
    Load(a_, y, x0, x1, a);
    Load(b_, y, x0, x1, b);
    f(a, b, x1 - x0);
  }

 private:
  static std::vector<double>& Memory() {
    thread_local std::vector<double> memory;
    return memory;
  }
  static void Load(const Plane& p, int64_t y, int64_t x0, int64_t x1, double* to) {
    Kernels().scale_to_f64[static_cast<int>(p.dtype)](
        p.row<std::byte>(y) + x0 * static_cast<int64_t>(DTypeSize(p.dtype)), 1, 0, to, x1 - x0);
  }
  const Plane &a_, &b_;
};

}  // namespace

void MeasureColocalization(const Objects& objects, const Plane& a, const Plane& b, double percent,
                           std::vector<ColocalizationRow>& rows) {
  Require(a, b, objects.height, objects.width, percent);
  thread_local std::vector<Sums> sums;
  sums.assign(static_cast<size_t>(objects.count), Sums{});
  const Lines lines(a, b);
  const auto each = [&](auto pass) {
    for (const Run& run : objects.runs) {
      lines.At(run.y, run.x0, run.x1, [&](const double* x, const double* y, int64_t n) {
        pass(sums[static_cast<size_t>(run.label) - 1], x, y, n);
      });
    }
  };
  each([](Sums& s, const double* x, const double* y, int64_t n) { s.First(x, y, n); });
  each([&](Sums& s, const double* x, const double* y, int64_t n) {
    s.Second(x, y, n, percent / 100);
  });
  rows.resize(sums.size());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = sums[i].Row();
}

ColocalizationRow Colocalization(const Plane& a, const Plane& b, double percent) {
  Require(a, b, a.height, a.width, percent);
  const Lines lines(a, b);
  Sums sums;
  for (int64_t y = 0; y < a.height; ++y) {
    lines.At(y, 0, a.width,
             [&](const double* p, const double* q, int64_t n) { sums.First(p, q, n); });
  }
  for (int64_t y = 0; y < a.height; ++y) {
    lines.At(y, 0, a.width, [&](const double* p, const double* q, int64_t n) {
      sums.Second(p, q, n, percent / 100);
    });
  }
  return sums.Row();
}

}  // namespace tilecast
