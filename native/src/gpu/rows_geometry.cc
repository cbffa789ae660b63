// SPDX-License-Identifier: MIT
// GPU rows of the geometry.
#include <bit>
#include <cstring>
#include <memory>

#include "gpu/gpu_rows.h"
#include "ops/geometry.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

// A thread sums a block; one of 256 x 256 px is 65536 reads.
constexpr int64_t kMaxBin = 256;

void EncodeCrop(const GpuOpCall& c) {
  c.recipe.Map("crop", c.out, {B::Read("in0", c.in)},
               {B::U32("width", c.in.width), B::U32("out_width", c.out.width),
                B::U32("top", c.arguments.integer("y")), B::U32("left", c.arguments.integer("x"))});
}

// Where pixel (y, x) of the result comes from.
void EncodeTurn(const GpuOpCall& c, Turn turn) {
  constexpr const char* sources[] = {
      "x * params.width + (params.width - 1 - y)",
      "(params.height - 1 - y) * params.width + (params.width - 1 - x)",
      "(params.height - 1 - x) * params.width + y",
      "(params.height - 1 - y) * params.width + x",
      "y * params.width + (params.width - 1 - x)",
      "x * params.width + y",
  };
  const B::Replacement text[] = {{"SOURCE", sources[static_cast<int>(turn)]}};
  c.recipe.Map("turn", c.out, {B::Read("in0", c.in)},
               {B::U32("height", c.in.height), B::U32("width", c.in.width),
                B::U32("out_width", c.out.width)},
               text);
}

void EncodeBin(const GpuOpCall& c) {
  const bool sign = c.in.dtype == DType::kI8 || c.in.dtype == DType::kI16;
  // Sums of 8- and 16-bit pixels are exact.
  const B::Replacement text[] = {{"SUM", DTypeSize(c.in.dtype) == 4 ? "f32"
                                         : sign                     ? "i32"
                                                                    : "u32"}};
  c.recipe.Map("bin", c.out, {B::Read("in0", c.in)},
               {B::U32("height", c.in.height), B::U32("width", c.in.width),
                B::U32("out_width", c.out.width), B::U32("factor", c.arguments.integer("factor"))},
               text);
}

// For each output row or column: first source pixel, and where its weights begin and end; then the
// weights, as bits of float32.
int Shares(RecipeBuilder& recipe, Resampling method, int64_t in, int64_t out) {
  std::vector<ResampleShare> shares;
  std::vector<double> weights;
  ResampleShares(method, in, out, 0, out, shares, weights);
  std::vector<uint32_t> words;
  const size_t head = 3 * shares.size();
  for (const ResampleShare& share : shares) {
    words.push_back(static_cast<uint32_t>(share.first));
    words.push_back(static_cast<uint32_t>(head + share.weight));
    words.push_back(static_cast<uint32_t>(head + share.weight) +
                    static_cast<uint32_t>(share.count));
  }
  for (const double w : weights) words.push_back(std::bit_cast<uint32_t>(static_cast<float>(w)));
  auto bytes = std::make_shared<std::vector<std::byte>>(words.size() * sizeof(uint32_t));
  std::memcpy(bytes->data(), words.data(), bytes->size());
  return recipe.Constant(std::move(bytes));
}

void EncodeResize(const GpuOpCall& c) {
  const auto method = c.arguments.choice<Resampling>("method");
  const int down = Shares(c.recipe, method, c.in.height, c.out.height);
  const int along = Shares(c.recipe, method, c.in.width, c.out.width);
  const B::Replacement replaced[] = {{"OUT", StoredText(c.out.dtype, "sum")}};
  const B::Use uses[] = {B::Read("in0", c.in), B::Words("down", down, false),
                         B::Words("along", along, false)};
  const B::Param params[] = {B::U32("width", c.in.width), B::U32("out_width", c.out.width)};
  std::string text(KernelText("point"));
  text += FilledText(KernelSource("resize"), replaced);
  c.recipe.MapText("resize", text, c.out, uses, params);
}

}  // namespace

std::vector<GpuRow> GpuGeometryRows() {
  return {
      {.name = "crop",
       .refuses = [](DType, PlaneShape in, const OpArguments& a) -> std::optional<std::string> {
         const int64_t y = a.integer("y"), x = a.integer("x");
         if (y >= 0 && x >= 0 && y + a.integer("height") <= in.height &&
             x + a.integer("width") <= in.width) {
           return std::nullopt;
         }
         return "it does not lie inside the image";
       },
       .encode = EncodeCrop},
      {.name = "rotate",
       .encode = [](const GpuOpCall& c) { EncodeTurn(c, c.arguments.choice<Turn>("turn")); }},
      {.name = "flip",
       .encode =
           [](const GpuOpCall& c) {
             constexpr Turn turns[] = {Turn::kFlipRows, Turn::kFlipColumns, Turn::kTranspose};
             EncodeTurn(c, turns[c.arguments.integer("axis")]);
           }},
      {.name = "bin",
       .refuses = [](DType, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         const int64_t factor = a.integer("factor");
         if (factor >= 1 && factor <= kMaxBin) return std::nullopt;
         return "a factor that is not within 1.." + std::to_string(kMaxBin);
       },
       .encode = EncodeBin},
      {.name = "resize",
       .refuses = [](DType in, PlaneShape, const OpArguments&) -> std::optional<std::string> {
         if (in != DType::kU32 && in != DType::kI32) return std::nullopt;
         return std::string(DTypeName(in)) + ": float32 does not hold its values";
       },
       .encode = EncodeResize},
  };
}

}  // namespace tilecast::gpu
