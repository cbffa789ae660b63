// SPDX-License-Identifier: MIT
// Filters, morphology, exposure, thresholds, segmentation and geometry against scikit-image, scipy
// and numpy: cases of scripts/ops_oracle_catalogue.py.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "error.h"
#include "ops/morphology.h"
#include "ops/rank.h"
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
  const std::map<std::string, Morphology> ops = {
      {"erosion", Morphology::kErode},        {"dilation", Morphology::kDilate},
      {"opening", Morphology::kOpen},         {"closing", Morphology::kClose},
      {"white_tophat", Morphology::kWhiteTopHat}, {"black_tophat", Morphology::kBlackTopHat}};
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
    FillHoles(in, in);
    CheckPlanes(in, oracle->plane(v.at("out")));
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

}  // namespace
}  // namespace tilecast
