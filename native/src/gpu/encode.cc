// SPDX-License-Identifier: MIT
// Ops as passes; point-wise ops in a row as one.
#include "gpu/encode.h"

#include <cstring>
#include <deque>

#include "error.h"

namespace tilecast::gpu {
namespace {

// What the CPU makes of every value of a dtype of 8 or 16 bits, by the value's bits. Links that are
// folded into it cost one look-up, however many and however dear they are, and give the CPU's bits.
GpuPlane TableOf(RecipeBuilder& recipe, DType in, std::span<const OpLink> links) {
  const int64_t side = DTypeSize(in) == 1 ? 16 : 256;
  std::vector<std::byte> pixels(static_cast<size_t>(side * side) * DTypeSize(in));
  for (size_t i = 0; i < static_cast<size_t>(side * side); ++i) {
    const auto bits = static_cast<uint16_t>(i);
    std::memcpy(pixels.data() + i * DTypeSize(in), &bits, DTypeSize(in));
  }
  OpScratch scratch;
  DType dtype = in;
  for (const OpLink& link : links) {
    const DType next = link.row->ResultOf(dtype, link.arguments);
    std::vector<std::byte> made(static_cast<size_t>(side * side) * DTypeSize(next));
    const Plane from = PackedPlane(pixels.data(), dtype, side, side);
    const Plane to = PackedPlane(made.data(), next, side, side);
    std::optional<MinMax> range;
    link.row->run({link.arguments, from, {}, to, scratch, &range});
    pixels = std::move(made);
    dtype = next;
  }
  return {recipe.Constant(std::make_shared<const std::vector<std::byte>>(std::move(pixels))), dtype,
          side, side};
}

// Links that each have an expression; none of them changes the size.
void EncodePoints(RecipeBuilder& recipe, std::span<const OpLink> links,
                  std::span<const std::optional<PointCode>> codes, const GpuPlane& in,
                  const GpuPlane& out) {
  std::deque<std::string> names;  // keeps what the uses' and parameters' names point to
  std::vector<RecipeBuilder::Use> uses = {RecipeBuilder::Read("in0", in)};
  std::vector<RecipeBuilder::Param> params;
  std::string functions, title;
  DType dtype = in.dtype;
  std::string value = "load_in0(i)";
  size_t folded = 0;
  if (const GpuRow& row = *FindGpuRow(links[0].row->name); row.prepare) {
    const int scalars = row.prepare({links[0].arguments, in, links[0].others, {}, recipe});
    if (scalars >= 0) uses.push_back(RecipeBuilder::Words("scalars", scalars, false, "array<f32>"));
  } else if (DTypeSize(in.dtype) <= 2) {
    for (size_t k = 0; k < links.size() && links[k].others.empty(); ++k) {
      if (!codes[k]->exact) folded = k + 1;
    }
  }
  if (folded > 0) {
    const GpuPlane table = TableOf(recipe, in.dtype, links.first(folded));
    uses.push_back(RecipeBuilder::Read("table", table));
    value = DTypeSize(in.dtype) == 1 ? "load_table(bitcast<u32>(load_in0(i)) & 0xffu)"
                                     : "load_table(bitcast<u32>(load_in0(i)) & 0xffffu)";
    dtype = table.dtype;
  }
  for (size_t k = 0; k < links.size(); ++k) {
    const OpLink& link = links[k];
    title += (title.empty() ? "" : "+") + std::string(link.row->name);
    if (k < folded) continue;
    const PointCode& code = *codes[k];
    const std::string n = std::to_string(k);
    std::string declared = "fn step" + n + "(v: " + ScalarOf(dtype);
    std::string given = "step" + n + "(";
    given += value;
    if (!link.others.empty()) {
      const std::string& name = names.emplace_back("other" + n);
      uses.push_back(RecipeBuilder::Read(name, link.others[0]));
      declared += ", o: " + ScalarOf(link.others[0].dtype);
      given += ", load_" + name + "(i)";
    }
    for (const RecipeBuilder::Param& constant : code.constants) {
      const std::string& member = names.emplace_back("x" + n + "_" + std::string(constant.name));
      params.push_back({member, constant.type, constant.bits});
      declared += ", x_" + std::string(constant.name) + ": " + std::string(constant.type);
      given += ", params." + member;
    }
    dtype = link.row->ResultOf(dtype, link.arguments);
    functions += declared + ") -> " + ScalarOf(dtype) + " { return " + code.expression + "; }\n";
    value = given + ")";
  }
  const std::string body = functions + "fn pixel(i: u32) -> out_t { return " + value + "; }\n";
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
  for (const DType d : others) {
    if ((gpu->others >> static_cast<unsigned>(d) & 1) == 0) {
      return std::string(DTypeName(d)) + ": " + std::string(row.name) +
             " on a GPU takes no second image of it";
    }
  }
  if (!gpu->refuses) return std::nullopt;
  return gpu->refuses(in, shape, arguments);
}

void EncodeOps(RecipeBuilder& recipe, std::span<const OpLink> links, const GpuPlane& in,
               const GpuPlane& out) {
  std::vector<std::optional<PointCode>> codes;
  DType flowing = in.dtype;
  for (const OpLink& link : links) {
    const GpuRow& row = *FindGpuRow(link.row->name);
    std::optional<DType> other;
    if (!link.others.empty()) other = link.others[0].dtype;
    codes.emplace_back();
    if (row.point) codes.back() = row.point(flowing, link.arguments, other);
    flowing = link.row->ResultOf(flowing, link.arguments);
  }
  GpuPlane from = in;
  for (size_t first = 0; first < links.size();) {
    const auto pointwise = [&](size_t k) { return k < links.size() && codes[k].has_value(); };
    size_t last = first;
    // A binding an image and one for a table or scalars, and the least limit of storage buffers a
    // stage is 8.
    size_t images = 3 + links[first].others.size();
    while (pointwise(last) && pointwise(last + 1) &&
           FindGpuRow(links[last + 1].row->name)->prepare == nullptr &&
           images + links[last + 1].others.size() <= 8) {
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
      const size_t count = last - first + 1;
      EncodePoints(recipe, links.subspan(first, count), std::span(codes).subspan(first, count),
                   from, to);
    } else {
      const OpLink& link = links[first];
      FindGpuRow(link.row->name)->encode({link.arguments, from, link.others, to, recipe});
    }
    from = to;
    first = last + 1;
  }
}

}  // namespace tilecast::gpu
