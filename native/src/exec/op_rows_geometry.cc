// SPDX-License-Identifier: MIT
// Rows of the geometry ops: results of another size than their input, or turned.
#include "exec/op_registry.h"
#include "ops/geometry.h"
#include "ops/resample.h"
#include "ops/translate.h"

namespace tilecast {
namespace {

using Type = OpParameter::Type;

PlaneShape WantedShape(PlaneShape, const OpArguments& a) {
  return {a.integer("height"), a.integer("width")};
}

int64_t Blocks(int64_t side, int64_t factor) {
  return factor < 1 ? 0 : (side + factor - 1) / factor;
}

}  // namespace

std::vector<OpRow> GeometryRows() {
  return {
      {
          .name = "crop",
          .parameters = {{"y", Type::kInteger, 0},
                         {"x", Type::kInteger, 0},
                         {"height", Type::kInteger},
                         {"width", Type::kInteger}},
          .shape = WantedShape,
          .run =
              [](const OpCall& c) {
                Crop(c.in, c.arguments.integer("y"), c.arguments.integer("x"), c.out);
              },
      },
      {
          .name = "rotate",
          // Turn, in its order.
          .parameters = {{"turn", Type::kChoice, {}, false, {"90", "180", "270"}}},
          .shape =
              [](PlaneShape in, const OpArguments& a) {
                return a.choice<Turn>("turn") == Turn::kRotate180 ? in
                                                                  : PlaneShape{in.width, in.height};
              },
          .run = [](const OpCall& c) { Rearrange(c.arguments.choice<Turn>("turn"), c.in, c.out); },
      },
      {
          .name = "flip",
          .parameters = {{"axis", Type::kChoice, {}, false, {"rows", "columns", "transpose"}}},
          .shape =
              [](PlaneShape in, const OpArguments& a) {
                return a.number("axis") == 2 ? PlaneShape{in.width, in.height} : in;
              },
          .run =
              [](const OpCall& c) {
                constexpr Turn turns[] = {Turn::kFlipRows, Turn::kFlipColumns, Turn::kTranspose};
                Rearrange(turns[c.arguments.integer("axis")], c.in, c.out);
              },
      },
      {
          .name = "translate",
          .reach = OpRow::Reach::kHalo,
          .parameters = {{"y", Type::kNumber, 0},
                         {"x", Type::kNumber, 0},
                         // Spline and Outside, in their order.
                         {"spline", Type::kChoice, 1, false, {"linear", "cubic"}},
                         {"outside", Type::kChoice, 0, false, {"edge", "zero"}}},
          .halo =
              [](const OpArguments& a) {
                return TranslateHalo(a.choice<Spline>("spline"), a.number("y"), a.number("x"));
              },
          .run =
              [](const OpCall& c) {
                const OpArguments& a = c.arguments;
                Translate(c.in, a.number("y"), a.number("x"), a.choice<Spline>("spline"),
                          a.choice<Outside>("outside"), c.out);
              },
      },
      {
          .name = "bin",
          .parameters = {{"factor", Type::kInteger}},
          .result = [](DType, const OpArguments&) { return DType::kF32; },
          .shape =
              [](PlaneShape in, const OpArguments& a) {
                const int64_t factor = a.integer("factor");
                return PlaneShape{Blocks(in.height, factor), Blocks(in.width, factor)};
              },
          .run = [](const OpCall& c) { BlockMean(c.in, c.arguments.integer("factor"), c.out); },
      },
      {
          .name = "resize",
          .parameters = {{"height", Type::kInteger},
                         {"width", Type::kInteger},
                         // Resampling, in its order.
                         {"method", Type::kChoice, 1, false, {"bilinear", "area"}}},
          .shape = WantedShape,
          .run =
              [](const OpCall& c) {
                Resize(c.arguments.choice<Resampling>("method"), c.in, c.out);
              },
      },
  };
}

}  // namespace tilecast
