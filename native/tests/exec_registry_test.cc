// SPDX-License-Identifier: MIT
// Every row of the op table: what it says of a pixel's reach is true, and arguments are checked.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "exec/op_registry.h"

namespace tilecast {
namespace {

constexpr int64_t kHeight = 120, kWidth = 140;
// The block of the result that is looked at.
constexpr int64_t kTop = 50, kBottom = 66, kLeft = 60, kRight = 79;

struct Image {
  std::vector<std::byte> memory;
  Plane plane;
  Image(DType dtype, int64_t height, int64_t width)
      : memory(static_cast<size_t>(height * width) * DTypeSize(dtype)),
        plane(PackedPlane(memory.data(), dtype, height, width)) {}
};

void Fill(const Plane& p, int greatest, std::mt19937& random, int64_t keep) {
  std::uniform_int_distribution<int> values(0, greatest);
  Visit(p.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < p.height; ++y) {
      for (int64_t x = 0; x < p.width; ++x) {
        const auto v = static_cast<T>(values(random));
        const bool near =
            y >= kTop - keep && y < kBottom + keep && x >= kLeft - keep && x < kRight + keep;
        if (keep < 0 || !near) p.row<T>(y)[x] = v;
      }
    }
  });
}

OpArguments Sample(const OpRow& row) {
  const std::map<std::string_view, double> values = {
      {"sigma", 1.7},       {"low", 1.2},    {"high", 3.1},     {"radius", 4},  {"height", 5},
      {"width", 9},         {"block", 15},   {"distance", 6.0}, {"value", 7.5}, {"gamma", 0.5},
      {"percentile", 30.0}, {"range", 20.0}, {"y", -2.3},       {"x", 1.6}};
  OpArguments a(row);
  const bool disk = std::any_of(row.parameters.begin(), row.parameters.end(),
                                [](const OpParameter& p) { return p.name == "radius"; });
  for (const OpParameter& p : row.parameters) {
    const auto found = values.find(p.name);
    // A footprint is a disk, or a rectangle where there is no radius.
    if (found != values.end() && !(disk && (p.name == "height" || p.name == "width"))) {
      a.Set(p.name, found->second);
    } else if (p.type == OpParameter::Type::kDType && !p.fallback) {
      a.Set(p.name, std::string_view("float32"));
    }
  }
  a.RequireAll();
  return a;
}

TEST_CASE("a pixel depends on nothing further away than its op says") {
  std::set<std::string_view> checked;
  for (const OpRow& row : OpRows()) {
    if (row.reach == OpRow::Reach::kPlane) continue;
    for (int d = 0; d < kDTypeCount; ++d) {
      const auto dtype = static_cast<DType>(d);
      if (!row.Accepts(dtype)) continue;
      CAPTURE(row.name);
      CAPTURE(DTypeName(dtype));
      std::mt19937 random(5);
      OpArguments arguments = Sample(row);
      const int64_t halo = row.reach == OpRow::Reach::kPixel ? 0 : row.halo(arguments);
      REQUIRE(halo < 45);
      const int greatest = row.accepts == kLabels ? 3 : 100;
      Image in(dtype, kHeight, kWidth), other(DType::kF32, kHeight, kWidth);
      Fill(in.plane, greatest, random, -1);
      Fill(other.plane, 50, random, -1);
      if (row.prepare) row.prepare(in.plane, arguments);
      const DType result = row.ResultOf(dtype, arguments);
      Image first(result, kHeight, kWidth), second(result, kHeight, kWidth);
      OpScratch scratch;
      std::optional<MinMax> range;
      const std::vector<Plane> with(static_cast<size_t>(row.most_others), other.plane);
      row.run({arguments, in.plane, with, first.plane, scratch, &range});
      Fill(in.plane, greatest, random, halo);
      Fill(other.plane, 50, random, halo);
      row.run({arguments, in.plane, with, second.plane, scratch, &range});
      const auto size = static_cast<int64_t>(DTypeSize(result));
      int64_t differences = 0;
      for (int64_t y = kTop; y < kBottom; ++y) {
        differences += std::memcmp(first.plane.row<std::byte>(y) + kLeft * size,
                                   second.plane.row<std::byte>(y) + kLeft * size,
                                   static_cast<size_t>((kRight - kLeft) * size)) != 0;
      }
      CHECK(differences == 0);
      checked.insert(row.name);
    }
  }
  CHECK(checked.size() > 20);
}

TEST_CASE("names of ops are unique, and an unknown one is refused") {
  std::set<std::string_view> names;
  for (const OpRow& row : OpRows()) CHECK(names.insert(row.name).second);
  CHECK_THROWS_WITH(FindOp("blur"), "there is no op \"blur\"");
}

TEST_CASE("a shape without pixels, and a second image of another shape, are refused") {
  const OpRow& bin = FindOp("bin");
  OpArguments a(bin);
  a.Set("factor", 0.0);
  CHECK_THROWS_WITH(bin.ShapeOf({9, 7}, a), "bin of 7 x 9 px would give 0 x 0");
  Image in(DType::kF32, 4, 5), other(DType::kF32, 5, 4);
  CHECK_THROWS_WITH(CheckInput(FindOp("add"), in.plane, {&other.plane, 1}),
                    "add: the other image must have shape [4, 5], got [5, 4]");
}

}  // namespace
}  // namespace tilecast
