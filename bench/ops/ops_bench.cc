// SPDX-License-Identifier: MIT
// Throughput of each CPU op on one core: prints a table of Mpx/s (input pixels) by image side. See
// README.md.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "ops/arithmetic.h"
#include "ops/background.h"
#include "ops/bilateral.h"
#include "ops/detail.h"
#include "ops/distance.h"
#include "ops/focus.h"
#include "ops/gaussian.h"
#include "ops/geometry.h"
#include "ops/histogram.h"
#include "ops/intensity.h"
#include "ops/kernels/kernels.h"
#include "ops/label.h"
#include "ops/measure.h"
#include "ops/morphology.h"
#include "ops/project.h"
#include "ops/rank.h"
#include "ops/resample.h"
#include "ops/skeleton.h"
#include "ops/thresholds.h"
#include "ops/translate.h"

namespace tilecast {
namespace {

struct Buffer {
  Buffer(DType dtype, int64_t height, int64_t width)
      : memory(static_cast<size_t>(height * width) * DTypeSize(dtype) + 64) {
    auto* aligned = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) &
                                                 ~uintptr_t{63});
    plane = PackedPlane(aligned, dtype, height, width);
  }
  std::vector<std::byte> memory;
  Plane plane;
};

// Nuclei of about 20 px on an uneven, noisy background: the density and brightness of a typical
// field at 10x.
Buffer Nuclei(int64_t side) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> image(static_cast<size_t>(side * side));
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      image[static_cast<size_t>(y * side + x)] =
          300 + 120 * std::sin(3.0 * static_cast<double>(x) / static_cast<double>(side));
    }
  }
  for (int64_t count = side * side / 3500; count > 0; --count) {
    const double cy = uniform(random) * static_cast<double>(side),
                 cx = uniform(random) * static_cast<double>(side);
    const double radius = 7 + 5 * uniform(random), bright = 1500 + 4000 * uniform(random);
    const auto reach = static_cast<int64_t>(radius * 1.6);
    for (int64_t y = std::max<int64_t>(0, static_cast<int64_t>(cy) - reach);
         y < std::min(side, static_cast<int64_t>(cy) + reach); ++y) {
      for (int64_t x = std::max<int64_t>(0, static_cast<int64_t>(cx) - reach);
           x < std::min(side, static_cast<int64_t>(cx) + reach); ++x) {
        const double d =
            std::hypot(static_cast<double>(y) - cy, static_cast<double>(x) - cx) / radius;
        image[static_cast<size_t>(y * side + x)] += bright / (1 + std::exp(8 * (d - 1)));
      }
    }
  }
  Buffer out(DType::kU16, side, side);
  std::normal_distribution<double> normal;
  for (size_t i = 0; i < image.size(); ++i) {
    out.plane.row<uint16_t>(0)[i] = static_cast<uint16_t>(
        std::clamp(image[i] + std::sqrt(image[i]) * normal(random), 0.0, 65535.0));
  }
  return out;
}

// The median of repetitions that each take at least 5 ms, over about a quarter of a second.
double SecondsPerCall(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  auto time = [&](int calls) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  time(2);
  int calls = 1;
  while (time(calls) < 0.005) calls *= 2;
  std::vector<double> trials;
  for (double spent = 0; spent < 0.25 || trials.size() < 5; spent += trials.back() * calls)
    trials.push_back(time(calls) / calls);
  std::nth_element(trials.begin(), trials.begin() + static_cast<ptrdiff_t>(trials.size() / 2),
                   trials.end());
  return trials[trials.size() / 2];
}

struct Row {
  std::string name;
  std::vector<double> rates;
};

void Measure(int64_t side, const std::string& only, std::vector<Row>& table) {
  size_t next = 0;
  auto add = [&](const char* name, const std::function<void()>& call) {
    if (std::string(name).find(only) == std::string::npos) return;
    if (next == table.size()) table.push_back({name, {}});
    table[next++].rates.push_back(static_cast<double>(side * side) / SecondsPerCall(call) / 1e6);
  };
  Buffer u16 = Nuclei(side), u8(DType::kU8, side, side), f32(DType::kF32, side, side),
         field(DType::kF32, side, side);
  Buffer out(DType::kF32, side, side), smooth(DType::kF32, side, side),
      mask(DType::kU8, side, side), labels(DType::kI32, side, side);
  const int64_t half = HalfSize(side);
  Buffer half_u16(DType::kU16, half, half), half_u8(DType::kU8, half, half),
      half_f32(DType::kF32, half, half), half_i32(DType::kI32, half, half);
  Buffer max_u16 = Nuclei(side);
  Buffer acc(DType::kU32, side, side), block(DType::kF32, (side + 15) / 16, (side + 15) / 16);
  Rescale(u16.plane, 1.0 / 16, 0, u8.plane);
  Rescale(u16.plane, 1, 0, f32.plane);
  for (int64_t i = 0; i < side * side; ++i)
    field.plane.row<float>(0)[i] = 0.8f + 0.0001f * static_cast<float>(i % 4096);
  const MinMax range = Gaussian(u16.plane, 1.5, smooth.plane);
  const double level = Otsu(smooth.plane, range);
  Objects objects;
  LabelRuns(smooth.plane, level, {}, objects);
  std::vector<ShapeRow> shapes;
  std::vector<IntensityRow> intensities;

  add("gaussian 1.5 f32", [&] { Gaussian(f32.plane, 1.5, out.plane); });
  add("gaussian 1.5 u16", [&] { Gaussian(u16.plane, 1.5, out.plane); });
  add("gaussian 1.5 u8", [&] { Gaussian(u8.plane, 1.5, out.plane); });
  add("gaussian 5 f32", [&] { Gaussian(f32.plane, 5, out.plane); });
  add("gaussian 20 f32", [&] { Gaussian(f32.plane, 20, out.plane); });
  add("flat field u16", [&] { FlatField(u16.plane, field.plane, 100, out.plane); });
  add("flat field f32", [&] { FlatField(f32.plane, field.plane, 100, out.plane); });
  add("subtract u16", [&] { SubtractConstant(u16.plane, 100, out.plane); });
  add("rescale u16 -> u8", [&] { Rescale(u16.plane, 0.05, -3, u8.plane); });
  add("rescale u16 -> f32", [&] { Rescale(u16.plane, 1, 0, out.plane); });
  Rescale(u16.plane, 1.0 / 16, 0, u8.plane);
  add("range f32", [&] { Range(smooth.plane); });
  add("range u16", [&] { Range(u16.plane); });
  add("otsu f32, range known", [&] { Otsu(smooth.plane, range); });
  add("otsu f32", [&] { Otsu(smooth.plane); });
  add("otsu u16", [&] { Otsu(u16.plane); });
  add("otsu u8", [&] { Otsu(u8.plane); });
  add("percentile u16", [&] { Percentile(u16.plane, 50); });
  add("percentile f32", [&] { Percentile(f32.plane, 50); });
  add("threshold f32", [&] { Threshold(smooth.plane, level, mask.plane); });
  add("threshold u16", [&] { Threshold(u16.plane, level, mask.plane); });
  add("label runs f32", [&] { LabelRuns(smooth.plane, level, {}, objects); });
  add("label runs u16", [&] { LabelRuns(u16.plane, level, {}, objects); });
  add("label runs u8 mask", [&] { LabelRuns(mask.plane, 0, {}, objects); });
  add("label runs f32, filtered",
      [&] { LabelRuns(smooth.plane, level, {20, 1000, true}, objects); });
  LabelRuns(smooth.plane, level, {}, objects);
  add("paint labels", [&] { PaintLabels(objects, labels.plane); });
  add("runs from labels", [&] { RunsFromLabels(labels.plane, objects); });
  add("shapes", [&] { MeasureShapes(objects, {}, shapes); });
  add("shapes, all features", [&] { MeasureShapes(objects, {true, true}, shapes); });
  add("intensity u16", [&] { MeasureIntensity(objects, u16.plane, intensities); });
  add("intensity f32", [&] { MeasureIntensity(objects, f32.plane, intensities); });
  add("max projection u16", [&] { ProjectNext(Projection::kMax, u16.plane, max_u16.plane); });
  add("sum projection u16", [&] { ProjectNext(Projection::kSum, u16.plane, acc.plane); });
  add("halve mean u16", [&] { HalveMean(u16.plane, half_u16.plane); });
  add("halve mean u8", [&] { HalveMean(u8.plane, half_u8.plane); });
  add("halve mean f32", [&] { HalveMean(f32.plane, half_f32.plane); });
  add("halve stride i32", [&] { HalveStride(labels.plane, half_i32.plane); });
  add("block mean 16 u16", [&] { BlockMean(u16.plane, 16, block.plane); });
  add("enlarge 16", [&] { EnlargeBilinear(block.plane, 16, out.plane); });
  Buffer out_u16(DType::kU16, side, side), out_u8(DType::kU8, side, side);
  const Footprint square = Footprint::Rectangle(21, 21), disk = Footprint::Disk(10);
  add("erode 21 x 21 u16", [&] { Morph(Morphology::kErode, square, u16.plane, out_u16.plane); });
  add("top-hat 21 x 21 u16",
      [&] { Morph(Morphology::kWhiteTopHat, square, u16.plane, out_u16.plane); });
  add("top-hat 21 x 21 f32",
      [&] { Morph(Morphology::kWhiteTopHat, square, f32.plane, out.plane); });
  add("top-hat disk 10 u16",
      [&] { Morph(Morphology::kWhiteTopHat, disk, u16.plane, out_u16.plane); });
  add("open 5 x 5 u8",
      [&] { Morph(Morphology::kOpen, Footprint::Rectangle(5, 5), u8.plane, out_u8.plane); });
  add("fill holes", [&] { FillHoles(mask.plane, out_u8.plane); });
  add("median 3 x 3 u16", [&] { Median(u16.plane, 1, out_u16.plane); });
  add("median 5 x 5 u16", [&] { Median(u16.plane, 2, out_u16.plane); });
  add("median 3 x 3 u8", [&] { Median(u8.plane, 1, out_u8.plane); });
  add("median 5 x 5 f32", [&] { Median(f32.plane, 2, out.plane); });
  add("median radius 10 u16", [&] { Median(u16.plane, 10, out_u16.plane); });
  add("median radius 10 u8", [&] { Median(u8.plane, 10, out_u8.plane); });
  add("median radius 10 f32", [&] { Median(f32.plane, 10, out.plane); });
  add("median radius 50 u16", [&] { Median(u16.plane, 50, out_u16.plane); });
  add("box 15 u16", [&] { BoxMean(u16.plane, 15, 15, out.plane); });
  add("box 15 f32", [&] { BoxMean(f32.plane, 15, 15, out.plane); });
  std::vector<uint64_t> counts;
  std::vector<Peak> peaks;
  add("add u16 + u16",
      [&] { Calculate(Arithmetic::kAdd, u16.plane, max_u16.plane, out_u16.plane); });
  add("divide f32 / f32",
      [&] { Calculate(Arithmetic::kDivide, f32.plane, field.plane, out.plane); });
  add("stretch u16 -> f32", [&] { Stretch(u16.plane, 200, 5000, 0, 1, out.plane); });
  add("gamma u16", [&] { Gamma(u16.plane, 0.5, 1, out_u16.plane); });
  add("histogram 256 u16", [&] { Histogram(u16.plane, 256, 0, 65536, counts); });
  add("histogram 256 f32", [&] { Histogram(f32.plane, 256, 0, 65536, counts); });
  add("equalize u16", [&] { Equalize(u16.plane, out.plane); });
  add("clahe u8", [&] { Clahe(u8.plane, 2, 8, 8, out_u8.plane); });
  add("clahe u16", [&] { Clahe(u16.plane, 2, 8, 8, out_u16.plane); });
  add("sobel f32", [&] { SobelMagnitude(f32.plane, out.plane); });
  add("unsharp 1.5 f32", [&] { UnsharpMask(f32.plane, 1.5, 1, out.plane); });
  add("laplacian of gaussian 1.5 f32", [&] { GaussianLaplace(f32.plane, 1.5, out.plane); });
  add("triangle f32", [&] { TriangleThreshold(smooth.plane); });
  add("yen f32", [&] { YenThreshold(smooth.plane); });
  add("li f32", [&] { LiThreshold(smooth.plane); });
  add("adaptive mean 51 f32",
      [&] { AdaptiveThreshold(smooth.plane, Surroundings::kMean, 51, 0, out_u8.plane); });
  add("distance transform", [&] { DistanceTransform(mask.plane, out.plane); });
  add("peaks f32", [&] { FindPeaks(smooth.plane, 5, level, 0, peaks); });
  add("split objects", [&] { SplitObjects(mask.plane, 5, labels.plane); });
  Buffer more(DType::kI32, side, side);
  add("expand labels 5", [&] { ExpandLabels(labels.plane, 5, more.plane); });
  add("filter labels", [&] { FilterLabels(labels.plane, {20, INT64_MAX, true}, more.plane); });
  add("focus score u16", [&] { FocusScore(u16.plane); });
  FocusStack focus(9);
  focus.First(u16.plane, out_u16.plane);
  add("focus stack u16", [&] { focus.Next(max_u16.plane, out_u16.plane); });
  add("rotate 90 u16", [&] { Rearrange(Turn::kRotate90, u16.plane, out_u16.plane); });
  const auto ball = [&](int64_t radius, const Buffer& in, const Buffer& to) {
    return [&in, &to, radius] { RollingBall(in.plane, radius, BallResult::kCorrected, to.plane); };
  };
  add("rolling ball 25 u8", ball(25, u8, out_u8));
  add("rolling ball 50 u8", ball(50, u8, out_u8));
  add("rolling ball 50 u16", ball(50, u16, out_u16));
  add("rolling ball 50 f32", ball(50, f32, out));
  add("rolling ball 200 u16", ball(200, u16, out_u16));
  add("bilateral 1 f32", [&] { Bilateral(f32.plane, 1, 100, out.plane); });
  add("bilateral 3 f32", [&] { Bilateral(f32.plane, 3, 100, out.plane); });
  add("translate, cubic u16",
      [&] { Translate(u16.plane, 0.3, -1.7, Spline::kCubic, Outside::kEdge, out_u16.plane); });
  add("translate, linear u16",
      [&] { Translate(u16.plane, 0.3, -1.7, Spline::kLinear, Outside::kEdge, out_u16.plane); });
  add("skeletonize", [&] { Skeletonize(mask.plane, out_u8.plane); });
  Buffer third(DType::kF32, side * 2 / 3, side * 2 / 3);
  add("resize 2 / 3 f32", [&] { Resize(Resampling::kBilinear, f32.plane, third.plane); });
  add("resize area 2 / 3 f32", [&] { Resize(Resampling::kArea, f32.plane, third.plane); });
}

}  // namespace
}  // namespace tilecast

int main(int argc, char** argv) {
  std::vector<int64_t> sides;
  std::string folder, only;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--write" && i + 1 < argc) {
      folder = argv[++i];
    } else if (std::string(argv[i]) == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else {
      sides.push_back(std::atoll(argv[i]));
    }
  }
  if (sides.empty()) sides = {512, 1080, 2048};
  if (!folder.empty()) {  // the images themselves, for opencv_bench.py
    for (const int64_t side : sides) {
      const tilecast::Buffer image = tilecast::Nuclei(side);
      std::ofstream(folder + "/nuclei-" + std::to_string(side) + ".raw", std::ios::binary)
          .write(image.plane.row<char>(0), image.plane.bytes());
    }
    return 0;
  }
  std::vector<tilecast::Row> table;
  for (const int64_t side : sides) tilecast::Measure(side, only, table);
  std::printf("| Mpx/s, one core, kernels %s |", tilecast::Kernels().name);
  for (const int64_t side : sides) std::printf(" %lld |", static_cast<long long>(side));
  std::printf("\n| --- |");
  for (size_t i = 0; i < sides.size(); ++i) std::printf(" ---: |");
  std::printf("\n");
  for (const auto& row : table) {
    std::printf("| %s |", row.name.c_str());
    for (const double rate : row.rates) std::printf(" %.0f |", rate);
    std::printf("\n");
  }
}
