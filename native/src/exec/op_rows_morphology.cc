// SPDX-License-Identifier: MIT
// Rows of grey and binary morphology.
#include <algorithm>

#include "exec/op_registry.h"
#include "ops/morphology.h"
#include "ops/object_parts.h"
#include "ops/skeleton.h"

namespace tilecast {
namespace {

using Type = OpParameter::Type;
using Reach = OpRow::Reach;

template <Morphology op>
OpRow MorphologyRow(std::string_view name) {
  return {
      .name = name,
      .accepts = kNotF64,
      .reach = Reach::kHalo,
      .parameters = {{"radius", Type::kInteger, {}, true},
                     {"height", Type::kInteger, {}, true},
                     {"width", Type::kInteger, {}, true}},
      .halo =
          [](const OpArguments& a) {
            const Footprint f = FootprintOf(a);
            return std::max(f.height, f.width) / 2 * (op >= Morphology::kOpen ? 2 : 1);
          },
      .run = [](const OpCall& c) { Morph(op, FootprintOf(c.arguments), c.in, c.out); },
  };
}

}  // namespace

std::vector<OpRow> MorphologyRows() {
  return {
      MorphologyRow<Morphology::kErode>("erode"),
      MorphologyRow<Morphology::kDilate>("dilate"),
      MorphologyRow<Morphology::kOpen>("open"),
      MorphologyRow<Morphology::kClose>("close"),
      MorphologyRow<Morphology::kWhiteTopHat>("topHat"),
      MorphologyRow<Morphology::kBlackTopHat>("blackTopHat"),
      {
          .name = "fillHoles",
          .accepts = kMask,
          .run = [](const OpCall& c) { FillHoles(c.in, c.out); },
          .on_objects = [](const OpArguments&, const Objects& in,
                           Objects& out) { FillObjects(in, out); },
      },
      {
          .name = "skeletonize",
          .accepts = kMask,
          .run = [](const OpCall& c) { Skeletonize(c.in, c.out); },
      },
  };
}

}  // namespace tilecast
