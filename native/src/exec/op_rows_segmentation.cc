// SPDX-License-Identifier: MIT
// Rows of the segmentation ops. Thresholds of a whole plane are instructions of their own: a label
// right after one needs no mask (program.h).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "exec/op_registry.h"
#include "ops/arithmetic.h"
#include "ops/check.h"
#include "ops/distance.h"
#include "ops/object_parts.h"
#include "ops/thresholds.h"

namespace tilecast {
namespace {

using Type = OpParameter::Type;
using Reach = OpRow::Reach;

DType Mask(DType, const OpArguments&) {
  return DType::kU8;
}

DType Labels(DType, const OpArguments&) {
  return DType::kI32;
}

DType Float32(DType, const OpArguments&) {
  return DType::kF32;
}

// Peaks as labels of one pixel, numbered in raster order.
void PaintPeaks(const OpCall& c) {
  const OpArguments& a = c.arguments;
  thread_local std::vector<Peak> peaks;
  FindPeaks(c.in, a.integer("distance"), a.number("threshold"), a.integer("border"), peaks);
  std::sort(peaks.begin(), peaks.end(),
            [](const Peak& p, const Peak& q) { return p.y != q.y ? p.y < q.y : p.x < q.x; });
  for (int64_t y = 0; y < c.out.height; ++y) {
    std::memset(c.out.row<int32_t>(y), 0, static_cast<size_t>(c.out.row_bytes()));
  }
  int32_t number = 0;
  for (const Peak& p : peaks) c.out.row<int32_t>(p.y)[p.x] = ++number;
}

// Seeds grow through the mask over the relief, from its least value up.
void GrowSeeds(const OpCall& c) {
  const Plane& seeds = c.others[0];
  RequireDType("growLabels", "the seeds", seeds, DType::kI32);
  Plane relief;
  if (c.others.size() < 2) {
    relief = c.scratch.Get(0, DType::kF32, c.in.height, c.in.width);
    std::memset(relief.data, 0, static_cast<size_t>(relief.bytes()));
  } else if (c.others[1].dtype == DType::kF32) {
    relief = c.others[1];
  } else {
    relief = c.scratch.Get(0, DType::kF32, c.in.height, c.in.width);
    Rescale(c.others[1], 1, 0, relief);
  }
  for (int64_t y = 0; y < c.out.height; ++y) {
    std::memcpy(c.out.row<int32_t>(y), seeds.row<int32_t>(y),
                static_cast<size_t>(c.out.row_bytes()));
  }
  Watershed(relief, &c.in, true, c.out);
}

}  // namespace

std::vector<OpRow> SegmentationRows() {
  return {
      {
          .name = "adaptiveThreshold",
          .reach = Reach::kHalo,
          .parameters = {{"block", Type::kInteger},
                         {"offset", Type::kNumber, 0},
                         // Surroundings, in its order.
                         {"method", Type::kChoice, 1, false, {"mean", "gaussian"}}},
          .result = Mask,
          // The Gaussian of sigma (block - 1) / 6 reaches further than the block.
          .halo = [](const OpArguments& a) { return a.integer("block"); },
          .row_step = [](DType, const OpArguments& a) { return a.integer("block"); },
          .run =
              [](const OpCall& c) {
                const OpArguments& a = c.arguments;
                AdaptiveThreshold(c.in, a.choice<Surroundings>("method"), a.integer("block"),
                                  a.number("offset"), c.out);
              },
      },
      {
          .name = "distanceTransform",
          .accepts = kMask,
          .result = Float32,
          .run = [](const OpCall& c) { DistanceTransform(c.in, c.out); },
      },
      {
          .name = "splitObjects",
          .accepts = kMask,
          .parameters = {{"distance", Type::kInteger, 10}},
          .result = Labels,
          .run =
              [](const OpCall& c) { SplitObjects(c.in, c.arguments.integer("distance"), c.out); },
      },
      {
          .name = "growLabels",
          .accepts = kMask,
          .least_others = 1,
          .most_others = 2,
          .result = Labels,
          .run = GrowSeeds,
      },
      {
          .name = "findPeaks",
          .accepts = kNotF64,
          .parameters = {{"threshold", Type::kNumber},
                         {"distance", Type::kInteger, 1},
                         {"border", Type::kInteger, 0}},
          .result = Labels,
          .run = PaintPeaks,
      },
      {
          .name = "expandLabels",
          .accepts = kLabels,
          .reach = Reach::kHalo,
          .parameters = {{"distance", Type::kNumber}},
          .halo =
              [](const OpArguments& a) {
                return static_cast<int64_t>(std::ceil(a.number("distance")));
              },
          .run = [](const OpCall& c) { ExpandLabels(c.in, c.arguments.number("distance"), c.out); },
      },
      {
          .name = "filterLabels",
          .accepts = kLabels,
          .parameters = {{"minArea", Type::kInteger, 0},
                         {"maxArea", Type::kInteger, {}, true},
                         {"clearBorder", Type::kFlag, 0}},
          .run = [](const OpCall& c) { FilterLabels(c.in, LabelOptionsOf(c.arguments), c.out); },
          .on_objects = [](const OpArguments& a, const Objects& in,
                           Objects& out) { FilterObjects(in, LabelOptionsOf(a), out); },
      },
  };
}

}  // namespace tilecast
