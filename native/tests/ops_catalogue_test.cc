// SPDX-License-Identifier: MIT
// Filters, morphology, exposure, thresholds, segmentation and geometry against scikit-image, scipy
// and numpy: cases of scripts/ops_oracle_catalogue.py.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "error.h"
#include "ops/detail.h"
#include "ops/distance.h"
#include "ops/focus.h"
#include "ops/gaussian.h"
#include "ops/geometry.h"
#include "ops/histogram.h"
#include "ops/intensity.h"
#include "ops/morphology.h"
#include "ops/rank.h"
#include "ops/thresholds.h"
#include "ops_oracle.h"

namespace tilecast {
namespace {

using test::Array;
using test::CheckClose;
using test::CheckPlanes;
using test::Greatest;
using test::MakeArray;
using test::Number;
using test::Oracle;
using test::TheOracle;
using test::Values;

TEST_CASE("morphology equals scikit-image's and scipy's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  const std::map<std::string, Morphology> ops = {{"erosion", Morphology::kErode},
                                                 {"dilation", Morphology::kDilate},
                                                 {"opening", Morphology::kOpen},
                                                 {"closing", Morphology::kClose},
                                                 {"white_tophat", Morphology::kWhiteTopHat},
                                                 {"black_tophat", Morphology::kBlackTopHat}};
  oracle->Each("morph", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    const auto radius = static_cast<int64_t>(Number(v, "radius", -1));
    const Footprint footprint =
        radius >= 0 ? Footprint::Disk(radius)
                    : Footprint::Rectangle(static_cast<int64_t>(Number(v, "height")),
                                           static_cast<int64_t>(Number(v, "width")));
    Array out = MakeArray(in.dtype, in.height, in.width);
    Morph(ops.at(v.at("name")), footprint, in, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
}

TEST_CASE("filled holes equal scipy.ndimage.binary_fill_holes") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("fill_holes", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(in.dtype, in.height, in.width);
    FillHoles(in, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
    Crop(in, 0, 0, out.plane);
    FillHoles(out.plane, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
}

TEST_CASE("medians equal scipy.ndimage.median_filter") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("median", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(in.dtype, in.height, in.width);
    Median(in, static_cast<int64_t>(Number(v, "radius")), out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
}

TEST_CASE("box means equal scipy.ndimage.uniform_filter") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("box", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kF32, in.height, in.width);
    BoxMean(in, static_cast<int64_t>(Number(v, "height")), static_cast<int64_t>(Number(v, "width")),
            out.plane);
    // scipy's running sums round in float64, and float32 halves either way.
    CheckPlanes(out.plane, oracle->plane(v.at("out")), 1.2e-7, 1e-12 * Greatest(in));
  });
}

TEST_CASE("arithmetic, clipping, gamma, inversion and stretching equal numpy's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  const std::map<std::string, Arithmetic> ops = {{"add", Arithmetic::kAdd},
                                                 {"subtract", Arithmetic::kSubtract},
                                                 {"multiply", Arithmetic::kMultiply},
                                                 {"divide", Arithmetic::kDivide}};
  auto each = [&](const char* name, double relative, auto compute) {
    oracle->Each(name, [&](const Values& v) {
      const Plane &in = oracle->plane(v.at("input")), &want = oracle->plane(v.at("out"));
      Array out = MakeArray(want.dtype, in.height, in.width);
      compute(v, in, out.plane);
      CheckPlanes(out.plane, want, IsFloat(want.dtype) || v.contains("loose") ? relative : 0,
                  v.contains("loose") ? 1e-7 : 0);
    });
  };
  each("calculate", 0, [&](const Values& v, const Plane& in, const Plane& out) {
    const Arithmetic op = ops.at(v.at("name"));
    if (v.contains("other")) {
      Calculate(op, in, oracle->plane(v.at("other")), out);
    } else {
      Calculate(op, in, Number(v, "value"), out);
    }
  });
  each("clip", 0, [](const Values& v, const Plane& in, const Plane& out) {
    Clip(in, Number(v, "low"), Number(v, "high"), out);
  });
  each("invert", 0, [](const Values&, const Plane& in, const Plane& out) { Invert(in, out); });
  each("stretch", 1e-6, [](const Values& v, const Plane& in, const Plane& out) {
    Stretch(in, Number(v, "low"), Number(v, "high"), Number(v, "out_low"), Number(v, "out_high"),
            out);
  });
  each("gamma", 2e-7, [](const Values& v, const Plane& in, const Plane& out) {
    Gamma(in, Number(v, "gamma"), Number(v, "gain"), out);
  });
  each("equalize", 2e-5,
       [](const Values&, const Plane& in, const Plane& out) { Equalize(in, out); });
  each("clahe", 0, [](const Values& v, const Plane& in, const Plane& out) {
    Clahe(in, Number(v, "clip"), static_cast<int64_t>(Number(v, "tiles_y")),
          static_cast<int64_t>(Number(v, "tiles_x")), out);
  });
}

TEST_CASE("histograms equal numpy.histogram") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("histogram", [&](const Values& v) {
    const Plane& want = oracle->plane(v.at("out"));
    std::vector<uint64_t> counts;
    Histogram(oracle->plane(v.at("input")), static_cast<int64_t>(Number(v, "bins")),
              Number(v, "low"), Number(v, "high"), counts);
    REQUIRE(static_cast<int64_t>(counts.size()) == want.width);
    int64_t moved = 0;
    for (size_t i = 0; i < counts.size(); ++i)
      moved +=
          std::abs(static_cast<int64_t>(counts[i]) - static_cast<int64_t>(want.row<double>(0)[i]));
    CHECK(moved == 0);
  });
}

TEST_CASE("triangle, Yen and Li equal scikit-image's thresholds") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("triangle", [&](const Values& v) {
    CHECK(TriangleThreshold(oracle->plane(v.at("input"))) == Number(v, "threshold"));
  });
  oracle->Each("yen", [&](const Values& v) {
    CHECK(YenThreshold(oracle->plane(v.at("input"))) == Number(v, "threshold"));
  });
  oracle->Each("li", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    CheckClose(LiThreshold(in), Number(v, "threshold"), IsFloat(in.dtype) ? 2e-5 : 1e-6,
               2e-6 * Greatest(in));
  });
}

TEST_CASE("edges and detail equal scikit-image's and scipy's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  auto each = [&](const char* name, double tolerance, auto compute) {
    oracle->Each(name, [&](const Values& v) {
      const Plane& in = oracle->plane(v.at("input"));
      Array out = MakeArray(DType::kF32, in.height, in.width);
      compute(v, in, out.plane);
      CheckPlanes(out.plane, oracle->plane(v.at("out")), 1e-6, tolerance * Greatest(in));
    });
  };
  each("sobel", 5e-7,
       [](const Values&, const Plane& in, const Plane& out) { SobelMagnitude(in, out); });
  each("unsharp", 3e-6, [](const Values& v, const Plane& in, const Plane& out) {
    UnsharpMask(in, Number(v, "sigma"), Number(v, "amount"), out);
  });
  each("dog", 1e-6, [](const Values& v, const Plane& in, const Plane& out) {
    DifferenceOfGaussians(in, Number(v, "low"), Number(v, "high"), out);
  });
  oracle->Each("log", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kF32, in.height, in.width);
    const double sigma = Number(v, "sigma");
    GaussianLaplace(in, sigma, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")), 0, 2e-6 * Greatest(in) / (sigma * sigma));
  });
}

TEST_CASE("the adaptive threshold is scikit-image's but where rounding decides") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("adaptive", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &local = oracle->plane(v.at("local"));
    Array out = MakeArray(DType::kU8, in.height, in.width);
    AdaptiveThreshold(in, v.at("method") == "mean" ? Surroundings::kMean : Surroundings::kGaussian,
                      static_cast<int64_t>(Number(v, "block")), Number(v, "offset"), out.plane);
    const double doubt = 2e-6 * Greatest(in);
    int64_t wrong = 0;
    for (int64_t y = 0; y < in.height; ++y) {
      for (int64_t x = 0; x < in.width; ++x) {
        const double above = test::At(in, y, x) - test::At(local, y, x);
        wrong += std::abs(above) > doubt && (above > 0) != (test::At(out.plane, y, x) != 0);
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("distances equal scipy.ndimage.distance_transform_edt") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("distance", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kF32, in.height, in.width);
    DistanceTransform(in, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
}

TEST_CASE("peaks equal skimage.feature.peak_local_max") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("peaks", [&](const Values& v) {
    std::vector<Peak> peaks;
    const Plane& in = oracle->plane(v.at("input"));
    FindPeaks(in, static_cast<int64_t>(Number(v, "distance")), Number(v, "threshold"),
              static_cast<int64_t>(Number(v, "border")), peaks);
    REQUIRE(peaks.size() == static_cast<size_t>(Number(v, "count")));
    const Plane& want = oracle->plane(v.at("out"));
    for (size_t i = 0; i < peaks.size(); ++i) {
      const int32_t* const p = want.row<int32_t>(static_cast<int64_t>(i));
      CHECK(peaks[i].y == p[0]);
      CHECK(peaks[i].x == p[1]);
      CHECK(peaks[i].value == test::At(in, p[0], p[1]));
    }
  });
}

TEST_CASE("watershed equals skimage.segmentation.watershed") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("watershed", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &markers = oracle->plane(v.at("markers"));
    Array out = MakeArray(DType::kI32, in.height, in.width);
    Crop(markers, 0, 0, out.plane);
    const Plane* mask = v.contains("mask") ? &oracle->plane(v.at("mask")) : nullptr;
    Watershed(in, mask, Number(v, "connectivity") == 2, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
}

TEST_CASE("splitting keeps the mask, and cuts only what touches") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("split", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &labels = oracle->plane(v.at("labels"));
    Array out = MakeArray(DType::kI32, in.height, in.width);
    const int32_t count = SplitObjects(in, static_cast<int64_t>(Number(v, "distance")), out.plane);
    std::map<int32_t, int32_t> component;  // of each part
    int32_t seen = 0;
    bool same = true, nested = true, ordered = true;
    for (int64_t y = 0; y < in.height; ++y) {
      for (int64_t x = 0; x < in.width; ++x) {
        const int32_t part = out.plane.row<int32_t>(y)[x], whole = labels.row<int32_t>(y)[x];
        same &= (part != 0) == (whole != 0);
        if (part == 0) continue;
        const auto [at, added] = component.emplace(part, whole);
        nested &= at->second == whole;
        if (added) ordered &= part == ++seen;
      }
    }
    CHECK(same);
    CHECK(nested);
    CHECK(ordered);
    CHECK(count == seen);
    CHECK(count >= static_cast<int32_t>(Greatest(labels)));
    CHECK(count <= static_cast<int32_t>(Number(v, "peaks") + Greatest(labels)));
  });
}

TEST_CASE("expanded and filtered labels equal scikit-image's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("expand", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kI32, in.height, in.width);
    ExpandLabels(in, Number(v, "distance"), out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
  oracle->Each("filter_labels", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kI32, in.height, in.width);
    LabelOptions options;
    options.min_area = static_cast<int64_t>(Number(v, "min_area"));
    options.clear_border = Number(v, "clear_border") != 0;
    FilterLabels(in, options, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
}

TEST_CASE("deviation, focus stacking and focus score equal numpy's and scipy's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("stack", [&](const Values& v) {
    const Plane& first = oracle->plane(v.at("p0"));
    Array deviation = MakeArray(DType::kF32, first.height, first.width);
    Array best = MakeArray(first.dtype, first.height, first.width);
    DeviationProjection spread;
    FocusStack focus(9);
    spread.First(first);
    focus.First(first, best.plane);
    for (const char* p : {"p1", "p2", "p3"}) {
      spread.Next(oracle->plane(v.at(p)));
      focus.Next(oracle->plane(v.at(p)), best.plane);
    }
    spread.Finish(deviation.plane);
    CheckPlanes(deviation.plane, oracle->plane(v.at("deviation")), 1.2e-7, 1e-9);
    CheckClose(FocusScore(first), Number(v, "score"), 1e-9);
    // Where two planes are as sharp but for rounding, either will do.
    int64_t wrong = 0;
    for (int64_t y = 0; y < first.height; ++y) {
      for (int64_t x = 0; x < first.width; ++x)
        wrong += test::At(oracle->plane(v.at("sure")), y, x) != 0 &&
                 test::At(best.plane, y, x) != test::At(oracle->plane(v.at("best")), y, x);
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("crops, turns and resizing equal numpy's, scikit-image's and OpenCV's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  auto each = [&](const char* name, auto compute) {
    oracle->Each(name, [&](const Values& v) {
      const Plane &in = oracle->plane(v.at("input")), &want = oracle->plane(v.at("out"));
      Array out = MakeArray(want.dtype, want.height, want.width);
      compute(v, in, out.plane);
      const double tolerance = std::string(name) == "resize" ? 2e-6 : 0;
      CheckPlanes(out.plane, want, tolerance, tolerance * Greatest(in));
    });
  };
  each("turn", [](const Values& v, const Plane& in, const Plane& out) {
    Rearrange(static_cast<Turn>(Number(v, "turn")), in, out);
  });
  each("crop", [](const Values& v, const Plane& in, const Plane& out) {
    Crop(in, static_cast<int64_t>(Number(v, "y")), static_cast<int64_t>(Number(v, "x")), out);
  });
  each("resize", [](const Values& v, const Plane& in, const Plane& out) {
    Resize(v.at("method") == "area" ? Resampling::kArea : Resampling::kBilinear, in, out);
  });
}

}  // namespace
}  // namespace tilecast
