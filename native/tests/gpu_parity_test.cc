// SPDX-License-Identifier: MIT
// Every op that has a GPU row, on SwiftShader, against the op's own CPU kernel: all dtypes, odd
// sizes, extremes, and for floats what is no number.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gpu/encode.h"
#include "gpu_support.h"

namespace tilecast::gpu {
namespace {

// ---------------------------------------------------------------------- what agrees how closely

// How far results may be apart. Integer results are equal bit by bit unless `steps` says otherwise.
struct Bound {
  // float32 results, in units in the last place of the pixel itself, or, where a pixel is a sum in
  // which terms cancel, of the largest magnitude in the image.
  double ulps = 0;
  bool of_image = false;
  int64_t steps = 0;
  // Also with NaN, infinities and the greatest numbers among the pixels.
  bool specials = true;
};

// Without an entry: equal. docs/gpu.md gives the reasons.
const std::map<std::string_view, Bound> kBounds = {
    // The device computes in float32 where the CPU uses float64 and rounds once: an ulp for each
    // operation, 2.5 for a quotient, and a step where the exact value is near a half.
    {"add", {.ulps = 1, .steps = 1}},
    {"subtract", {.ulps = 1, .steps = 1}},
    {"multiply", {.ulps = 1, .steps = 1}},
    {"divide", {.ulps = 2.5, .steps = 1}},
    {"convert", {.ulps = 1}},
    {"rescale", {.ulps = 2, .of_image = true, .steps = 1}},
    {"gamma", {.ulps = 512}},
    {"anscombe", {.ulps = 4}},
    {"normalize", {.ulps = 2.5, .steps = 1}},
    {"subtractBackground", {.ulps = 1, .of_image = true}},
    {"flatField", {.ulps = 2.5}},
    {"sobel", {.ulps = 4}},
    // Sums in another order, of terms that cancel.
    {"gaussian", {.ulps = 12, .of_image = true}},
    {"box", {.ulps = 16, .of_image = true}},
    {"unsharp", {.ulps = 16, .of_image = true}},
    {"differenceOfGaussians", {.ulps = 16, .of_image = true}},
    {"laplaceOfGaussian", {.ulps = 24, .of_image = true}},
    {"bilateral", {.ulps = 32, .of_image = true}},
    {"bin", {.ulps = 16, .of_image = true}},
    {"resize", {.ulps = 12, .of_image = true, .steps = 1}},
    {"equalize", {.ulps = 4}},
};

Bound BoundOf(std::string_view op) {
  const auto found = kBounds.find(op);
  return found == kBounds.end() ? Bound{} : found->second;
}

// ------------------------------------------------------------------------------------- arguments

using Argument = std::pair<std::string_view, std::variant<double, std::string_view>>;
using Arguments = std::vector<Argument>;

// What parameters without a default get where an op has no entry below.
const std::map<std::string_view, double> kUsual = {
    {"sigma", 1.2},  {"range", 60},    {"radius", 2},     {"height", 3}, {"width", 5},
    {"distance", 2}, {"threshold", 9}, {"factor", 2},     {"block", 7},  {"value", 7.5},
    {"low", 1.0},    {"high", 2.2},    {"percentile", 30}};

// Several for each op.
const std::map<std::string_view, std::vector<Arguments>> kArguments = {
    {"add", {{{"value", 7.5}}, {{"value", -3.0}, {"dtype", "uint8"}}, {{"dtype", "uint16"}}}},
    {"subtract", {{{"value", 7.5}}, {{"value", 3.0}, {"dtype", "int16"}}, {{"dtype", "uint8"}}}},
    {"multiply", {{{"value", 1.7}}, {{"value", 3.0}, {"dtype", "uint16"}}, {{"dtype", "int16"}}}},
    {"divide", {{{"value", 1.7}}, {{"value", 3.0}, {"dtype", "uint8"}}, {{"dtype", "uint16"}}}},
    {"convert",
     {{{"dtype", "uint8"}},
      {{"dtype", "int8"}},
      {{"dtype", "uint16"}},
      {{"dtype", "int16"}},
      {{"dtype", "uint32"}},
      {{"dtype", "int32"}},
      {{"dtype", "float32"}}}},
    {"rescale",
     {{},
      {{"scale", 0.37}, {"offset", 11.0}},
      {{"scale", 0.37}, {"offset", 11.0}, {"dtype", "uint8"}}}},
    {"clip", {{{"low", 3.0}, {"high", 100.0}}, {{"low", -20.5}, {"high", 60000.0}}}},
    {"gamma", {{{"gamma", 0.5}}, {{"gamma", 2.0}, {"gain", 0.1}}, {{"gamma", 3.0}}}},
    {"subtractBackground", {{{"value", 12.5}}, {{"percentile", 30.0}}}},
    {"flatField", {{}, {{"background", 9.5}}}},
    {"normalize", {{}, {{"low", 2.0}, {"high", 98.0}, {"dtype", "uint8"}, {"outHigh", 255.0}}}},
    {"gaussian", {{{"sigma", 0.8}}, {{"sigma", 2.3}}}},
    {"median", {{{"radius", 1.0}}, {{"radius", 2.0}}}},
    {"erode", {{{"radius", 2.0}}, {{"height", 3.0}, {"width", 7.0}}}},
    {"dilate", {{{"radius", 2.0}}, {{"height", 3.0}, {"width", 7.0}}}},
    {"open", {{{"radius", 2.0}}, {{"height", 3.0}, {"width", 7.0}}}},
    {"close", {{{"radius", 2.0}}, {{"height", 3.0}, {"width", 7.0}}}},
    {"topHat", {{{"radius", 2.0}}, {{"height", 3.0}, {"width", 7.0}}}},
    {"blackTopHat", {{{"radius", 2.0}}, {{"height", 3.0}, {"width", 7.0}}}},
    {"adaptiveThreshold",
     {{{"block", 5.0}, {"method", "mean"}}, {{"block", 7.0}, {"offset", 2.0}}}},
    {"filterLabels", {{{"minArea", 3.0}}, {{"clearBorder", 1.0}}}},
    {"crop", {{{"y", 0.0}, {"x", 0.0}, {"height", 1.0}, {"width", 1.0}}}},
    {"rotate", {{{"turn", "90"}}, {{"turn", "180"}}, {{"turn", "270"}}}},
    {"flip", {{{"axis", "rows"}}, {{"axis", "columns"}}, {{"axis", "transpose"}}}},
    {"bin", {{{"factor", 1.0}}, {{"factor", 2.0}}, {{"factor", 5.0}}}},
    {"resize",
     {{{"height", 31.0}, {"width", 17.0}},
      {{"height", 31.0}, {"width", 17.0}, {"method", "area"}},
      {{"height", 200.0}, {"width", 301.0}}}},
};

std::vector<OpArguments> ArgumentsOf(const OpRow& row) {
  const auto found = kArguments.find(row.name);
  const std::vector<Arguments> sets =
      found == kArguments.end() ? std::vector<Arguments>{{}} : found->second;
  std::vector<OpArguments> all;
  for (const Arguments& set : sets) {
    OpArguments a(row);
    for (const OpParameter& p : row.parameters) {
      const auto usual = kUsual.find(p.name);
      if (found == kArguments.end() && !p.fallback && !p.optional && usual != kUsual.end()) {
        a.Set(p.name, usual->second);
      }
    }
    for (const auto& [name, value] : set) {
      const auto parameter = std::find_if(row.parameters.begin(), row.parameters.end(),
                                          [&](const OpParameter& p) { return p.name == name; });
      if (const auto* text = std::get_if<std::string_view>(&value)) {
        a.Set(name, *text);
      } else if (parameter != row.parameters.end() && parameter->type == OpParameter::Type::kFlag) {
        a.Set(name, std::get<double>(value) != 0);
      } else {
        a.Set(name, std::get<double>(value));
      }
    }
    INFO("gpu_parity_test.cc's arguments of ", row.name);
    REQUIRE_NOTHROW(a.RequireAll());
    all.push_back(std::move(a));
  }
  return all;
}

// ----------------------------------------------------------------------------------------- pixels

struct Image {
  std::vector<std::byte> memory;
  Plane plane;
  Image(DType dtype, PlaneShape shape)
      : memory(PlaneBytes(dtype, shape.height, shape.width)),
        plane(PackedPlane(memory.data(), dtype, shape.height, shape.width)) {}
};

// kHuge: also with what float32 can just hold, which sums of float32 cannot.
enum class Content : uint8_t { kOrdinary, kSpecial, kHuge };

// Noise over the whole range with extremes in between; blobs for masks and labels.
void Fill(const Plane& p, DTypeSet accepts, Content content, uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
  Visit(p.dtype, [&](auto zero) {
    using T = decltype(zero);
    using Limits = std::numeric_limits<T>;
    for (int64_t y = 0; y < p.height; ++y) {
      for (int64_t x = 0; x < p.width; ++x) {
        T& to = p.row<T>(y)[x];
        if (accepts == kMask || accepts == kLabels) {
          const int64_t blob = (y / 3 * 7 + x / 4 * 5 + static_cast<int64_t>(seed)) % 5;
          to = static_cast<T>(accepts == kMask ? (blob > 2 ? 255 : 0) : blob);
          continue;
        }
        if constexpr (std::is_floating_point_v<T>) {
          std::normal_distribution<T> normal(T{200}, T{300});
          to = normal(random);
          const int64_t odd = pick(23);
          if (odd == 0) to = 0;
          if (odd == 1) to = -to * 100;
          if (odd == 2) to = std::round(to) + T{0.5};
          if (content != Content::kOrdinary) {
            const int64_t special = pick(40);
            if (special == 0) to = Limits::quiet_NaN();
            if (special == 1) to = Limits::infinity();
            if (special == 2) to = -Limits::infinity();
            if (special == 3 && content == Content::kHuge) to = Limits::max();
            if (special == 4) to = -T{0};
          }
        } else {
          to = static_cast<T>(random());
          const int64_t odd = pick(17);
          if (odd == 0) to = Limits::max();
          if (odd == 1) to = Limits::min();
          if (odd == 2) to = T{1};
          // Some dark area, so that a small range has many pixels.
          if (y % 16 < 8) to = static_cast<T>(to % T{100});
        }
      }
    }
  });
}

// ---------------------------------------------------------------------------------------- compare

struct Found {
  int64_t cases = 0, refused = 0, doubted = 0, thrown = 0, pixels = 0, wrong = 0;
  double ulps = 0;
  int64_t steps = 0;
  double worst = 0;
  std::string example;
};

double UlpOf(double magnitude) {
  const auto v = static_cast<float>(std::min(magnitude, 3e38));
  return static_cast<double>(std::nextafter(v, std::numeric_limits<float>::infinity())) -
         static_cast<double>(v);
}

double Largest(const Plane& p) {
  double largest = 0;
  Visit(p.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < p.height; ++y) {
      for (int64_t x = 0; x < p.width; ++x) {
        const auto v = std::abs(static_cast<double>(p.row<T>(y)[x]));
        if (std::isfinite(v)) largest = std::max(largest, v);
      }
    }
  });
  return largest;
}

std::string PixelText(const Plane& p, int64_t y, int64_t x) {
  return Visit(p.dtype, [&](auto zero) {
    const auto v = p.row<decltype(zero)>(y)[x];
    char text[40];
    std::snprintf(text, sizeof(text), "%.9g", static_cast<double>(v));
    return std::string(text);
  });
}

// `inputs`: the images behind the result, for messages.
void Compare(const Plane& want, const Plane& got, std::span<const Plane> inputs, const Bound& bound,
             const std::string& about, Found& found) {
  const double largest = Largest(inputs[0]);
  Visit(want.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < want.height; ++y) {
      for (int64_t x = 0; x < want.width; ++x) {
        const T a = want.row<T>(y)[x], b = got.row<T>(y)[x];
        ++found.pixels;
        bool wrong = false;
        if constexpr (std::is_floating_point_v<T>) {
          const auto wide = static_cast<double>(a), have = static_cast<double>(b);
          if (std::isnan(wide) || std::isnan(have)) {
            wrong = std::isnan(wide) != std::isnan(have);
          } else if (std::isinf(wide) || std::isinf(have)) {
            wrong = wide != have;
          } else {
            const double difference = std::abs(wide - have);
            // GPUs may take denormal numbers for 0.
            if (difference > static_cast<double>(std::numeric_limits<float>::min())) {
              const double unit =
                  UlpOf(bound.of_image ? std::max(std::abs(wide), largest) : std::abs(wide));
              found.ulps = std::max(found.ulps, difference / unit);
              wrong = difference / unit > bound.ulps;
            }
          }
        } else {
          const int64_t difference = std::abs(static_cast<int64_t>(a) - static_cast<int64_t>(b));
          found.steps = std::max(found.steps, difference);
          wrong = difference > bound.steps;
        }
        if (!wrong) continue;
        const auto apart = std::abs(static_cast<double>(a) - static_cast<double>(b));
        if (found.wrong++ == 0 || apart > found.worst) {
          found.worst = apart;
          found.example = about + ": pixel " + std::to_string(y) + ", " + std::to_string(x) +
                          " is " + PixelText(got, y, x) + " on the GPU and " +
                          PixelText(want, y, x) + " on the CPU";
          for (const Plane& in : inputs) {
            if (in.height != want.height || in.width != want.width) continue;
            found.example += ", of " + PixelText(in, y, x);
          }
        }
      }
    }
  });
}

// One op with one set of arguments on one image, both ways.
void RunCase(const OpRow& row, const OpArguments& arguments, DType dtype, PlaneShape shape,
             const std::vector<DType>& others, Content content, const std::string& about,
             Found& found) {
  Bound bound = BoundOf(row.name);
  if (content != Content::kOrdinary && !bound.specials) return;
  Image in(dtype, shape);
  Fill(in.plane, row.accepts, content, 11);
  std::vector<Image> other;
  for (const DType d : others) {
    Fill(other.emplace_back(d, shape).plane, d == DType::kI32 ? kLabels : kAnyDType, content, 12);
  }
  std::vector<Plane> other_planes;
  for (const Image& image : other) other_planes.push_back(image.plane);

  PlaneShape result_shape;
  try {
    result_shape = row.ShapeOf(shape, arguments);
  } catch (const Error&) {
    return;  // no pixel would be left
  }
  if (Refuses(row, arguments, dtype, shape, others)) {
    ++found.refused;
    return;
  }
  const DType result = row.ResultOf(dtype, arguments);
  Image want(result, result_shape), got(result, result_shape);
  bool threw = false;
  try {
    OpArguments prepared = arguments;
    if (row.prepare) row.prepare(in.plane, prepared);
    OpScratch scratch;
    std::optional<MinMax> range;
    row.run({prepared, in.plane, other_planes, want.plane, scratch, &range});
  } catch (const Error&) {
    threw = true;
  }

  RecipeBuilder builder;
  const GpuPlane from = builder.Input(dtype, shape.height, shape.width);
  OpLink link{&row, arguments};
  for (const DType d : others) link.others.push_back(builder.Input(d, shape.height, shape.width));
  EncodeOps(builder, {&link, 1}, from,
            builder.Output(result, result_shape.height, result_shape.width));
  Request request{std::make_shared<const Recipe>(builder.Take()), {in.plane}, {got.plane}};
  for (const Plane& plane : other_planes) request.inputs.push_back(plane);
  testing::SharedEngine().Run(request);
  ++found.cases;
  if (request.doubtful()) {
    ++found.doubted;
    return;
  }
  if (threw) {
    // What the CPU refuses the GPU may not pass over.
    ++found.thrown;
    if (found.example.empty()) found.example = about + ": the CPU refuses it, and the GPU does not";
    ++found.wrong;
    return;
  }
  Compare(want.plane, got.plane, request.inputs, bound, about, found);
}

void RunOp(const OpRow& row, const GpuRow& gpu, Found& found) {
  constexpr PlaneShape kShapes[] = {{1, 1}, {1, 7}, {5, 1}, {3, 3}, {37, 53}, {257, 129}};
  const std::vector<OpArguments> sets = ArgumentsOf(row);
  for (int d = 0; d < kDTypeCount; ++d) {
    const auto dtype = static_cast<DType>(d);
    if (!row.Accepts(dtype) || dtype == DType::kF64) continue;
    std::set<std::vector<DType>> others;
    for (int n = row.least_others; n <= row.most_others; ++n) {
      for (int o = 0; o < kDTypeCount; ++o) {
        const bool taken = (gpu.others >> o & 1) != 0;
        if (n == 0 || taken) others.insert(std::vector<DType>(n, static_cast<DType>(o)));
      }
    }
    if (others.empty()) others.insert(std::vector<DType>{});
    for (size_t set = 0; set < sets.size(); ++set) {
      for (const std::vector<DType>& with : others) {
        // Arithmetic without a second image wants a value.
        const bool needs_value =
            with.empty() && row.most_others > 0 && row.least_others == 0 && !sets[set].has("value");
        if (needs_value) continue;
        for (const PlaneShape shape : kShapes) {
          for (const Content content : {Content::kOrdinary, Content::kSpecial, Content::kHuge}) {
            if (content != Content::kOrdinary && !IsFloat(dtype)) continue;
            if (content == Content::kHuge && row.reach != OpRow::Reach::kPixel) continue;
            const std::string about =
                std::string(row.name) + " of " + std::string(DTypeName(dtype)) +
                (with.empty() ? "" : " and " + std::string(DTypeName(with[0]))) + ", " +
                std::to_string(shape.height) + " x " + std::to_string(shape.width) +
                ", arguments " + std::to_string(set) +
                (content != Content::kOrdinary ? ", with NaN and infinities" : "");
            CAPTURE(about);
            RunCase(row, sets[set], dtype, shape, with, content, about, found);
          }
        }
      }
    }
  }
}

TEST_CASE("gpu: every op gives what its CPU kernel gives") {
  Found all;
  int ops = 0;
  std::string report;
  for (const OpRow& row : OpRows()) {
    const GpuRow* const gpu = FindGpuRow(row.name);
    if (gpu == nullptr) continue;
    ++ops;
    Found found;
    RunOp(row, *gpu, found);
    CAPTURE(row.name);
    INFO(found.wrong, " of ", found.pixels, " pixels; ", found.example);
    CHECK(found.wrong == 0);
    CHECK(found.cases > 0);
    report += "\n  " + std::string(row.name) + ": " + std::to_string(found.cases) + " cases";
    if (found.ulps > 0) report += ", at most " + std::to_string(found.ulps) + " ulp apart";
    if (found.steps > 0) report += ", integers at most " + std::to_string(found.steps) + " apart";
    if (found.refused > 0) report += ", " + std::to_string(found.refused) + " refused";
    if (found.doubted > 0) report += ", " + std::to_string(found.doubted) + " left to the CPU";
    all.cases += found.cases;
    all.pixels += found.pixels;
  }
  MESSAGE("on ", testing::SharedEngine().facts().name, ": ", ops, " ops, ", all.cases, " cases, ",
          all.pixels, " pixels", report);
  CHECK(ops >= 2);
  for (const auto& [name, bound] : kBounds) {
    CAPTURE(name);
    CHECK(FindGpuRow(name) != nullptr);
  }
}

}  // namespace
}  // namespace tilecast::gpu
