// SPDX-License-Identifier: MIT
// Networks for 3 x 3 and 5 x 5 pixels, bisection of the values for larger windows.
#include "gpu/median.h"

#include <string>
#include <vector>

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

// A pixel v as a number that sorts as the pixels do (uint32, or int32 for signed integers), and
// back; floats as median.inc of the CPU orders them, every NaN the quiet one at the top.
std::vector<B::Replacement> KeyTexts(DType d) {
  const bool floats = d == DType::kF32;
  const bool sign = d == DType::kI8 || d == DType::kI16 || d == DType::kI32;
  return {
      {"KEY_TYPE", sign ? "i32" : "u32"},
      {"KEY", floats
                  ? "select(select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u), 0xffc00000u, "
                    "(bits & 0x7fffffffu) > 0x7f800000u)"
                  : "v"},
      {"PIXEL", floats ? "bitcast<f32>(select(~k, k ^ 0x80000000u, (k >> 31u) == 1u))" : "k"},
      // Of signed keys as uint32.
      {"SIGN", sign ? "0x80000000u" : "0u"},
  };
}

}  // namespace

void EncodeMedian(RecipeBuilder& recipe, const GpuPlane& in, int64_t radius, const GpuPlane& out) {
  std::vector<B::Replacement> text = KeyTexts(in.dtype);
  if (radius <= 2) {
    constexpr std::string_view kernels[] = {"median1", "median3", "median5"};
    recipe.Map(kernels[radius], out, {B::Read("in0", in)},
               {B::U32("height", in.height), B::U32("width", in.width)}, text);
    return;
  }
  // Tiles end in the middle of words of small pixels: their results are packed afterwards.
  const int keys = recipe.TemporaryBytes(static_cast<uint64_t>(in.pixels()) * 4, false);
  text.emplace_back("RADIUS", std::to_string(radius) + "u");
  recipe.Grid("median_wide",
              {static_cast<uint32_t>((in.width + 15) / 16),
               static_cast<uint32_t>((in.height + 15) / 16), 1},
              {B::Read("in0", in), B::Words("keys", keys, true)},
              {B::U32("height", in.height), B::U32("width", in.width)}, text);
  recipe.Map("median_pack", out, {B::Words("keys", keys, false)}, {}, text);
}

}  // namespace tilecast::gpu
