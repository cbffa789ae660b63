// SPDX-License-Identifier: MIT
// GPU rows of the segmentation. What has none: splitObjects and growLabels, which flood in the
// order of values, and adaptiveThreshold, whose local means differ from the CPU's in the last bits,
// so that on even ground a mask would change sides.
#include "gpu/gpu_rows.h"
#include "gpu/label_ops.h"

namespace tilecast::gpu {
namespace {

constexpr int64_t kMostSide = 32767;               // squares of distances, summed, are words
constexpr int64_t kMostPixels = int64_t{1} << 29;  // labels and rows are words: 2 GiB of them
constexpr int64_t kMostApart = 64;                 // px that peaks are looked for around each

std::optional<std::string> RefuseLarge(PlaneShape shape) {
  if (shape.height > kMostSide || shape.width > kMostSide) return "a side above 32767 px";
  if (shape.height * shape.width > kMostPixels) return "more than 2^29 px";
  return std::nullopt;
}

}  // namespace

std::vector<GpuRow> GpuSegmentationRows() {
  return {
      {.name = "distanceTransform",
       .refuses = [](DType, PlaneShape shape, const OpArguments&) { return RefuseLarge(shape); },
       .encode = [](const GpuOpCall& c) { EncodeDistance(c.recipe, c.in, c.out); }},
      {.name = "findPeaks",
       .refuses = [](DType, PlaneShape shape, const OpArguments& a) -> std::optional<std::string> {
         const int64_t distance = a.integer("distance");
         if (distance < 1 || a.integer("border") < 0) return "its distance or border is negative";
         if (distance > kMostApart) return "a distance above 64 px";
         return RefuseLarge(shape);
       },
       .encode =
           [](const GpuOpCall& c) {
             EncodePeaks(c.recipe, c.in, c.arguments.integer("distance"),
                         c.arguments.number("threshold"), c.arguments.integer("border"), c.out);
           }},
      {.name = "expandLabels",
       .refuses = [](DType, PlaneShape shape, const OpArguments& a) -> std::optional<std::string> {
         const double distance = a.number("distance");
         if (!(distance >= 0 && distance <= 4096)) return "its distance is not within 0..4096 px";
         return RefuseLarge(shape);
       },
       .encode =
           [](const GpuOpCall& c) {
             EncodeExpandLabels(c.recipe, c.in, c.arguments.number("distance"), c.out);
           }},
      {.name = "filterLabels",
       .refuses = [](DType, PlaneShape shape, const OpArguments&) { return RefuseLarge(shape); },
       .encode =
           [](const GpuOpCall& c) {
             EncodeFilterLabels(c.recipe, c.in, LabelOptionsOf(c.arguments), c.out);
           }},
  };
}

}  // namespace tilecast::gpu
