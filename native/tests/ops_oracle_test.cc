// SPDX-License-Identifier: MIT
// The ops against numpy, scipy, scikit-image and tensorstore: cases that scripts/make-ops-oracle.py
// wrote into $TILECAST_OPS_ORACLE.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "error.h"
#include "ops/arithmetic.h"
#include "ops/gaussian.h"
#include "ops/histogram.h"
#include "ops/label.h"
#include "ops/measure.h"
#include "ops/project.h"
#include "ops/resample.h"
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

TEST_CASE("gaussian agrees with scipy.ndimage.gaussian_filter") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("gaussian", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &want = oracle->plane(v.at("out"));
    Array out = MakeArray(DType::kF32, in.height, in.width);
    const MinMax range = Gaussian(in, Number(v, "sigma"), out.plane);
    // Where pixels of both signs cancel, float32 sums are exact only against the image's magnitude.
    const double cancel = Range(in).min < 0 ? 1e-6 * Greatest(in) : 0;
    CheckPlanes(out.plane, want, 1e-6, cancel);
    const MinMax actual = Range(out.plane);
    CHECK(range.min == actual.min);
    CHECK(range.max == actual.max);
  });
}

TEST_CASE("Otsu's threshold equals skimage.filters.threshold_otsu bit for bit") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("otsu", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    if (v.at("threshold") == "error") {
      CHECK_THROWS_AS(Otsu(in), Error);
      return;
    }
    CHECK(Otsu(in) == Number(v, "threshold"));
    CHECK(Otsu(in, Range(in)) == Number(v, "threshold"));
  });
}

TEST_CASE("range equals numpy's min and max") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("range", [&](const Values& v) {
    const MinMax range = Range(oracle->plane(v.at("input")));
    CHECK(range.min == Number(v, "min"));
    CHECK(range.max == Number(v, "max"));
  });
}

TEST_CASE("percentile equals numpy.percentile") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("percentile", [&](const Values& v) {
    CHECK(Percentile(oracle->plane(v.at("input")), Number(v, "q")) == Number(v, "value"));
  });
}

TEST_CASE("point operations equal numpy's") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("flatfield", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kF32, in.height, in.width);
    FlatField(in, oracle->plane(v.at("field")), static_cast<float>(Number(v, "background")),
              out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
  oracle->Each("subtract", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kF32, in.height, in.width);
    SubtractConstant(in, static_cast<float>(Number(v, "value")), out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
  oracle->Each("threshold", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    Array out = MakeArray(DType::kU8, in.height, in.width);
    Threshold(in, Number(v, "value"), out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
  });
  oracle->Each("rescale", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &want = oracle->plane(v.at("out"));
    Array out = MakeArray(want.dtype, in.height, in.width);
    Rescale(in, Number(v, "scale"), Number(v, "offset"), out.plane);
    CheckPlanes(out.plane, want);
  });
}

TEST_CASE("labels equal skimage.measure.label, filtered or not") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("label", [&](const Values& v) {
    const Plane& in = oracle->plane(v.at("input"));
    LabelOptions options;
    options.min_area = static_cast<int64_t>(Number(v, "min_area", 0));
    options.max_area = static_cast<int64_t>(Number(v, "max_area", 9e18));
    options.clear_border = Number(v, "clear_border") != 0;
    Objects objects;
    LabelRuns(in, Number(v, "value"), options, objects);
    Array out = MakeArray(DType::kI32, in.height, in.width);
    PaintLabels(objects, out.plane);
    CheckPlanes(out.plane, oracle->plane(v.at("out")));
    CHECK(objects.count == static_cast<int32_t>(Range(out.plane).max));
  });
}

TEST_CASE("shape measurements equal regionprops") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("shapes", [&](const Values& v) {
    const Plane& want = oracle->plane(v.at("out"));
    Objects objects;
    RunsFromLabels(oracle->plane(v.at("labels")), objects);
    std::vector<ShapeRow> rows;
    MeasureShapes(objects, {.perimeter = true, .eccentricity = true}, rows);
    int64_t present = 0;
    for (const ShapeRow& row : rows) present += row.area > 0;
    REQUIRE(present == want.height);
    for (int64_t i = 0; i < want.height; ++i) {
      const double* p = want.row<double>(i);
      const ShapeRow& row = rows.at(static_cast<size_t>(p[0]) - 1);
      INFO("label ", p[0]);
      CHECK(row.label == static_cast<int32_t>(p[0]));
      CHECK(row.area == static_cast<int64_t>(p[1]));
      CheckClose(row.centroid_y, p[2], 1e-12);
      CheckClose(row.centroid_x, p[3], 1e-12);
      CHECK(row.y0 == p[4]);
      CHECK(row.x0 == p[5]);
      CHECK(row.y1 == p[6]);
      CHECK(row.x1 == p[7]);
      CheckClose(row.perimeter, p[8], 1e-12);
      // regionprops subtracts two nearly equal numbers for round objects, hence the absolute part.
      CheckClose(row.eccentricity, p[9], 1e-6, 1e-7);
    }
  });
}

TEST_CASE("intensity measurements equal regionprops") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("intensity", [&](const Values& v) {
    const Plane &want = oracle->plane(v.at("out")), &image = oracle->plane(v.at("input"));
    Objects objects;
    RunsFromLabels(oracle->plane(v.at("labels")), objects);
    std::vector<IntensityRow> rows;
    MeasureIntensity(objects, image, rows);
    std::vector<IntensityRow> present;
    for (const IntensityRow& row : rows) {
      if (!std::isnan(row.mean)) present.push_back(row);
    }
    REQUIRE(static_cast<int64_t>(present.size()) == want.height);
    for (int64_t i = 0; i < want.height; ++i) {
      const double* p = want.row<double>(i);
      const IntensityRow& row = present[static_cast<size_t>(i)];
      const double rounding = 1e-12 * std::max(std::abs(row.min), std::abs(row.max));
      CheckClose(row.integrated, p[0], IsFloat(image.dtype) ? 1e-12 : 0,
                 IsFloat(image.dtype) ? 1e3 * rounding : 0);
      CheckClose(row.mean, p[1], 1e-12, rounding);
      CHECK(row.min == p[2]);
      CHECK(row.max == p[3]);
    }
  });
}

TEST_CASE("projections equal numpy's max, sum and mean") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("project", [&](const Values& v) {
    for (const auto& [kind, name] : {std::pair{Projection::kMax, "max"},
                                     {Projection::kSum, "sum"},
                                     {Projection::kMean, "mean"}}) {
      const Plane& first = oracle->plane(v.at("p0"));
      Array acc = MakeArray(ProjectionAccumulator(kind, first.dtype), first.height, first.width);
      Array out = MakeArray(ProjectionResult(kind, first.dtype), first.height, first.width);
      ProjectFirst(kind, first, acc.plane);
      for (const char* p : {"p1", "p2", "p3", "p4"})
        ProjectNext(kind, oracle->plane(v.at(p)), acc.plane);
      ProjectFinish(kind, 5, acc.plane, out.plane);
      CheckPlanes(out.plane, oracle->plane(v.at(name)));
    }
  });
}

TEST_CASE("halving equals tensorstore's downsample driver") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("halve_mean", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &want = oracle->plane(v.at("out"));
    Array out = MakeArray(in.dtype, want.height, want.width);
    HalveMean(in, out.plane);
    const double ulp = in.dtype == DType::kF32 ? 3e-7 : in.dtype == DType::kF64 ? 1e-15 : 0;
    CheckPlanes(out.plane, want, ulp, ulp * Greatest(in));
  });
  oracle->Each("halve_stride", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &want = oracle->plane(v.at("out"));
    Array out = MakeArray(in.dtype, want.height, want.width);
    HalveStride(in, out.plane);
    CheckPlanes(out.plane, want);
  });
}

TEST_CASE("block means and their enlargement agree with numpy and scipy") {
  const Oracle* oracle = TheOracle();
  if (oracle == nullptr) return;
  oracle->Each("block_mean", [&](const Values& v) {
    const Plane& want = oracle->plane(v.at("out"));
    Array out = MakeArray(DType::kF32, want.height, want.width);
    BlockMean(oracle->plane(v.at("input")), static_cast<int64_t>(Number(v, "factor")), out.plane);
    CheckPlanes(out.plane, want, 1e-6, 1e-12 * Greatest(oracle->plane(v.at("input"))));
  });
  oracle->Each("enlarge", [&](const Values& v) {
    const Plane &in = oracle->plane(v.at("input")), &want = oracle->plane(v.at("out"));
    Array out = MakeArray(DType::kF32, want.height, want.width);
    EnlargeBilinear(in, static_cast<int64_t>(Number(v, "factor")), out.plane);
    CheckPlanes(out.plane, want, 1e-6, 1e-6 * Greatest(in));
  });
}

}  // namespace
}  // namespace tilecast
