// SPDX-License-Identifier: MIT
// Rolling ball, bilateral filter, shifts and skeletons: by their definitions pixel by pixel, at
// their limits, on every instruction set, and on parts of an image.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "error.h"
#include "ops/background.h"
#include "ops/bilateral.h"
#include "ops/kernels/kernels.h"
#include "ops/skeleton.h"
#include "ops/translate.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

template <class T>
T BallByDefinition(Image<T>& in, int64_t radius, int64_t y, int64_t x) {
  const Plane p = in.plane();
  double least = std::numeric_limits<double>::infinity();
  for (int64_t v = std::max<int64_t>(0, y - radius); v <= std::min(p.height - 1, y + radius); ++v) {
    for (int64_t u = std::max<int64_t>(0, x - radius); u <= std::min(p.width - 1, x + radius);
         ++u) {
      const int64_t square = (v - y) * (v - y) + (u - x) * (u - x);
      if (square > radius * radius) continue;
      const double under = std::sqrt(static_cast<double>(radius * radius - square));
      if constexpr (std::is_floating_point_v<T>) {
        const float sum = in.at(v, u) + (static_cast<float>(radius) - static_cast<float>(under));
        least = std::min(least, static_cast<double>(sum));
      } else {
        least =
            std::min(least, static_cast<double>(in.at(v, u)) + static_cast<double>(radius) - under);
      }
    }
  }
  return static_cast<T>(least);
}

template <class T>
void CheckBall(double low, double high) {
  for (const auto& [height, width] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 300}, {97, 1}, {40, 260}, {61, 130}}) {
    Image<T> in = Image<T>::Random(height, width, low, high, static_cast<uint32_t>(width));
    for (const int64_t radius : {1, 7, 50, 300}) {
      INFO(height, " x ", width, ", radius ", radius);
      Image<T> background(height, width), corrected(height, width);
      RollingBall(in.plane(), radius, BallResult::kBackground, background.plane());
      RollingBall(in.plane(), radius, BallResult::kCorrected, corrected.plane());
      CHECK(background.intact());
      CHECK(corrected.intact());
      bool equal = true;
      for (int64_t y = 0; y < height; y += radius > 50 ? 7 : 1) {
        for (int64_t x = 0; x < width; x += radius > 7 ? 5 : 1) {
          const T want = BallByDefinition(in, radius, y, x);
          equal = equal && background.at(y, x) == want &&
                  corrected.at(y, x) == static_cast<T>(in.at(y, x) - want);
        }
      }
      CHECK(equal);
    }
  }
}

TEST_CASE("a rolled ball's background is the ball's height where it touches") {
  CheckBall<uint8_t>(0, 256);
  CheckBall<uint8_t>(240, 256);
  CheckBall<uint16_t>(0, 65536);
  CheckBall<uint16_t>(100, 140);
  CheckBall<float>(-50, 300);
}

TEST_CASE("NaN is no background, and stays") {
  Image<float> in = Image<float>::From(9, 200, [](int64_t, int64_t x) { return 3 + x % 2; });
  in.at(4, 50) = kNan;
  in.at(0, 0) = kInf;
  Image<float> out(9, 200);
  RollingBall(in.plane(), 5, BallResult::kCorrected, out.plane());
  CHECK(std::isnan(out.at(4, 50)));
  CHECK(out.at(0, 0) == kInf);
  CHECK(out.at(4, 52) == 0);
  CHECK(out.at(4, 51) < 1);
  Image<float> nothing = Image<float>::From(3, 3, [](int64_t, int64_t) { return kNan; });
  Image<float> left(3, 3);
  RollingBall(nothing.plane(), 2, BallResult::kBackground, left.plane());
  CHECK(left.at(1, 1) == kInf);
}

TEST_CASE("what is not finite has no weight in a bilateral filter, and stays") {
  Image<float> in = Image<float>::From(20, 40, [](int64_t, int64_t) { return 7; });
  in.at(10, 20) = kNan;
  in.at(5, 5) = -kInf;
  in.at(15, 30) = 9;
  Image<float> out(20, 40);
  Bilateral(in.plane(), 1, 0.5, out.plane());
  CHECK(out.intact());
  CHECK(std::isnan(out.at(10, 20)));
  CHECK(out.at(5, 5) == -kInf);
  CHECK(out.at(10, 21) == 7);
  CHECK(out.at(5, 6) == 7);
  CHECK(out.at(15, 30) < 9);
  CHECK(out.at(15, 30) > 8.9);
  Image<uint8_t> one = Image<uint8_t>::Of({{200}});
  Image<float> same(1, 1);
  Bilateral(one.plane(), 3, 10, same.plane());
  CHECK(same.at(0, 0) == 200);
}

TEST_CASE("a shift by whole pixels moves them, and nothing is invented at the edges") {
  auto in = Image<int32_t>::Of({{1, 2, 3}, {4, 5, -2000000001}, {7, 8, 9}});
  Image<int32_t> out(3, 3);
  for (const Spline spline : {Spline::kLinear, Spline::kCubic}) {
    Translate(in.plane(), 1, -1, spline, Outside::kZero, out.plane());
    CHECK(out.values() == std::vector<int32_t>{0, 0, 0, 2, 3, 0, 5, -2000000001, 0});
    Translate(in.plane(), 1, -1, spline, Outside::kEdge, out.plane());
    CHECK(out.values() == std::vector<int32_t>{2, 3, 3, 2, 3, 3, 5, -2000000001, -2000000001});
    Translate(in.plane(), -900.5, 0, spline, Outside::kZero, out.plane());
    CHECK(out.values() == std::vector<int32_t>(9));
    Translate(in.plane(), 0, 65536, spline, Outside::kEdge, out.plane());
    CHECK(out.values() == std::vector<int32_t>{1, 1, 1, 4, 4, 4, 7, 7, 7});
  }
  auto one = Image<uint8_t>::Of({{77}});
  Image<uint8_t> same(1, 1);
  Translate(one.plane(), 0.3, -0.6, Spline::kCubic, Outside::kEdge, same.plane());
  CHECK(same.at(0, 0) == 77);
  Translate(one.plane(), 0.3, 0, Spline::kCubic, Outside::kZero, same.plane());
  CHECK(same.at(0, 0) == 0);
}

TEST_CASE("a skeleton is scikit-image's, may take its mask's memory, and sees nothing outside") {
  auto mask = Image<uint8_t>::Of({{9, 9, 9, 9, 9}, {9, 9, 9, 9, 9}, {9, 9, 9, 9, 9}});
  Skeletonize(mask.plane(), mask.plane());
  CHECK(mask.values() == std::vector<uint8_t>{0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0});
  CHECK(mask.intact());
  auto dot = Image<uint8_t>::Of({{1}});
  Skeletonize(dot.plane(), dot.plane());
  CHECK(dot.at(0, 0) == 1);
  auto nothing = Image<uint8_t>::From(5, 130, [](int64_t, int64_t) { return 0; });
  Skeletonize(nothing.plane(), nothing.plane());
  CHECK(nothing.values() == std::vector<uint8_t>(650));
}

TEST_CASE("arguments out of range are refused with what came") {
  Image<float> a(4, 5), b(4, 5);
  CHECK_THROWS_WITH(RollingBall(a.plane(), 0, BallResult::kCorrected, b.plane()),
                    "rollingBall: the radius must be within 1..1024 px, got 0");
  CHECK_THROWS_WITH(Bilateral(a.plane(), 0, 3, b.plane()),
                    "bilateral: sigma must be above 0 and at most 64 px, got 0.000000");
  CHECK_THROWS_WITH(Bilateral(a.plane(), 2, kNan, b.plane()),
                    "bilateral: the range must be within 1e-9..1e9, got nan");
  CHECK_THROWS_WITH(Translate(a.plane(), kNan, 0, Spline::kCubic, Outside::kEdge, b.plane()),
                    "translate: a shift must be within 65536 px, got nan");
  Image<int16_t> c(4, 5), d(4, 5);
  CHECK_THROWS_WITH(RollingBall(c.plane(), 3, BallResult::kCorrected, d.plane()),
                    "rollingBall takes uint8, uint16, float32, and got int16");
}

// A part of an image with what its op looks at around it gives the very pixels of the whole.
TEST_CASE("parts of an image give the bits of the whole") {
  Image<float> in = Image<float>::Random(150, 170, 0, 900);
  struct Case {
    int64_t halo;
    std::function<void(const Plane&, const Plane&)> run;
  };
  const std::vector<Case> cases = {
      {9, [](const Plane& a, const Plane& b) { RollingBall(a, 9, BallResult::kCorrected, b); }},
      {BilateralRadius(1.7), [](const Plane& a, const Plane& b) { Bilateral(a, 1.7, 80, b); }},
      {TranslateHalo(Spline::kCubic, -3.3, 0.7),
       [](const Plane& a, const Plane& b) {
         Translate(a, -3.3, 0.7, Spline::kCubic, Outside::kEdge, b);
       }},
      {TranslateHalo(Spline::kLinear, 0.25, 12.5), [](const Plane& a, const Plane& b) {
         Translate(a, 0.25, 12.5, Spline::kLinear, Outside::kZero, b);
       }}};
  for (const Case& c : cases) {
    Image<float> whole(150, 170);
    c.run(in.plane(), whole.plane());
    for (const auto& [y0, x0] : {std::pair<int64_t, int64_t>{0, 0}, {50, 60}, {117, 131}}) {
      const int64_t y1 = std::min<int64_t>(150, y0 + 33), x1 = std::min<int64_t>(170, x0 + 39);
      const int64_t top = std::max<int64_t>(0, y0 - c.halo),
                    left = std::max<int64_t>(0, x0 - c.halo);
      const int64_t height = std::min<int64_t>(150, y1 + c.halo) - top,
                    width = std::min<int64_t>(170, x1 + c.halo) - left;
      const Plane all = in.plane();
      const Plane part{all.data + top * all.stride + left * 4, DType::kF32, height, width,
                       all.stride};
      Image<float> out(height, width);
      c.run(part, out.plane());
      bool equal = true;
      for (int64_t y = y0; y < y1; ++y) {
        for (int64_t x = x0; x < x1; ++x)
          equal = equal && out.at(y - top, x - left) == whole.at(y, x);
      }
      CHECK(equal);
    }
  }
}

template <class T>
void CheckBallKernels(BallKind kind, double high) {
  const KernelTable* tables[8];
  const int count = RunnableKernels(tables, 8);
  std::mt19937 random(3);
  std::uniform_real_distribution<double> values(0, high);
  for (const int64_t n : {1, 5, 31, 64, 100, 128}) {
    constexpr int64_t kReach = 40;
    std::vector<T> a(n + 2 * kReach + kNeighbourSlack), b(a.size()), height;
    for (T& v : a) v = static_cast<T>(values(random));
    for (T& v : b) v = static_cast<T>(values(random));
    for (int64_t i = 0; i < kReach; ++i) height.push_back(static_cast<T>(i * i / 9));
    std::vector<T> want;
    double greatest = 0;
    for (int t = 0; t < count; ++t) {
      std::vector<T> line(a.size()), acc(n + kNeighbourSlack, static_cast<T>(high));
      const double least =
          tables[t]->neighbours.fold[kind](a.data(), b.data(), line.data(), n + 2 * kReach);
      CHECK(least == *std::min_element(line.begin(), line.begin() + n + 2 * kReach));
      const double most = tables[t]->neighbours.ball[kind](line.data() + kReach, height.data(),
                                                           kReach, acc.data(), n);
      acc.resize(n);
      CHECK(most == *std::max_element(acc.begin(), acc.end()));
      if (t == 0) {
        want = acc;
        greatest = most;
      }
      CHECK(acc == want);
      CHECK(most == greatest);
    }
  }
}

TEST_CASE("neighbourhood kernels agree between instruction sets") {
  CheckBallKernels<uint8_t>(kBallU8, 255);
  CheckBallKernels<uint16_t>(kBallU16, 65535);
  CheckBallKernels<float>(kBallF32, 1e6);
  const KernelTable* tables[8];
  const int count = RunnableKernels(tables, 8);
  std::mt19937 random(4);
  std::uniform_real_distribution<float> values(0, 1000);
  for (const int64_t n : {1, 7, 16, 33, 200}) {
    std::vector<float> in(3 * 300);
    for (float& v : in) v = values(random);
    in[310] = 3e38f;
    std::vector<int64_t> offset;
    std::vector<float> cost;
    for (int64_t dy = -1; dy <= 1; ++dy) {
      for (int64_t dx = -1; dx <= 1; ++dx) {
        offset.push_back(dy * 300 + dx);
        cost.push_back(0.3f * static_cast<float>(dy * dy + dx * dx));
      }
    }
    std::vector<double> line(n + 60), weight;
    for (double& v : line) v = values(random);
    for (int i = 0; i < 42; ++i) weight.push_back(std::pow(-0.27, std::abs(i - 20)));
    std::vector<const double*> rows;
    for (int i = 0; i < 42; ++i) rows.push_back(line.data() + i % 7);
    std::vector<float> first;
    std::vector<double> along, down;
    for (int t = 0; t < count; ++t) {
      INFO(tables[t]->name, ", ", n, " pixels");
      const NeighbourKernels& k = tables[t]->neighbours;
      std::vector<float> out(n + kNeighbourSlack);
      k.bilateral(in.data() + 301, offset.data(), cost.data(), 9, 1e-4f, out.data(), n);
      out.resize(n);
      std::vector<double> a(n), d(n);
      k.weigh_line(line.data(), weight.data(), 42, a.data(), n);
      k.weigh_rows(rows.data(), weight.data(), 42, d.data(), n);
      if (t == 0) {
        first = out;
        along = a;
        down = d;
      }
      CHECK(out == first);
      CHECK(a == along);
      CHECK(d == down);
    }
  }
}

TEST_CASE("the least of rows is the same on every instruction set, and NaN wins") {
  const KernelTable* tables[8];
  const int count = RunnableKernels(tables, 8);
  for (int t = 0; t < count; ++t) {
    std::vector<float> acc = {1, kNan, 3, -2, 5, 6, 7, 8, 9}, in = {2, 1, kNan, -3, 5, 1, 9, 0, 1};
    tables[t]->min[static_cast<int>(DType::kF32)](in.data(), acc.data(), 9);
    CHECK(acc[0] == 1);
    CHECK(std::isnan(acc[1]));
    CHECK(std::isnan(acc[2]));
    CHECK(std::vector<float>(acc.begin() + 3, acc.end()) == std::vector<float>{-3, 5, 1, 7, 0, 1});
    std::vector<uint16_t> a = {9, 65535, 3}, b = {10, 4, 3};
    tables[t]->min[static_cast<int>(DType::kU16)](b.data(), a.data(), 3);
    CHECK(a == std::vector<uint16_t>{9, 4, 3});
  }
}

}  // namespace
}  // namespace tilecast
