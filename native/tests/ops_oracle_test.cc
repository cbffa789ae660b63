// SPDX-License-Identifier: MIT
// The ops against numpy, scipy, scikit-image and tensorstore: cases that scripts/make-ops-oracle.py
// wrote into $TILECAST_OPS_ORACLE.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
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

namespace tilecast {
namespace {

// An array of any dtype with padded rows.
struct Array {
  std::vector<std::byte> memory;
  Plane plane;
};

Array MakeArray(DType dtype, int64_t height, int64_t width) {
  Array out;
  const int64_t size = static_cast<int64_t>(DTypeSize(dtype)), stride = (width + 5) * size;
  out.memory.resize(static_cast<size_t>(height * stride));
  out.plane = {out.memory.data(), dtype, height, width, stride};
  return out;
}

using Values = std::map<std::string, std::string>;

class Oracle {
 public:
  explicit Oracle(const std::string& folder) {
    std::ifstream manifest(folder + "/manifest.txt");
    REQUIRE_MESSAGE(manifest, "no manifest.txt in ", folder);
    for (std::string line; std::getline(manifest, line);) {
      std::istringstream words(line);
      std::string kind, name;
      words >> kind >> name;
      if (kind == "array") {
        std::string dtype_name;
        int64_t height = 0, width = 0;
        words >> dtype_name >> height >> width;
        DType dtype{};
        for (int i = 0; i < kDTypeCount; ++i) {
          if (DTypeName(static_cast<DType>(i)) == dtype_name) dtype = static_cast<DType>(i);
        }
        REQUIRE(DTypeName(dtype) == dtype_name);
        Array array = MakeArray(dtype, height, width);
        std::ifstream raw(folder + "/" + name + ".raw", std::ios::binary);
        for (int64_t y = 0; y < height; ++y)
          raw.read(array.plane.row<char>(y), array.plane.row_bytes());
        REQUIRE(raw);
        arrays_.emplace(name, std::move(array));
      } else {
        Values values;
        for (std::string word; words >> word;) {
          const size_t equals = word.find('=');
          values[word.substr(0, equals)] = word.substr(equals + 1);
        }
        cases_.push_back({name, std::move(values), line});
      }
    }
  }

  const Plane& plane(const std::string& name) const { return arrays_.at(name).plane; }

  template <class F>
  int Each(const std::string& op, F f) const {
    int count = 0;
    for (const auto& c : cases_) {
      if (c.op != op) continue;
      INFO(c.line);
      f(c.values);
      ++count;
    }
    CHECK(count > 0);
    return count;
  }

 private:
  struct Case {
    std::string op;
    Values values;
    std::string line;
  };
  std::map<std::string, Array> arrays_;
  std::vector<Case> cases_;
};

// Loaded once; null, with a message, when the oracle was not made.
const Oracle* TheOracle() {
  static const Oracle* const oracle = []() -> const Oracle* {
    const char* folder = std::getenv("TILECAST_OPS_ORACLE");
    if (folder == nullptr) return nullptr;
    return new Oracle(folder);
  }();
  if (oracle == nullptr)
    MESSAGE(
        "left out: TILECAST_OPS_ORACLE is not set (scripts/make-ops-oracle.py makes the folder)");
  return oracle;
}

double Number(const Values& v, const std::string& key, double otherwise = 0) {
  const auto found = v.find(key);
  return found == v.end() ? otherwise : std::strtod(found->second.c_str(), nullptr);
}

double At(const Plane& p, int64_t y, int64_t x) {
  return Visit(p.dtype,
               [&](auto zero) { return static_cast<double>(p.row<decltype(zero)>(y)[x]); });
}

// Checks got against want: each pixel within `relative` of its own magnitude plus `absolute`.
// Reports the worst pixel only.
void CheckPlanes(const Plane& got, const Plane& want, double relative = 0, double absolute = 0) {
  REQUIRE(got.height == want.height);
  REQUIRE(got.width == want.width);
  REQUIRE(got.dtype == want.dtype);
  double worst = 0;
  int64_t at_y = 0, at_x = 0;
  for (int64_t y = 0; y < got.height; ++y) {
    for (int64_t x = 0; x < got.width; ++x) {
      const double a = At(got, y, x), b = At(want, y, x);
      double excess = std::abs(a - b) - relative * std::abs(b) - absolute;
      if (a == b || (std::isnan(a) && std::isnan(b))) excess = 0;
      if (std::isnan(excess)) excess = INFINITY;
      if (excess > worst) {
        worst = excess;
        at_y = y;
        at_x = x;
      }
    }
  }
  INFO("first worst at row ", at_y, ", column ", at_x, ": got ", At(got, at_y, at_x), ", want ",
       At(want, at_y, at_x));
  CHECK(worst == 0);
}

double Greatest(const Plane& p) {
  double greatest = 0;
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x) greatest = std::max(greatest, std::abs(At(p, y, x)));
  }
  return greatest;
}

void CheckClose(double got, double want, double relative, double absolute = 0) {
  if (std::isnan(got) && std::isnan(want)) return;
  INFO("got ", got, ", want ", want);
  CHECK(std::abs(got - want) <= relative * std::abs(want) + absolute);
}

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
