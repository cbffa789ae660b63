// SPDX-License-Identifier: MIT
// Rows of the geometry ops: results of another size than their input, or turned.
#include <algorithm>

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

constexpr Turn kFlips[] = {Turn::kFlipRows, Turn::kFlipColumns, Turn::kTranspose};

// The part of an image of shape `in` that a part of the turned image comes from. Undoes
// numpy.rot90(in, k), which takes out[y, x] from in[x, width - 1 - y] for k = 1.
Region TurnSource(Turn turn, const Region& out, PlaneShape in) {
  const int64_t up = in.height - out.bottom(), left = in.width - out.right();
  switch (turn) {
    case Turn::kRotate90:
      return {out.x, in.width - out.bottom(), out.width, out.height};
    case Turn::kRotate180:
      return {up, left, out.height, out.width};
    case Turn::kRotate270:
      return {in.height - out.right(), out.y, out.width, out.height};
    case Turn::kFlipRows:
      return {up, out.x, out.height, out.width};
    case Turn::kFlipColumns:
      return {out.y, left, out.height, out.width};
    case Turn::kTranspose:
      return {out.x, out.y, out.width, out.height};
  }
  return out;
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
          .source =
              [](const Region& out, PlaneShape, const OpArguments& a) {
                return Region{out.y + a.integer("y"), out.x + a.integer("x"), out.height,
                              out.width};
              },
          .run =
              [](const OpCall& c) {
                Crop(c.in, c.arguments.integer("y"), c.arguments.integer("x"), c.out);
              },
          .run_part = [](const OpCall& c, const OpPart&) { Crop(c.in, 0, 0, c.out); },
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
          .source =
              [](const Region& out, PlaneShape in, const OpArguments& a) {
                return TurnSource(a.choice<Turn>("turn"), out, in);
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
          .source =
              [](const Region& out, PlaneShape in, const OpArguments& a) {
                return TurnSource(kFlips[a.integer("axis")], out, in);
              },
          .run =
              [](const OpCall& c) { Rearrange(kFlips[c.arguments.integer("axis")], c.in, c.out); },
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
          .source =
              [](const Region& out, PlaneShape in, const OpArguments& a) {
                const int64_t f = a.integer("factor");
                const int64_t y = out.y * f, x = out.x * f;
                return Region{y, x, std::min(out.bottom() * f, in.height) - y,
                              std::min(out.right() * f, in.width) - x};
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
          .source =
              [](const Region& out, PlaneShape in, const OpArguments& a) {
                const auto method = a.choice<Resampling>("method");
                const auto [top, bottom] =
                    ResizeSource(method, in.height, a.integer("height"), out.y, out.height);
                const auto [left, right] =
                    ResizeSource(method, in.width, a.integer("width"), out.x, out.width);
                return Region{top, left, bottom - top, right - left};
              },
          .run =
              [](const OpCall& c) {
                Resize(c.arguments.choice<Resampling>("method"), c.in, c.out);
              },
          .run_part =
              [](const OpCall& c, const OpPart& p) {
                ResizePart(c.arguments.choice<Resampling>("method"), c.in,
                           {p.whole_in.height, p.whole_in.width, p.in.y, p.in.x}, c.out,
                           {p.whole_out.height, p.whole_out.width, p.out.y, p.out.x});
              },
      },
  };
}

}  // namespace tilecast
