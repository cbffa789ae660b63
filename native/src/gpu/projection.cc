// SPDX-License-Identifier: MIT
// Projections over a stack: as many planes a pass as it has bindings for, the rest by way of what
// was accumulated so far.
#include <algorithm>
#include <string>
#include <vector>

#include "error.h"
#include "gpu/segmentation.h"
#include "gpu/separable.h"
#include "ops/project.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

// Storage buffers a stage, at least.
constexpr size_t kBindings = 8;

std::string Numbered(const char* name, size_t k) {
  std::string text = name;
  text += std::to_string(k);
  return text;
}

// A pass that folds planes into what was accumulated: `first` and `rest` are float or integer
// expressions, of plane_0 and plane_k, with $ for the plane's pixel and `seen` for what there is.
struct Fold {
  std::string name;
  std::string first;   // of the first plane of all
  std::string next;    // of each further one
  std::string finish;  // of `seen`, in the last pass; empty: seen
  DType accumulator = DType::kF32;
  // Besides the stack: planes that the expressions read, by name.
  std::vector<std::pair<std::string_view, GpuPlane>> more = {};
  float count = 1;
};

std::string WithPixel(const std::string& text, const std::string& pixel) {
  std::string out;
  for (const char c : text) {
    if (c == '$') {
      out += pixel;
    } else {
      out += c;
    }
  }
  return out;
}

std::string Scalar(DType d) {
  if (d == DType::kF32) return "f32";
  return d == DType::kI8 || d == DType::kI16 || d == DType::kI32 ? "i32" : "u32";
}

void EncodeFold(RecipeBuilder& recipe, const Fold& fold, std::span<const GpuPlane> in,
                const GpuPlane& out) {
  GpuPlane seen;
  for (size_t done = 0; done < in.size();) {
    std::vector<std::string> names(kBindings);
    std::vector<B::Use> uses;
    uses.reserve(fold.more.size());
    for (const auto& [name, plane] : fold.more) uses.push_back(B::Read(name, plane));
    std::string body = "fn pixel(i: u32) -> out_t {\n";
    if (done > 0) {
      uses.push_back(B::Read("before", seen));
      body += "  var seen = load_before(i);\n";
    }
    for (size_t k = 0; uses.size() + 1 < kBindings && done < in.size(); ++k, ++done) {
      names[k] = Numbered("plane", k);
      uses.push_back(B::Read(names[k], in[done]));
      std::string pixel = "load_";
      pixel += names[k];
      pixel += "(i)";
      body += done == 0 ? "  var seen: " + Scalar(fold.accumulator) + " = " : "  seen = ";
      body += WithPixel(done == 0 ? fold.first : fold.next, pixel);
      body += ";\n";
    }
    const bool last = done == in.size();
    body += "  return ";
    body += last && !fold.finish.empty() ? fold.finish : "seen";
    body += ";\n}\n";
    const GpuPlane to = last ? out : recipe.Temporary(fold.accumulator, out.height, out.width);
    const B::Param params[] = {B::F32("planes", fold.count)};
    std::string text(KernelText("point"));
    text += body;
    recipe.MapText(fold.name, text, to, uses, params);
    seen = to;
  }
}

// Deviations are taken from the first plane, then from their mean, so that no digits are lost to a
// large mean.
void EncodeDeviation(RecipeBuilder& recipe, std::span<const GpuPlane> in, const GpuPlane& out) {
  const auto count = static_cast<float>(in.size());
  const bool floats = IsFloat(in[0].dtype);
  const GpuPlane mean = recipe.Temporary(DType::kF32, out.height, out.width);
  const std::string difference = floats ? "($ - load_first(i))" : "(i32($) - i32(load_first(i)))";
  EncodeFold(recipe,
             {"project_mean_difference",
              difference,
              "seen + " + difference,
              "f32(seen) / params.planes",
              floats ? DType::kF32 : DType::kI32,
              {{"first", in[0]}},
              count},
             in, mean);
  const std::string square =
      "square(" + std::string(floats ? "($ - load_first(i))" : "f32(i32($) - i32(load_first(i)))") +
      " - load_mean(i))";
  EncodeFold(recipe,
             {"project_deviation",
              square,
              "seen + " + square,
              "sqrt(seen / params.planes) + nan_unless_finite(value_first(i))",
              DType::kF32,
              {{"first", in[0]}, {"mean", mean}},
              count},
             in, out);
}

// For each pixel the number of the plane that is sharpest around it, then its pixel.
void EncodeFocus(RecipeBuilder& recipe, int64_t window, std::span<const GpuPlane> in,
                 const GpuPlane& out) {
  const int64_t height = out.height, width = out.width;
  const GpuPlane best = recipe.Temporary(DType::kF32, height, width);
  const GpuPlane chosen = recipe.Temporary(DType::kU32, height, width);
  const GpuPlane squares = recipe.Temporary(DType::kF32, height, width);
  const GpuPlane sharpness = recipe.Temporary(DType::kF32, height, width);
  for (size_t k = 0; k < in.size(); ++k) {
    recipe.Map("laplacian_square", squares, {B::Read("in0", in[k])},
               {B::U32("height", height), B::U32("width", width)});
    EncodeBoxMean(recipe, squares, window, window, sharpness);
    recipe.Linear("focus_choose", out.pixels(),
                  {B::Read("now", sharpness), B::Write("best", best), B::Write("chosen", chosen)},
                  {B::U32("plane", static_cast<int64_t>(k))});
  }
  // Passes of a few planes each; what none of them has comes from the pass before.
  GpuPlane seen;
  for (size_t done = 0; done < in.size();) {
    std::vector<std::string> names(kBindings);
    std::vector<B::Use> uses = {B::Read("chosen", chosen)};
    std::string body = "fn pixel(i: u32) -> out_t {\n  let k = load_chosen(i);\n";
    body += "  var seen = out_t(0);\n";
    if (done > 0) {
      uses.push_back(B::Read("before", seen));
      body += "  seen = load_before(i);\n";
    }
    for (size_t k = 0; uses.size() + 1 < kBindings && done < in.size(); ++k, ++done) {
      names[k] = Numbered("plane", k);
      uses.push_back(B::Read(names[k], in[done]));
      body += "  if (k == " + std::to_string(done) + "u) { seen = load_" + names[k] + "(i); }\n";
    }
    body += "  return seen;\n}\n";
    const GpuPlane to = done == in.size() ? out : recipe.Temporary(out.dtype, height, width);
    recipe.MapText("focus_pick", body, to, uses, {});
    seen = to;
  }
}

}  // namespace

std::optional<std::string> RefusesProjection(StackOp op, DType in) {
  if (in == DType::kF64) return "a GPU has no float64";
  const std::string name(DTypeName(in));
  if (op == StackOp::kSum && DTypeSize(in) == 4) return name + ": its sum is float64";
  if ((op == StackOp::kMean || op == StackOp::kDeviation) &&
      (in == DType::kU32 || in == DType::kI32)) {
    return name + ": float32 does not hold its values";
  }
  return std::nullopt;
}

void EncodeProjection(RecipeBuilder& recipe, StackOp op, double a, std::span<const GpuPlane> in,
                      const GpuPlane& out) {
  if (in.empty()) throw Error(Code::kInternal, "a projection of no planes");
  const DType dtype = in[0].dtype;
  switch (op) {
    case StackOp::kMax:
    case StackOp::kMin: {
      const bool most = op == StackOp::kMax;
      std::string next = most ? "max" : "min";
      if (IsFloat(dtype)) next = most ? "greater" : "lesser";
      next += "(seen, $)";
      return EncodeFold(recipe, {most ? "project_max" : "project_min", "$", next, {}, dtype}, in,
                        out);
    }
    case StackOp::kSum:
    case StackOp::kMean: {
      const DType sum = IsFloat(dtype) ? dtype : ProjectionAccumulator(Projection::kSum, dtype);
      const std::string pixel = Scalar(sum) + "($)";
      const bool mean = op == StackOp::kMean;
      return EncodeFold(recipe,
                        {mean ? "project_mean" : "project_sum",
                         pixel,
                         "seen + " + pixel,
                         mean ? "f32(seen) / params.planes" : "",
                         sum,
                         {},
                         static_cast<float>(in.size())},
                        in, out);
    }
    case StackOp::kDeviation:
      return EncodeDeviation(recipe, in, out);
    case StackOp::kFocus:
      return EncodeFocus(recipe, static_cast<int64_t>(a), in, out);
  }
}

}  // namespace tilecast::gpu
