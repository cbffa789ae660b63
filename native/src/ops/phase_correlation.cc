// SPDX-License-Identifier: MIT
// Cross-power spectra on half spectra, and the upsampled DFT as two small matrix products.
#include "ops/phase_correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "error.h"
#include "ops/fft.h"

namespace tilecast {
namespace {

// Weight of pixel i of n: rises over `ramp` px as half a Hann window.
std::vector<float> Taper(int64_t n, int64_t ramp) {
  std::vector<float> weights(static_cast<size_t>(n), 1.0f);
  ramp = std::min(ramp, n / 2);
  for (int64_t i = 0; i < ramp; ++i) {
    const double angle =
        std::numbers::pi * (static_cast<double>(i) + 0.5) / static_cast<double>(ramp);
    const auto w = static_cast<float>(0.5 * (1 - std::cos(angle)));
    weights[static_cast<size_t>(i)] = weights[static_cast<size_t>(n - 1 - i)] = w;
  }
  return weights;
}

// Columns of a half spectrum that stand for two of the whole one.
bool Doubled(int64_t column, int64_t width) {
  return column != 0 && 2 * column != width;
}

// exp(2 pi i * at * k / n) for k of the transform's order (0, 1, ..., -2, -1) or the half one.
std::complex<double> Wave(double at, int64_t k, int64_t n) {
  const double f = static_cast<double>(k > n / 2 ? k - n : k) / static_cast<double>(n);
  const double angle = 2 * std::numbers::pi * at * f;
  return {std::cos(angle), std::sin(angle)};
}

}  // namespace

double PhaseCorrelator::Transform(const Plane& in, int64_t ramp, Spectrum& out) {
  const std::vector<float> wy = Taper(height_, ramp), wx = Taper(width_, ramp);
  real_.resize(static_cast<size_t>(height_ * width_));
  for (int64_t y = 0; y < height_; ++y) {
    const float* from = in.row<float>(y);
    float* to = real_.data() + y * width_;
    const float w = wy[static_cast<size_t>(y)];
    for (int64_t x = 0; x < width_; ++x) to[x] = from[x] * (w * wx[static_cast<size_t>(x)]);
  }
  const int64_t half = HalfWidth(width_);
  out.resize(static_cast<size_t>(height_ * half));
  ForwardFft(real_.data(), height_, width_, out.data());
  double energy = 0;
  for (int64_t y = 0; y < height_; ++y) {
    const std::complex<float>* row = out.data() + y * half;
    double once = 0, twice = 0;
    for (int64_t x = 0; x < half; ++x) {
      const double e = static_cast<double>(row[x].real()) * row[x].real() +
                       static_cast<double>(row[x].imag()) * row[x].imag();
      (Doubled(x, width_) ? twice : once) += e;
    }
    energy += once + 2 * twice;
  }
  return energy;
}

void PhaseCorrelator::Load(const Plane& reference, const Plane& moving, int64_t ramp) {
  for (const Plane* p : {&reference, &moving}) {
    if (p->dtype != DType::kF32) {
      throw Error(Code::kOpDtype, "phase correlation takes float32, and an image is " +
                                      std::string(DTypeName(p->dtype)));
    }
  }
  if (reference.height != moving.height || reference.width != moving.width ||
      reference.pixels() == 0) {
    throw Error(Code::kOpShape, "phase correlation takes two images of one size, and got " +
                                    std::to_string(reference.width) + " x " +
                                    std::to_string(reference.height) + " and " +
                                    std::to_string(moving.width) + " x " +
                                    std::to_string(moving.height) + " px");
  }
  height_ = reference.height;
  width_ = reference.width;
  reference_energy_ = Transform(reference, ramp, reference_);
  moving_energy_ = Transform(moving, ramp, moving_);
}

const std::vector<float>& PhaseCorrelator::Surface(CrossPower power, Mirror mirror) {
  const int64_t half = HalfWidth(width_);
  product_.resize(reference_.size());
  // Mirrored through both axes a real image's spectrum is conjugated; through the rows, its rows
  // change places; through the columns, both.
  const bool rows = mirror == Mirror::kRows || mirror == Mirror::kColumns;
  const bool plain = mirror == Mirror::kBoth || mirror == Mirror::kColumns;
  constexpr float kLeast = 100 * std::numeric_limits<float>::epsilon();
  for (int64_t y = 0; y < height_; ++y) {
    const std::complex<float>* a = reference_.data() + y * half;
    const std::complex<float>* b = moving_.data() + (rows ? (height_ - y) % height_ : y) * half;
    std::complex<float>* to = product_.data() + y * half;
    const float sign = plain ? 1.0f : -1.0f;
    for (int64_t x = 0; x < half; ++x) {
      const float ar = a[x].real(), ai = a[x].imag();
      const float br = b[x].real(), bi = sign * b[x].imag();
      float re = ar * br - ai * bi, im = ar * bi + ai * br;
      if (power == CrossPower::kPhase) {
        const float m = 1 / std::max(std::sqrt(re * re + im * im), kLeast);
        re *= m;
        im *= m;
      }
      to[x] = {re, im};
    }
  }
  real_.resize(static_cast<size_t>(height_ * width_));
  InverseFft(product_.data(), height_, width_, real_.data());
  return real_;
}

ImageShift PhaseCorrelator::Refine(double y, double x, int upsample) {
  const int64_t half = HalfWidth(width_);
  const auto size = static_cast<int64_t>(std::ceil(upsample * 1.5));
  const int64_t middle = size / 2;
  y = std::round(y * upsample) / upsample;
  x = std::round(x * upsample) / upsample;
  const auto place = [&](double around, int64_t i) {
    return around + static_cast<double>(i - middle) / upsample;
  };
  // First along the columns of the half spectrum: sums[i, kx] = sum over ky of P wave(y_i, ky).
  using Sum = std::complex<float>;
  std::vector<Sum> sums(static_cast<size_t>(size * half));
  for (int64_t ky = 0; ky < height_; ++ky) {
    const std::complex<float>* row = product_.data() + ky * half;
    for (int64_t i = 0; i < size; ++i) {
      const std::complex<double> wave = Wave(place(y, i), ky, height_);
      const auto wr = static_cast<float>(wave.real()), wi = static_cast<float>(wave.imag());
      Sum* to = sums.data() + i * half;
      for (int64_t kx = 0; kx < half; ++kx) {
        const float re = row[kx].real(), im = row[kx].imag();
        to[kx] = {to[kx].real() + (re * wr - im * wi), to[kx].imag() + (re * wi + im * wr)};
      }
    }
  }
  std::vector<std::complex<double>> waves(static_cast<size_t>(half));
  ImageShift best{0, 0, -1};
  for (int64_t j = 0; j < size; ++j) {
    for (int64_t kx = 0; kx < half; ++kx)
      waves[static_cast<size_t>(kx)] = Wave(place(x, j), kx, width_);
    for (int64_t i = 0; i < size; ++i) {
      const Sum* from = sums.data() + i * half;
      double value = 0;
      for (int64_t kx = 0; kx < half; ++kx) {
        const std::complex<double>& wave = waves[static_cast<size_t>(kx)];
        const double v = from[kx].real() * wave.real() - from[kx].imag() * wave.imag();
        value += Doubled(kx, width_) ? 2 * v : v;
      }
      if (std::abs(value) > best.error) best = {place(y, i), place(x, j), std::abs(value)};
    }
  }
  const double energy = reference_energy_ * moving_energy_;
  best.error = energy > 0 ? std::sqrt(std::abs(1 - best.error * best.error / energy)) : 1;
  return best;
}

}  // namespace tilecast
