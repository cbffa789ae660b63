// SPDX-License-Identifier: MIT
// Rows of the intensity ops: arithmetic, illumination, normalisation, equalisation.
#include "exec/op_registry.h"
#include "ops/anscombe.h"
#include "ops/arithmetic.h"
#include "ops/background.h"
#include "ops/intensity.h"

namespace tilecast {
namespace {

using Type = OpParameter::Type;
using Reach = OpRow::Reach;

DType Float32(DType, const OpArguments&) {
  return DType::kF32;
}

DType Wanted(DType, const OpArguments& a) {
  return a.dtype("dtype");
}

OpParameter DTypeParameter(std::optional<double> fallback) {
  return {"dtype", Type::kDType, fallback};
}

constexpr auto kFloat32 = static_cast<double>(DType::kF32);

template <Arithmetic op>
OpRow ArithmeticRow(std::string_view name) {
  return {
      .name = name,
      .reach = Reach::kPixel,
      .most_others = 1,
      .parameters = {{"value", Type::kNumber, {}, true}, DTypeParameter(kFloat32)},
      .result = Wanted,
      .run =
          [](const OpCall& c) {
            if (!c.others.empty()) {
              Calculate(op, c.in, c.others[0], c.out);
            } else if (c.arguments.has("value")) {
              Calculate(op, c.in, c.arguments.number("value"), c.out);
            } else {
              throw Error(Code::kInvalidArgument, "arithmetic needs a value or a second image");
            }
          },
  };
}

}  // namespace

std::vector<OpRow> IntensityRows() {
  return {
      {
          .name = "flatField",
          .reach = Reach::kPixel,
          .least_others = 1,
          .most_others = 1,
          .parameters = {{"background", Type::kNumber, 0}},
          .result = Float32,
          .run =
              [](const OpCall& c) {
                FlatField(c.in, c.others[0], static_cast<float>(c.arguments.number("background")),
                          c.out);
              },
      },
      {
          .name = "subtractBackground",
          .reach = Reach::kPixel,
          .parameters = {{"value", Type::kNumber, {}, true},
                         {"percentile", Type::kNumber, {}, true}},
          .result = Float32,
          .wants =
              [](const OpArguments& a) {
                PlaneWants wants;
                if (!a.has("value")) wants.percentiles = {a.number("percentile")};
                return wants;
              },
          .settle =
              [](const PlaneFacts& facts, OpArguments& a) {
                if (!a.has("value")) a.Replace("value", facts.percentiles.at(0));
              },
          .run =
              [](const OpCall& c) {
                SubtractConstant(c.in, static_cast<float>(c.arguments.number("value")), c.out);
              },
      },
      {
          .name = "rollingBall",
          .accepts = DTypes({DType::kU8, DType::kU16, DType::kF32}),
          .reach = Reach::kHalo,
          .parameters = {{"radius", Type::kInteger},
                         // BallResult, in its order.
                         {"gives", Type::kChoice, 0, false, {"corrected", "background"}}},
          .halo = [](const OpArguments& a) { return a.integer("radius"); },
          .run =
              [](const OpCall& c) {
                RollingBall(c.in, c.arguments.integer("radius"),
                            c.arguments.choice<BallResult>("gives"), c.out);
              },
      },
      ArithmeticRow<Arithmetic::kAdd>("add"),
      ArithmeticRow<Arithmetic::kSubtract>("subtract"),
      ArithmeticRow<Arithmetic::kMultiply>("multiply"),
      ArithmeticRow<Arithmetic::kDivide>("divide"),
      {
          .name = "convert",
          .reach = Reach::kPixel,
          .parameters = {DTypeParameter({})},
          .result = Wanted,
          .run = [](const OpCall& c) { Rescale(c.in, 1, 0, c.out); },
      },
      {
          .name = "rescale",
          .reach = Reach::kPixel,
          .parameters = {{"scale", Type::kNumber, 1},
                         {"offset", Type::kNumber, 0},
                         DTypeParameter(kFloat32)},
          .result = Wanted,
          .run =
              [](const OpCall& c) {
                Rescale(c.in, c.arguments.number("scale"), c.arguments.number("offset"), c.out);
              },
      },
      {
          .name = "clip",
          .reach = Reach::kPixel,
          .parameters = {{"low", Type::kNumber}, {"high", Type::kNumber}},
          .run =
              [](const OpCall& c) {
                Clip(c.in, c.arguments.number("low"), c.arguments.number("high"), c.out);
              },
      },
      {
          .name = "gamma",
          .reach = Reach::kPixel,
          .parameters = {{"gamma", Type::kNumber}, {"gain", Type::kNumber, 1}},
          .run =
              [](const OpCall& c) {
                Gamma(c.in, c.arguments.number("gamma"), c.arguments.number("gain"), c.out);
              },
      },
      {
          .name = "invert",
          .reach = Reach::kPixel,
          .run = [](const OpCall& c) { Invert(c.in, c.out); },
      },
      {
          .name = "anscombe",
          .reach = Reach::kPixel,
          .result = Float32,
          .run = [](const OpCall& c) { Anscombe(c.in, c.out); },
      },
      {
          .name = "normalize",
          .reach = Reach::kPixel,
          .parameters = {{"low", Type::kNumber, 0},
                         {"high", Type::kNumber, 100},
                         {"outLow", Type::kNumber, 0},
                         {"outHigh", Type::kNumber, 1},
                         DTypeParameter(kFloat32)},
          .result = Wanted,
          .wants =
              [](const OpArguments& a) {
                PlaneWants wants;
                wants.range = a.number("low") == 0 && a.number("high") == 100;
                if (!wants.range) wants.percentiles = {a.number("low"), a.number("high")};
                return wants;
              },
          .settle =
              [](const PlaneFacts& facts, OpArguments& a) {
                const bool range = facts.percentiles.empty();
                a.Replace("low", range ? facts.range.min : facts.percentiles.at(0));
                a.Replace("high", range ? facts.range.max : facts.percentiles.at(1));
              },
          .run =
              [](const OpCall& c) {
                const OpArguments& a = c.arguments;
                Stretch(c.in, a.number("low"), a.number("high"), a.number("outLow"),
                        a.number("outHigh"), c.out);
              },
      },
      {
          .name = "equalize",
          .accepts = kLevels,
          .result = Float32,
          .source = [](const Region& out, PlaneShape, const OpArguments&) { return out; },
          .wants =
              [](const OpArguments&) {
                PlaneWants wants;
                wants.levels = true;
                return wants;
              },
          .run = [](const OpCall& c) { Equalize(c.in, c.out); },
          .run_part =
              [](const OpCall& c, const OpPart& part) {
                EqualizeByLevels(c.in, part.facts.counts, part.facts.levels, c.out);
              },
      },
      {
          .name = "clahe",
          .accepts = DTypes({DType::kU8, DType::kU16}),
          .parameters = {{"clip", Type::kNumber, 40},
                         {"tilesY", Type::kInteger, 8},
                         {"tilesX", Type::kInteger, 8}},
          .run =
              [](const OpCall& c) {
                Clahe(c.in, c.arguments.number("clip"), c.arguments.integer("tilesY"),
                      c.arguments.integer("tilesX"), c.out);
              },
      },
  };
}

}  // namespace tilecast
