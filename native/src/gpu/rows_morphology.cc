// SPDX-License-Identifier: MIT
// GPU rows of the morphology.
#include "gpu/gpu_rows.h"
#include "gpu/morphology.h"
#include "gpu/segmentation.h"

namespace tilecast::gpu {
namespace {

constexpr int64_t kMostRadius = 255;               // Morph's
constexpr int64_t kMostSide = 65535;               // workgroups along an axis
constexpr int64_t kMostPixels = int64_t{1} << 29;  // keys are words: 2 GiB of them

std::optional<std::string> Refuses(DType, PlaneShape shape, const OpArguments& a) {
  // What Morph throws for, it shall throw for.
  const bool disk = a.has("radius");
  if (!disk && !(a.has("height") && a.has("width"))) return "it has no footprint";
  const Footprint f = FootprintOf(a);
  if (f.height < 1 || f.width < 1 || (disk && f.height > 2 * kMostRadius + 1)) {
    return "its footprint is not within 1 px and a radius of 255 px";
  }
  if (shape.height > kMostSide || shape.width > kMostSide) return "a side above 65535 px";
  if (shape.height * shape.width > kMostPixels) return "more than 2^29 px";
  return std::nullopt;
}

template <Morphology op>
GpuRow MorphologyRow(std::string_view name) {
  return {.name = name, .refuses = Refuses, .encode = [](const GpuOpCall& c) {
            EncodeMorph(c.recipe, op, FootprintOf(c.arguments), c.in, c.out);
          }};
}

}  // namespace

std::vector<GpuRow> GpuMorphologyRows() {
  return {
      MorphologyRow<Morphology::kErode>("erode"),
      MorphologyRow<Morphology::kDilate>("dilate"),
      MorphologyRow<Morphology::kOpen>("open"),
      MorphologyRow<Morphology::kClose>("close"),
      MorphologyRow<Morphology::kWhiteTopHat>("topHat"),
      MorphologyRow<Morphology::kBlackTopHat>("blackTopHat"),
      {.name = "fillHoles",
       .refuses = [](DType in, PlaneShape shape,
                     const OpArguments&) { return RefusesLabel(in, shape); },
       .encode = [](const GpuOpCall& c) { EncodeFillHoles(c.recipe, c.in, c.out); }},
  };
}

}  // namespace tilecast::gpu
