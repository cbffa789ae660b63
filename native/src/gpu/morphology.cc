// SPDX-License-Identifier: MIT
// Rectangles as lines along both axes, disks as chords.
#include "gpu/morphology.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

constexpr int64_t kNear = 9;  // px of a window that is looked through pixel by pixel

// What kernels that compare keys of `dtype` are told.
std::vector<B::Replacement> CompareTexts(DType dtype, bool least) {
  std::vector<B::Replacement> texts = OrderKeyTexts(dtype);
  texts.emplace_back("least", least ? "true" : "false");
  return texts;
}

// One window along one axis, `before` of its pixels in front of the result's.
GpuPlane EncodeLine(B& recipe, const GpuPlane& in, bool columns, int64_t window, int64_t before,
                    bool least) {
  const GpuPlane keys = recipe.Temporary(DType::kU32, in.height, in.width);
  const int64_t useful = (columns ? 256 : 2048) - (window - 1);
  const int64_t along = columns ? in.height : in.width;
  const int64_t lines = columns ? (in.width + 7) / 8 : in.height;
  std::vector<B::Replacement> text = CompareTexts(in.dtype, least);
  text.emplace_back("columns", columns ? "true" : "false");
  recipe.Grid(
      "morph_line",
      {static_cast<uint32_t>((along + useful - 1) / useful), static_cast<uint32_t>(lines), 1},
      {B::Read("in", in), B::Words("keys", keys.buffer, true)},
      {B::U32("height", in.height), B::U32("width", in.width), B::U32("window", window),
       B::U32("before", before)},
      text);
  return keys;
}

// A window of any size: several that add up where the workgroup's memory does not hold it.
GpuPlane EncodeAxis(B& recipe, GpuPlane in, bool columns, int64_t size, bool least) {
  const int64_t limit = columns ? in.height : in.width;
  int64_t before = size / 2, after = size - 1 - size / 2;
  if (!least) std::swap(before, after);
  before = std::min(before, limit - 1);
  after = std::min(after, limit - 1);
  const int64_t most = columns ? 128 : 1024;  // px beyond the first
  while (before + after > 0) {
    const int64_t front = std::min(before, most), back = std::min(after, most - front);
    in = EncodeLine(recipe, in, columns, front + back + 1, front, least);
    before -= front;
    after -= back;
  }
  return in;
}

GpuPlane EncodeDisk(B& recipe, const GpuPlane& in, int64_t radius, bool least) {
  struct Chord {
    int32_t row, half;
  };
  std::vector<Chord> chords;
  for (int64_t dy = -radius; dy <= radius; ++dy) {
    const int64_t left = radius * radius - dy * dy;
    auto half = static_cast<int64_t>(std::sqrt(static_cast<double>(left)));
    while (half * half > left) --half;
    while ((half + 1) * (half + 1) <= left) ++half;
    chords.push_back({static_cast<int32_t>(dy), static_cast<int32_t>(half)});
  }
  std::stable_sort(chords.begin(), chords.end(),
                   [](const Chord& a, const Chord& b) { return a.half < b.half; });
  auto data = std::make_shared<std::vector<std::byte>>(chords.size() * sizeof(Chord));
  std::memcpy(data->data(), chords.data(), data->size());
  const int list = recipe.Constant(std::move(data));

  const int64_t padded = in.width + 2 * radius;
  GpuPlane windows = recipe.Temporary(DType::kU32, in.height, padded);
  GpuPlane twice = recipe.Temporary(DType::kU32, in.height, padded);
  const GpuPlane out = recipe.Temporary(DType::kU32, in.height, in.width);
  const std::vector<B::Replacement> text = CompareTexts(in.dtype, least);
  const auto width = B::U32("width", in.width), reach = B::U32("reach", radius);
  recipe.Linear("morph_pad", windows.pixels(),
                {B::Read("in", in), B::Words("keys", windows.buffer, true)}, {width, reach}, text);
  size_t first = 0;
  for (int64_t power = 1; first < chords.size(); power *= 2) {
    size_t end = first;
    while (end < chords.size() && 2 * chords[end].half + 1 < 2 * power) ++end;
    if (end > first) {
      recipe.Linear(
          "morph_fold", out.pixels(),
          {B::Words("windows", windows.buffer, false),
           B::Words("chords", list, false, "array<i32>"), B::Words("keys", out.buffer, true)},
          {B::U32("height", in.height), width, reach, B::U32("power", power),
           B::U32("first_chord", static_cast<int64_t>(first)),
           B::U32("end_chord", static_cast<int64_t>(end))},
          text);
    }
    first = end;
    if (first == chords.size()) break;
    recipe.Linear(
        "morph_double", windows.pixels(),
        {B::Words("windows", windows.buffer, false), B::Words("twice", twice.buffer, true)},
        {B::U32("padded", padded), B::U32("power", power)}, text);
    std::swap(windows, twice);
  }
  return out;
}

}  // namespace

std::vector<RecipeBuilder::Replacement> OrderKeyTexts(DType dtype) {
  const bool sign = dtype == DType::kI8 || dtype == DType::kI16 || dtype == DType::kI32;
  const uint64_t flip = sign ? uint64_t{1} << (8 * DTypeSize(dtype) - 1) : 0;
  return {{"floats", dtype == DType::kF32 ? "true" : "false"}, {"flip", std::to_string(flip)}};
}

GpuPlane EncodeExtreme(RecipeBuilder& recipe, const GpuPlane& in, const Footprint& footprint,
                       bool least) {
  if (footprint.shape == Footprint::Shape::kDisk) {
    return EncodeDisk(recipe, in, footprint.height / 2, least);
  }
  const GpuPlane along = EncodeAxis(recipe, in, false, footprint.width, least);
  GpuPlane keys = EncodeAxis(recipe, along, true, footprint.height, least);
  // A footprint of one pixel takes no pass.
  if (keys.buffer == in.buffer) keys = EncodeLine(recipe, in, false, 1, 0, least);
  return keys;
}

void EncodeMorph(RecipeBuilder& recipe, Morphology op, const Footprint& footprint,
                 const GpuPlane& in, const GpuPlane& out) {
  const bool erodes_first =
      op == Morphology::kErode || op == Morphology::kOpen || op == Morphology::kWhiteTopHat;
  GpuPlane keys = EncodeExtreme(recipe, in, footprint, erodes_first);
  if (op != Morphology::kErode && op != Morphology::kDilate) {
    keys = EncodeExtreme(recipe, keys, footprint, !erodes_first);
  }
  const int mode = op == Morphology::kWhiteTopHat ? 1 : op == Morphology::kBlackTopHat ? 2 : 0;
  std::vector<B::Replacement> text = OrderKeyTexts(in.dtype);
  text.emplace_back("mode", std::to_string(mode));
  recipe.Map("morph_store", out, {B::Read("in", in), B::Words("keys", keys.buffer, false)}, {},
             text);
}

}  // namespace tilecast::gpu
