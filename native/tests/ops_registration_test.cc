// SPDX-License-Identifier: MIT
// Transforms, shifts between images and matches of overlapping ones: against numpy and scikit-image
// (scripts/make-ops-oracle.py), and against shifts that are known because the images were made so.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "error.h"
#include "exec/aligner.h"
#include "ops/fft.h"
#include "ops/pair_match.h"
#include "ops/phase_correlation.h"
#include "ops_oracle.h"

namespace tilecast {
namespace {

using test::At;
using test::Number;
using test::Oracle;
using test::TheOracle;
using test::Values;

TEST_CASE("the half spectrum is numpy.fft.rfft2's, and back it is the image") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("fft", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    std::vector<float> image(static_cast<size_t>(in.pixels()));
    for (int64_t y = 0; y < in.height; ++y)
      std::copy_n(in.row<float>(y), in.width, image.begin() + y * in.width);
    const int64_t half = HalfWidth(in.width);
    std::vector<std::complex<float>> spectrum(static_cast<size_t>(in.height * half));
    ForwardFft(image.data(), in.height, in.width, spectrum.data());
    for (int64_t y = 0; y < in.height; ++y) {
      for (int64_t x = 0; x < half; ++x) {
        const std::complex<float> got = spectrum[static_cast<size_t>(y * half + x)];
        CHECK(got.real() ==
              doctest::Approx(At(oracle->plane(v.at("real")), y, x)).epsilon(1e-4).scale(10));
        CHECK(got.imag() ==
              doctest::Approx(At(oracle->plane(v.at("imaginary")), y, x)).epsilon(1e-4).scale(10));
      }
    }
    std::vector<float> back(image.size());
    InverseFft(spectrum.data(), in.height, in.width, back.data());
    for (size_t i = 0; i < back.size(); ++i)
      CHECK(back[i] == doctest::Approx(image[i]).epsilon(1e-5).scale(1));
  });
}

TEST_CASE("fast lengths have no other prime factors than 2, 3, 5, 7 and 11") {
  for (int64_t n = 1; n <= 3000; ++n) {
    const int64_t fast = FastFftSize(n);
    CHECK(fast <= n);
    CHECK(10 * fast >= 9 * n - 10);  // and are near
    int64_t rest = fast;
    for (const int64_t prime : {2, 3, 5, 7, 11})
      while (rest % prime == 0) rest /= prime;
    CHECK(rest == 1);
  }
}

TEST_CASE("shifts and errors are skimage.registration.phase_cross_correlation's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  PhaseCorrelator correlator;
  oracle->Each("phase_correlation", [&](const Values& v) {
    const Plane &reference = oracle->plane(v.at("reference")),
                &moving = oracle->plane(v.at("moving"));
    correlator.Load(reference, moving);
    const std::vector<float>& surface =
        correlator.Surface(Number(v, "phase") != 0 ? CrossPower::kPhase : CrossPower::kNone);
    size_t peak = 0;
    for (size_t i = 1; i < surface.size(); ++i)
      if (std::abs(surface[i]) > std::abs(surface[peak])) peak = i;
    const auto place = [](int64_t i, int64_t n) {
      return static_cast<double>(i > n / 2 ? i - n : i);
    };
    const auto at = static_cast<int64_t>(peak);
    double y = place(at / reference.width, reference.height);
    double x = place(at % reference.width, reference.width);
    const int upsample = static_cast<int>(Number(v, "upsample"));
    if (upsample > 1) {
      const ImageShift shift = correlator.Refine(y, x, upsample);
      y = shift.y;
      x = shift.x;
      CHECK(shift.error == doctest::Approx(Number(v, "error")).epsilon(2e-3).scale(1));
    }
    // One row or column says nothing of shifts across it; scikit-image sets those to 0.
    // Between two places of the finer grid that are as good, rounding decides.
    const double tie = upsample > 1 ? 1.01 / upsample : 0.001;
    if (reference.height > 1) CHECK(std::abs(y - Number(v, "y")) < tie);
    if (reference.width > 1) CHECK(std::abs(x - Number(v, "x")) < tie);
  });
}

TEST_CASE("the correlation of two images is numpy.corrcoef's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("correlation", [&](const Values& v) {
    const double r = Correlation(oracle->plane(v.at("a")), oracle->plane(v.at("b")));
    CHECK(r == doctest::Approx(Number(v, "r")).epsilon(1e-5).scale(1));
  });
  std::vector<float> flat(64, 3.0f), other(64);
  for (size_t i = 0; i < other.size(); ++i) other[i] = static_cast<float>(i);
  CHECK(Correlation(PackedPlane(flat.data(), DType::kF32, 8, 8),
                    PackedPlane(other.data(), DType::kF32, 8, 8)) == 0);
}

// Blobs at places of any fraction of a pixel, with noise of its own.
std::vector<uint16_t> View(double y0, double x0, int64_t height, int64_t width, double noise,
                           unsigned seed) {
  std::mt19937 scene(5);
  std::uniform_real_distribution<double> part(0, 1);
  std::vector<double> image(static_cast<size_t>(height * width), 100.0);
  for (int i = 0; i < 900; ++i) {
    const double cy = part(scene) * 600 - y0, cx = part(scene) * 600 - x0;
    const double sigma = 1.2 + 3 * part(scene), light = 200 + 400 * part(scene);
    for (int64_t y = 0; y < height; ++y) {
      const double dy = static_cast<double>(y) - cy;
      if (std::abs(dy) > 4 * sigma) continue;
      for (int64_t x = 0; x < width; ++x) {
        const double dx = static_cast<double>(x) - cx;
        if (std::abs(dx) > 4 * sigma) continue;
        image[static_cast<size_t>(y * width + x)] +=
            light * std::exp(-(dy * dy + dx * dx) / (2 * sigma * sigma));
      }
    }
  }
  std::mt19937 own(seed);
  std::normal_distribution<double> random(0, noise);
  std::vector<uint16_t> out(image.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<uint16_t>(std::max(0.0, std::round(image[i] + random(own))));
  return out;
}

PairMatch MatchViews(double y, double x, double expected_y, double expected_x, double noise) {
  constexpr int64_t kHeight = 180, kWidth = 220;
  Aligner aligner(kHeight, kWidth, 2, {{0, 1, expected_y, expected_x}}, 16, 10);
  std::vector<uint16_t> a = View(50, 60, kHeight, kWidth, noise, 1);
  std::vector<uint16_t> b = View(50 + y, 60 + x, kHeight, kWidth, noise, 2);
  aligner.Add(1, PackedPlane(b.data(), DType::kU16, kHeight, kWidth));
  aligner.Add(0, PackedPlane(a.data(), DType::kU16, kHeight, kWidth));
  return aligner.Finish().at(0);
}

TEST_CASE("overlapping views of a scene are matched to a tenth of a pixel, on every side") {
  const double places[][2] = {{0, 190},   {5, 182},     {-7, -190},     {150, 3},
                              {-152, -9}, {3.4, 185.7}, {141.25, -6.6}, {0.3, -0.7}};
  for (const auto& [y, x] : places) {
    const double ey = y + 6, ex = x - 8;
    const PairMatch clean = MatchViews(y, x, ey, ex, 3);
    CAPTURE(y);
    CAPTURE(x);
    REQUIRE(clean.found);
    CHECK(std::abs(clean.y - y) <= 0.11);
    CHECK(std::abs(clean.x - x) <= 0.11);
    CHECK(clean.score > 0.9);
    CHECK(clean.chance < 0.7);
    const PairMatch noisy = MatchViews(y, x, ey, ex, 60);
    CHECK(std::abs(noisy.y - y) < 0.5);
    CHECK(std::abs(noisy.x - x) < 0.5);
  }
}

TEST_CASE("views farther apart than the reach match no better than mirror images") {
  const PairMatch match = MatchViews(40, 150, 0, 190, 3);
  CHECK(std::atanh(match.score) < 1.5 * std::atanh(match.chance));
}

TEST_CASE("images that do not overlap, or say nothing, are not found") {
  CHECK_FALSE(MatchViews(0, 300, 0, 300, 3).found);
  std::vector<float> flat(100 * 100, 7.0f);
  const Plane plane = PackedPlane(flat.data(), DType::kF32, 100, 100);
  Aligner aligner(100, 100, 3, {{0, 1, 0, 60}, {1, 2, 0, 60}}, 10, 10);
  aligner.Add(0, plane);
  aligner.Add(1, plane);
  const std::vector<PairMatch> found = aligner.Finish();
  CHECK_FALSE(found.at(0).found);  // nothing in them
  CHECK_FALSE(found.at(1).found);  // the third never came
  for (float& v : flat) v = NAN;
  Aligner nothing(100, 100, 2, {{0, 1, 0, 60}}, 10, 10);
  nothing.Add(0, plane);
  nothing.Add(1, plane);
  CHECK_FALSE(nothing.Finish().at(0).found);
}

TEST_CASE("windows hold what the second image may show of the first, within both") {
  for (const double offset : {-170.0, -90.4, 0.0, 20.0, 160.0}) {
    const PairWindows w = WindowsOf(200, 200, offset, 0, 10);
    REQUIRE(w.height > 0);
    CHECK(FastFftSize(w.height) == w.height);
    CHECK(w.first_y >= 0);
    CHECK(w.second_y >= 0);
    CHECK(w.first_y + w.height <= 200);
    CHECK(w.second_y + w.height <= 200);
    // Laid on each other as expected, they overlap.
    CHECK(std::abs(offset - static_cast<double>(w.first_y - w.second_y)) <
          static_cast<double>(w.height));
  }
  CHECK(WindowsOf(200, 200, 0, 199, 0).height == 0);
  CHECK(WindowsOf(10, 10, 0, 0, 5).height == 0);
}

TEST_CASE("an aligner refuses images of another size, and pairs of images that there are not") {
  CHECK_THROWS_WITH_AS(Aligner(10, 10, 2, {{0, 2, 0, 0}}, 1, 1), "pair 0 is of images 0 and 2 of 2",
                       Error);
  CHECK_THROWS_WITH_AS(Aligner(10, 10, 2, {{1, 1, 0, 0}}, 1, 1), "pair 0 is of images 1 and 1 of 2",
                       Error);
  Aligner aligner(10, 12, 2, {{0, 1, 0, 0}}, 1, 1);
  std::vector<uint8_t> pixels(90);
  CHECK_THROWS_WITH_AS(aligner.Add(0, PackedPlane(pixels.data(), DType::kU8, 9, 10)),
                       "images to be aligned are 12 x 10 px, and one has 10 x 9", Error);
}

}  // namespace
}  // namespace tilecast
