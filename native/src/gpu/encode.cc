// SPDX-License-Identifier: MIT
// Ops as passes; point-wise ops in a row as one.
#include "gpu/encode.h"

#include "error.h"

namespace tilecast::gpu {
namespace {

std::string ScalarOf(DType d) {
  return d == DType::kF32                                          ? "f32"
         : d == DType::kI8 || d == DType::kI16 || d == DType::kI32 ? "i32"
                                                                   : "u32";
}

// Point-wise links first..last, none of which changes the size.
void EncodePoints(RecipeBuilder& recipe, std::span<const OpLink> links, const GpuPlane& in,
                  const GpuPlane& out) {
  std::vector<std::string> names;  // keeps what the uses' and parameters' names point to
  names.reserve(links.size() * 20 + 1);
  std::vector<RecipeBuilder::Use> uses = {RecipeBuilder::Read("in0", in)};
  std::vector<RecipeBuilder::Param> params;
  std::string body, functions, title;
  DType dtype = in.dtype;
  std::string value = "load_in0(i)";
  for (size_t k = 0; k < links.size(); ++k) {
    const OpLink& link = links[k];
    const std::string n = std::to_string(k);
    const GpuRow& row = *FindGpuRow(link.row->name);
    const PointCode code = row.point(dtype, link.arguments, !link.others.empty());
    std::string declared = "fn step" + n + "(v: " + ScalarOf(dtype);
    std::string given = "step" + n + "(" + value;
    if (!link.others.empty()) {
      const std::string& name = names.emplace_back("other" + n);
      uses.push_back(RecipeBuilder::Read(name, link.others[0]));
      declared += ", o: " + ScalarOf(link.others[0].dtype);
      given += ", load_" + name + "(i)";
    }
    for (const auto& [name, constant] : code.constants) {
      const std::string& member = names.emplace_back("x" + n + "_" + name);
      params.push_back(RecipeBuilder::F32(member, constant));
      declared += ", x_" + name + ": f32";
      given += ", params." + member;
    }
    dtype = link.row->ResultOf(dtype, link.arguments);
    functions += declared + ") -> " + ScalarOf(dtype) + " { return " + code.expression + "; }\n";
    value = given + ")";
    title += (title.empty() ? "" : "+") + std::string(link.row->name);
  }
  body = functions + "fn pixel(i: u32) -> out_t { return " + value + "; }\n";
  recipe.MapText(title, std::string(KernelText("point")) + body, out, uses, params);
}

}  // namespace

std::optional<std::string> Refuses(const OpRow& row, const OpArguments& arguments, DType in,
                                   PlaneShape shape, std::span<const DType> others) {
  const GpuRow* gpu = FindGpuRow(row.name);
  if (gpu == nullptr) return std::string(row.name) + " has no GPU kernel";
  const auto f64 = [](DType d) { return d == DType::kF64; };
  bool wide = f64(in) || f64(row.ResultOf(in, arguments));
  for (const DType d : others) wide = wide || f64(d);
  if (wide) return "a GPU has no float64";
  if (!gpu->refuses) return std::nullopt;
  return gpu->refuses(in, shape, arguments);
}

void EncodeOps(RecipeBuilder& recipe, std::span<const OpLink> links, const GpuPlane& in,
               const GpuPlane& out) {
  GpuPlane from = in;
  for (size_t first = 0; first < links.size();) {
    const auto pointwise = [&](size_t k) {
      return k < links.size() && FindGpuRow(links[k].row->name)->point != nullptr;
    };
    size_t last = first;
    // A binding an image, and the least limit of storage buffers a stage is 8.
    size_t images = 2 + links[first].others.size();
    while (pointwise(last) && pointwise(last + 1) && images + links[last + 1].others.size() <= 8) {
      images += links[++last].others.size();
    }
    DType dtype = from.dtype;
    PlaneShape shape{from.height, from.width};
    for (size_t k = first; k <= last; ++k) {
      shape = links[k].row->ShapeOf(shape, links[k].arguments);
      dtype = links[k].row->ResultOf(dtype, links[k].arguments);
    }
    const GpuPlane to =
        last + 1 == links.size() ? out : recipe.Temporary(dtype, shape.height, shape.width);
    if (to.dtype != dtype || to.height != shape.height || to.width != shape.width) {
      throw Error(Code::kInternal, "a recipe's output is not what its ops give");
    }
    if (pointwise(first)) {
      EncodePoints(recipe, links.subspan(first, last - first + 1), from, to);
    } else {
      const OpLink& link = links[first];
      FindGpuRow(link.row->name)->encode({link.arguments, from, link.others, to, recipe});
    }
    from = to;
    first = last + 1;
  }
}

}  // namespace tilecast::gpu
