// SPDX-License-Identifier: MIT
// Range, percentiles and shares of a plane, and the point-wise ops that begin with them.
#include "gpu/levels.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

// A pixel v of a dtype as a uint32 that sorts as the pixels do, in as many bits as they have.
std::string KeyOf(DType d) {
  switch (d) {
    case DType::kI8:
      return "u32(v + 128)";
    case DType::kI16:
      return "u32(v + 32768)";
    case DType::kI32:
      return "bitcast<u32>(v) ^ 0x80000000u";
    case DType::kF32:
      return "select(bitcast<u32>(v) | 0x80000000u, ~bitcast<u32>(v), (bitcast<u32>(v) >> 31u) == "
             "1u)";
    default:
      return "v";
  }
}

// And back, as float32.
std::string ValueOf(DType d) {
  switch (d) {
    case DType::kI8:
      return "f32(k) - 128";
    case DType::kI16:
      return "f32(k) - 32768";
    case DType::kI32:
      return "f32(bitcast<i32>(k ^ 0x80000000u))";
    case DType::kF32:
      return "bitcast<f32>(select(~k, k ^ 0x80000000u, (k >> 31u) == 1u))";
    default:
      return "f32(k)";
  }
}

std::string IsNan(DType d) {
  return d == DType::kF32 ? "(bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u" : "false";
}

// Workgroups that read a plane among them, 16 words a thread and more.
std::array<uint32_t, 3> Readers(const GpuPlane& in) {
  const auto words = static_cast<int64_t>(PlaneBytes(in.dtype, in.height, in.width) / 4);
  return {static_cast<uint32_t>(std::clamp<int64_t>(words / (16 * kLinearGroup), 1, 1024)), 1, 1};
}

// How kernels that read a plane word by word take it apart.
std::vector<B::Replacement> WordTexts(DType d) {
  return {
      {"KEY", KeyOf(d)}, {"NAN", IsNan(d)}, {"PER_WORD", std::to_string(4 / DTypeSize(d)) + "u"}};
}

// numpy's "linear" method: between the pixels of two ranks.
struct Position {
  int64_t rank = 0, next = 0;
  double t = 0;
};

Position PositionOf(double percentile, int64_t pixels) {
  const double position = percentile / 100 * static_cast<double>(pixels - 1);
  const int64_t rank = std::min(static_cast<int64_t>(position), pixels - 1);
  return {rank, std::min(rank + 1, pixels - 1), position - static_cast<double>(rank)};
}

// Scalars of two percentiles: the lower as a sum of two float32, their difference, 1 (0 where the
// upper is not above), and the lower rounded.
int EncodeLimits(RecipeBuilder& recipe, const GpuPlane& in, double low, double high) {
  const int scalars = recipe.TemporaryBytes(5 * sizeof(float), false);
  const Position a = PositionOf(low, in.pixels()), b = PositionOf(high, in.pixels());
  const std::array<int64_t, 4> ranks = {a.rank, a.next, b.rank, b.next};
  const bool ends = ranks == std::array<int64_t, 4>{0, std::min<int64_t>(1, in.pixels() - 1),
                                                    in.pixels() - 1, in.pixels() - 1} &&
                    a.t == 0;
  const int keys = ends ? EncodeRange(recipe, in) : EncodeSelection(recipe, in, ranks);
  const std::array<B::Replacement, 5> text = {{{"VALUE", ValueOf(in.dtype)},
                                               {"LOW", ends ? "~keys[0]" : "keys[0]"},
                                               {"ABOVE_LOW", ends ? "~keys[0]" : "keys[1]"},
                                               {"HIGH", ends ? "keys[1]" : "keys[2]"},
                                               {"ABOVE_HIGH", ends ? "keys[1]" : "keys[3]"}}};
  recipe.Linear(
      "limits", 1,
      {B::Words("keys", keys, false), B::Words("scalars", scalars, true, "array<f32>"),
       B::Words("doubt", recipe.Doubt(), true)},
      {B::F32("low", static_cast<float>(a.t)), B::F32("low_rest", static_cast<float>(1 - a.t)),
       B::F32("high", static_cast<float>(b.t)), B::F32("high_rest", static_cast<float>(1 - b.t))},
      text);
  return scalars;
}

bool Percentage(double q) {
  return q >= 0 && q <= 100;
}

std::optional<std::string> RefuseWide(DType in) {
  if (in != DType::kU32 && in != DType::kI32) return std::nullopt;
  return std::string(DTypeName(in)) + ": float32 does not hold its values";
}

int EncodeShares(const GpuOpCall& c) {
  const GpuPlane& in = c.in;
  const int64_t bins = DTypeSize(in.dtype) == 1 ? 256 : 65536;
  const int counts = c.recipe.TemporaryBytes(static_cast<uint64_t>(bins) * 4, true);
  const int shares = c.recipe.TemporaryBytes(static_cast<uint64_t>(bins) * 4, false);
  std::vector<B::Replacement> text = WordTexts(in.dtype);
  text.emplace_back("BINS", std::to_string(bins) + "u");
  c.recipe.Grid("share_count", Readers(in),
                {B::Read("in0", in), B::Words("counts", counts, true, "array<atomic<u32>>")},
                {B::U32("pixels", in.pixels())}, text);
  c.recipe.Grid("share_sum", {1, 1, 1},
                {B::Words("counts", counts, false), B::Words("shares", shares, true, "array<f32>")},
                {B::F32("pixels", static_cast<float>(in.pixels()))}, text);
  return shares;
}

}  // namespace

int EncodeRange(RecipeBuilder& recipe, const GpuPlane& in) {
  const int keys = recipe.TemporaryBytes(8, true);
  recipe.Grid("range", Readers(in),
              {B::Read("in0", in), B::Words("keys", keys, true, "array<atomic<u32>>"),
               B::Words("doubt", recipe.Doubt(), true, "array<atomic<u32>>")},
              {B::U32("pixels", in.pixels())}, WordTexts(in.dtype));
  return keys;
}

int EncodeSelection(RecipeBuilder& recipe, const GpuPlane& in, std::span<const int64_t, 4> ranks) {
  const int state = recipe.TemporaryBytes(8 * 4, false);
  const int counts = recipe.TemporaryBytes(4 * 256 * 4, true);
  const auto bytes = static_cast<int64_t>(DTypeSize(in.dtype));
  std::vector<B::Replacement> text = WordTexts(in.dtype);
  for (int64_t byte = bytes - 1; byte >= 0; --byte) {
    const bool first = byte == bytes - 1;
    std::vector<B::Replacement> now = text;
    now.emplace_back("FIRST", first ? "true" : "false");
    now.emplace_back("SHIFT", std::to_string(8 * byte) + "u");
    now.emplace_back("ABOVE", std::to_string(first ? 0 : 8 * byte + 8) + "u");
    recipe.Grid("select_count", Readers(in),
                {B::Read("in0", in), B::Words("state", state, false),
                 B::Words("counts", counts, true, "array<atomic<u32>>"),
                 B::Words("doubt", recipe.Doubt(), true, "array<atomic<u32>>")},
                {B::U32("pixels", in.pixels())}, now);
    recipe.Grid("select_pick", {1, 1, 1},
                {B::Words("counts", counts, true), B::Words("state", state, true)},
                {B::U32("rank0", ranks[0]), B::U32("rank1", ranks[1]), B::U32("rank2", ranks[2]),
                 B::U32("rank3", ranks[3])},
                now);
  }
  return state;
}

std::vector<GpuRow> GpuLevelRows() {
  return {
      {.name = "normalize",
       .refuses = [](DType in, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         if (!Percentage(a.number("low")) || !Percentage(a.number("high"))) {
           return "its percentiles are not within 0..100";
         }
         return RefuseWide(in);
       },
       .point = [](DType, const OpArguments& a, std::optional<DType>) -> PointCode {
         const double low = a.number("outLow"), high = a.number("outHigh");
         return {StoredText(a.dtype("dtype"),
                            "held(((f32(v) - scalars[0]) - scalars[1]) / scalars[2], 0, 1) * "
                            "scalars[3] * x_gain + x_offset"),
                 {B::F32("gain", static_cast<float>(high - low)),
                  B::F32("offset", static_cast<float>(low))}};
       },
       .prepare =
           [](const GpuOpCall& c) {
             return EncodeLimits(c.recipe, c.in, c.arguments.number("low"),
                                 c.arguments.number("high"));
           }},
      {.name = "subtractBackground",
       .refuses = [](DType in, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         if (a.has("value")) return std::nullopt;
         if (!Percentage(a.number("percentile"))) return "its percentile is not within 0..100";
         return RefuseWide(in);
       },
       .point = [](DType in, const OpArguments& a, std::optional<DType>) -> PointCode {
         if (!a.has("value")) return {"f32(v) - scalars[4]"};
         return {FloatText(in) + " - x_value",
                 {B::F32("value", static_cast<float>(a.number("value")))},
                 true};
       },
       .prepare =
           [](const GpuOpCall& c) {
             if (c.arguments.has("value")) return -1;
             const double percentile = c.arguments.number("percentile");
             return EncodeLimits(c.recipe, c.in, percentile, percentile);
           }},
      {.name = "equalize",
       .refuses = [](DType in, PlaneShape, const OpArguments&) -> std::optional<std::string> {
         if (IsFloat(in)) return "float32: its histogram is the CPU's";
         return std::nullopt;
       },
       .point = [](DType in, const OpArguments&, std::optional<DType>) -> PointCode {
         return {in == DType::kI8    ? "scalars[v + 128]"
                 : in == DType::kI16 ? "scalars[v + 32768]"
                                     : "scalars[v]"};
       },
       .prepare = EncodeShares},
  };
}

}  // namespace tilecast::gpu
