// SPDX-License-Identifier: MIT
// Throughput of each CPU op: tilecast's part of the ops benchmark, see README.md.
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "ops/arithmetic.h"
#include "ops/background.h"
#include "ops/bilateral.h"
#include "ops/colocalization.h"
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
#include "ops/quality.h"
#include "ops/rank.h"
#include "ops/resample.h"
#include "ops/skeleton.h"
#include "ops/spread.h"
#include "ops/texture.h"
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

using Clock = std::chrono::steady_clock;

struct Options {
  int64_t side = 2048;
  int threads = 1;
  double seconds = 0.1;  // of each row
  std::string only;      // rows whose name holds it
  bool list = false;
};

// The median of repetitions that each take at least 2 ms, for as long as asked.
double SecondsPerCall(const std::function<void()>& call, double seconds) {
  auto time = [&](int calls) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  time(2);
  int calls = 1;
  while (time(calls) < 0.002) calls *= 2;
  std::vector<double> trials;
  for (double spent = 0; spent < seconds || trials.size() < 3; spent += trials.back() * calls)
    trials.push_back(time(calls) / calls);
  std::nth_element(trials.begin(), trials.begin() + static_cast<ptrdiff_t>(trials.size() / 2),
                   trials.end());
  return trials[trials.size() / 2];
}

struct Row {
  std::string name;
  double bytes = 0;  // of an input pixel and what it becomes; 0: nothing of the plane is touched
  double rate = 0;   // Mpx/s
};

// One thread's rows. Threads take each row together, on images of their own.
void Measure(const Options& options, std::barrier<>& together, std::vector<Row>& table) {
  const int64_t side = options.side;
  auto add = [&](const char* name, double bytes, const std::function<void()>& call) {
    if (std::string(name).find(options.only) == std::string::npos) return;
    table.push_back({name, bytes, 0});
    if (options.list) return;
    together.arrive_and_wait();
    table.back().rate =
        static_cast<double>(side * side) / SecondsPerCall(call, options.seconds) / 1e6;
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

  add("gaussian 1.5 f32", 8, [&] { Gaussian(f32.plane, 1.5, out.plane); });
  add("gaussian 1.5 u16", 6, [&] { Gaussian(u16.plane, 1.5, out.plane); });
  add("gaussian 1.5 u8", 5, [&] { Gaussian(u8.plane, 1.5, out.plane); });
  add("gaussian 5 f32", 8, [&] { Gaussian(f32.plane, 5, out.plane); });
  add("gaussian 20 f32", 8, [&] { Gaussian(f32.plane, 20, out.plane); });
  add("flat field u16", 10, [&] { FlatField(u16.plane, field.plane, 100, out.plane); });
  add("flat field f32", 12, [&] { FlatField(f32.plane, field.plane, 100, out.plane); });
  add("subtract u16", 6, [&] { SubtractConstant(u16.plane, 100, out.plane); });
  add("rescale u16 -> u8", 3, [&] { Rescale(u16.plane, 0.05, -3, u8.plane); });
  add("rescale u16 -> f32", 6, [&] { Rescale(u16.plane, 1, 0, out.plane); });
  Rescale(u16.plane, 1.0 / 16, 0, u8.plane);
  add("range f32", 4, [&] { Range(smooth.plane); });
  add("range u16", 2, [&] { Range(u16.plane); });
  add("otsu f32, range known", 4, [&] { Otsu(smooth.plane, range); });
  add("otsu f32", 4, [&] { Otsu(smooth.plane); });
  add("otsu u16", 2, [&] { Otsu(u16.plane); });
  add("otsu u8", 1, [&] { Otsu(u8.plane); });
  add("percentile u16", 2, [&] { Percentile(u16.plane, 50); });
  add("percentile f32", 4, [&] { Percentile(f32.plane, 50); });
  add("threshold f32", 5, [&] { Threshold(smooth.plane, level, mask.plane); });
  add("threshold u16", 3, [&] { Threshold(u16.plane, level, mask.plane); });
  add("label runs f32", 4, [&] { LabelRuns(smooth.plane, level, {}, objects); });
  add("label runs u16", 2, [&] { LabelRuns(u16.plane, level, {}, objects); });
  add("label runs u8 mask", 1, [&] { LabelRuns(mask.plane, 0, {}, objects); });
  add("label runs f32, filtered", 4,
      [&] { LabelRuns(smooth.plane, level, {20, 1000, true}, objects); });
  LabelRuns(smooth.plane, level, {}, objects);
  add("paint labels", 4, [&] { PaintLabels(objects, labels.plane); });
  add("runs from labels", 4, [&] { RunsFromLabels(labels.plane, objects); });
  add("shapes", 0, [&] { MeasureShapes(objects, {}, shapes); });
  add("shapes, all features", 0, [&] { MeasureShapes(objects, {true, true}, shapes); });
  add("solidity", 0, [&] { MeasureShapes(objects, {.solidity = true}, shapes); });
  add("intensity u16", 2, [&] { MeasureIntensity(objects, u16.plane, intensities); });
  add("intensity f32", 4, [&] { MeasureIntensity(objects, f32.plane, intensities); });
  add("max projection u16", 6, [&] { ProjectNext(Projection::kMax, u16.plane, max_u16.plane); });
  add("sum projection u16", 10, [&] { ProjectNext(Projection::kSum, u16.plane, acc.plane); });
  add("halve mean u16", 2.5, [&] { HalveMean(u16.plane, half_u16.plane); });
  add("halve mean u8", 1.25, [&] { HalveMean(u8.plane, half_u8.plane); });
  add("halve mean f32", 5, [&] { HalveMean(f32.plane, half_f32.plane); });
  add("halve stride i32", 5, [&] { HalveStride(labels.plane, half_i32.plane); });
  add("block mean 16 u16", 2, [&] { BlockMean(u16.plane, 16, block.plane); });
  add("enlarge 16", 4, [&] { EnlargeBilinear(block.plane, 16, out.plane); });
  Buffer out_u16(DType::kU16, side, side), out_u8(DType::kU8, side, side);
  const Footprint square = Footprint::Rectangle(21, 21), disk = Footprint::Disk(10);
  add("erode 21 x 21 u16", 4, [&] { Morph(Morphology::kErode, square, u16.plane, out_u16.plane); });
  add("top-hat 21 x 21 u16", 4,
      [&] { Morph(Morphology::kWhiteTopHat, square, u16.plane, out_u16.plane); });
  add("top-hat 21 x 21 f32", 8,
      [&] { Morph(Morphology::kWhiteTopHat, square, f32.plane, out.plane); });
  add("top-hat disk 10 u16", 4,
      [&] { Morph(Morphology::kWhiteTopHat, disk, u16.plane, out_u16.plane); });
  add("open 5 x 5 u8", 2,
      [&] { Morph(Morphology::kOpen, Footprint::Rectangle(5, 5), u8.plane, out_u8.plane); });
  add("fill holes", 2, [&] { FillHoles(mask.plane, out_u8.plane); });
  add("median 3 x 3 u16", 4, [&] { Median(u16.plane, 1, out_u16.plane); });
  add("median 5 x 5 u16", 4, [&] { Median(u16.plane, 2, out_u16.plane); });
  add("median 3 x 3 u8", 2, [&] { Median(u8.plane, 1, out_u8.plane); });
  add("median 5 x 5 f32", 8, [&] { Median(f32.plane, 2, out.plane); });
  add("median radius 10 u16", 4, [&] { Median(u16.plane, 10, out_u16.plane); });
  add("median radius 10 u8", 2, [&] { Median(u8.plane, 10, out_u8.plane); });
  add("median radius 10 f32", 8, [&] { Median(f32.plane, 10, out.plane); });
  add("median radius 50 u16", 4, [&] { Median(u16.plane, 50, out_u16.plane); });
  add("box 15 u16", 6, [&] { BoxMean(u16.plane, 15, 15, out.plane); });
  add("box 15 f32", 8, [&] { BoxMean(f32.plane, 15, 15, out.plane); });
  std::vector<uint64_t> counts;
  std::vector<Peak> peaks;
  add("add u16 + u16", 6,
      [&] { Calculate(Arithmetic::kAdd, u16.plane, max_u16.plane, out_u16.plane); });
  add("divide f32 / f32", 12,
      [&] { Calculate(Arithmetic::kDivide, f32.plane, field.plane, out.plane); });
  add("stretch u16 -> f32", 6, [&] { Stretch(u16.plane, 200, 5000, 0, 1, out.plane); });
  add("gamma u16", 4, [&] { Gamma(u16.plane, 0.5, 1, out_u16.plane); });
  add("histogram 256 u16", 2, [&] { Histogram(u16.plane, 256, 0, 65536, counts); });
  add("histogram 256 f32", 4, [&] { Histogram(f32.plane, 256, 0, 65536, counts); });
  add("equalize u16", 6, [&] { Equalize(u16.plane, out.plane); });
  add("clahe u8", 2, [&] { Clahe(u8.plane, 2, 8, 8, out_u8.plane); });
  add("clahe u16", 4, [&] { Clahe(u16.plane, 2, 8, 8, out_u16.plane); });
  add("sobel f32", 8, [&] { SobelMagnitude(f32.plane, out.plane); });
  add("unsharp 1.5 f32", 8, [&] { UnsharpMask(f32.plane, 1.5, 1, out.plane); });
  add("laplacian of gaussian 1.5 f32", 8, [&] { GaussianLaplace(f32.plane, 1.5, out.plane); });
  add("triangle f32", 4, [&] { TriangleThreshold(smooth.plane); });
  add("yen f32", 4, [&] { YenThreshold(smooth.plane); });
  add("li f32", 4, [&] { LiThreshold(smooth.plane); });
  add("adaptive mean 51 f32", 5,
      [&] { AdaptiveThreshold(smooth.plane, Surroundings::kMean, 51, 0, out_u8.plane); });
  add("distance transform", 5, [&] { DistanceTransform(mask.plane, out.plane); });
  add("peaks f32", 4, [&] { FindPeaks(smooth.plane, 5, level, 0, peaks); });
  add("split objects", 5, [&] { SplitObjects(mask.plane, 5, labels.plane); });
  Buffer more(DType::kI32, side, side);
  add("expand labels 5", 8, [&] { ExpandLabels(labels.plane, 5, more.plane); });
  add("filter labels", 8, [&] { FilterLabels(labels.plane, {20, INT64_MAX, true}, more.plane); });
  add("focus score u16", 2, [&] { FocusScore(u16.plane); });
  FocusStack focus(9);
  focus.First(u16.plane, out_u16.plane);
  add("focus stack u16", 6, [&] { focus.Next(max_u16.plane, out_u16.plane); });
  add("rotate 90 u16", 4, [&] { Rearrange(Turn::kRotate90, u16.plane, out_u16.plane); });
  const auto ball = [&](int64_t radius, const Buffer& in, const Buffer& to) {
    return [&in, &to, radius] { RollingBall(in.plane, radius, BallResult::kCorrected, to.plane); };
  };
  add("rolling ball 25 u8", 2, ball(25, u8, out_u8));
  add("rolling ball 50 u8", 2, ball(50, u8, out_u8));
  add("rolling ball 50 u16", 4, ball(50, u16, out_u16));
  add("rolling ball 50 f32", 8, ball(50, f32, out));
  add("rolling ball 200 u16", 4, ball(200, u16, out_u16));
  add("bilateral 1 f32", 8, [&] { Bilateral(f32.plane, 1, 100, out.plane); });
  add("bilateral 3 f32", 8, [&] { Bilateral(f32.plane, 3, 100, out.plane); });
  add("translate, cubic u16", 4,
      [&] { Translate(u16.plane, 0.3, -1.7, Spline::kCubic, Outside::kEdge, out_u16.plane); });
  add("translate, linear u16", 4,
      [&] { Translate(u16.plane, 0.3, -1.7, Spline::kLinear, Outside::kEdge, out_u16.plane); });
  add("skeletonize", 2, [&] { Skeletonize(mask.plane, out_u8.plane); });
  // Labels again: splitting has numbered them anew.
  PaintLabels(objects, labels.plane);
  std::vector<HaralickRow> textures;
  std::vector<SpreadRow> spreads;
  std::vector<ColocalizationRow> compared;
  add("haralick 32 u16", 6,
      [&] { MeasureHaralick(objects, labels.plane, u16.plane, {}, textures); });
  add("spread u16", 2, [&] { MeasureSpread(objects, u16.plane, spreads); });
  add("colocalization u16", 6,
      [&] { MeasureColocalization(objects, u16.plane, f32.plane, 15, compared); });
  add("plane quality u16", 4, [&] { MeasureQuality(u16.plane, 65535); });
  add("plane sharpness u16", 2, [&] { MeasureSharpness(u16.plane); });
  Buffer third(DType::kF32, side * 2 / 3, side * 2 / 3);
  add("resize 2 / 3 f32", 5.78, [&] { Resize(Resampling::kBilinear, f32.plane, third.plane); });
  add("resize area 2 / 3 f32", 5.78, [&] { Resize(Resampling::kArea, f32.plane, third.plane); });
}

std::vector<Row> MeasureAll(const Options& options) {
  std::vector<std::vector<Row>> tables(static_cast<size_t>(options.threads));
  std::barrier together(options.threads);
  std::vector<std::thread> threads;
  for (std::vector<Row>& table : tables) {
    threads.emplace_back([&] { Measure(options, together, table); });
  }
  for (std::thread& t : threads) t.join();
  for (size_t t = 1; t < tables.size(); ++t) {
    for (size_t i = 0; i < tables[t].size(); ++i) tables[0][i].rate += tables[t][i].rate;
  }
  return tables[0];
}

// What a row could reach if its pixels only had to be moved: memcpy between two planes of 4 bytes a
// pixel, that read and write as much.
void LimitAll(const Options& options, std::vector<Row>& table) {
  const auto bytes = static_cast<size_t>(options.side * options.side * 4);
  std::vector<double> rates(static_cast<size_t>(options.threads));
  std::barrier together(options.threads);
  std::vector<std::thread> threads;
  for (double& rate : rates) {
    threads.emplace_back([&] {
      std::vector<std::byte> from(bytes, std::byte{1}), to(bytes);
      together.arrive_and_wait();
      rate = 2 * static_cast<double>(bytes) /
             SecondsPerCall([&] { std::memcpy(to.data(), from.data(), bytes); },
                            std::max(options.seconds, 0.5));
    });
  }
  for (std::thread& t : threads) t.join();
  double rate = 0;
  for (const double r : rates) rate += r;
  for (Row& row : table) row.rate = row.bytes > 0 ? rate / row.bytes / 1e6 : 0;
}

}  // namespace
}  // namespace tilecast

// Prints one line of JSON: Mpx/s of input pixels by row, or with --list the rows there are.
int main(int argc, char** argv) {
  tilecast::Options options;
  bool limit = false, list = false;
  std::string image;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--limit") {
      limit = true;
    } else if (name == "--list") {
      list = true;
    } else if (i + 1 == argc) {
      std::fprintf(stderr, "tilecast_ops_bench: %s lacks its value\n", name.c_str());
      return 2;
    } else if (name == "--write") {
      image = argv[++i];
    } else if (name == "--only") {
      options.only = argv[++i];
    } else if (name == "--side") {
      options.side = std::atoll(argv[++i]);
    } else if (name == "--threads") {
      options.threads = std::atoi(argv[++i]);
    } else if (name == "--seconds") {
      options.seconds = std::atof(argv[++i]);
    } else {
      std::fprintf(stderr, "tilecast_ops_bench: unknown option %s\n", name.c_str());
      return 2;
    }
  }
  if (!image.empty()) {  // the image itself, for the peers
    const tilecast::Buffer nuclei = tilecast::Nuclei(options.side);
    std::ofstream out(image, std::ios::binary);
    out.write(nuclei.plane.row<char>(0), nuclei.plane.bytes());
    out.close();
    std::printf("{}\n");
    return out ? 0 : 1;
  }
  options.list = limit || list;
  std::vector<tilecast::Row> table = tilecast::MeasureAll(options);
  if (list) {
    std::printf("[");
    for (size_t i = 0; i < table.size(); ++i)
      std::printf("%s\"%s\"", i == 0 ? "" : ", ", table[i].name.c_str());
    std::printf("]\n");
    return 0;
  }
  if (limit) tilecast::LimitAll(options, table);
  std::printf("{");
  const char* comma = "";
  for (const tilecast::Row& row : table) {
    if (row.rate == 0) continue;
    std::printf("%s\"%s\": %.6g", comma, row.name.c_str(), row.rate);
    comma = ", ";
  }
  std::printf("}\n");
  return 0;
}
