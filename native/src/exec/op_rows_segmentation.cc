// SPDX-License-Identifier: MIT
// Rows of the segmentation ops. Thresholds of a whole plane are instructions of their own: a label
// right after one needs no mask (program.h).
#include "exec/op_registry.h"
#include "ops/thresholds.h"

namespace tilecast {
namespace {

using Type = OpParameter::Type;
using Reach = OpRow::Reach;

DType Mask(DType, const OpArguments&) {
  return DType::kU8;
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
          .run =
              [](const OpCall& c) {
                const OpArguments& a = c.arguments;
                AdaptiveThreshold(c.in, a.choice<Surroundings>("method"), a.integer("block"),
                                  a.number("offset"), c.out);
              },
      },
  };
}

}  // namespace tilecast
