// SPDX-License-Identifier: MIT
// Outlines: filling them gives back exactly the objects, they have no vertex too many, and shapes
// that can be drawn by hand come out as drawn.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "ops/outline.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

namespace {

struct Labels {
  int64_t height, width;
  std::vector<int32_t> pixels;
  Plane plane() { return PackedPlane(pixels.data(), DType::kI32, height, width); }
};

// Digits are labels, everything else is background.
Labels Draw(const std::vector<std::string>& rows) {
  Labels labels{static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size()), {}};
  for (const std::string& row : rows) {
    for (const char c : row) labels.pixels.push_back(c >= '1' && c <= '9' ? c - '0' : 0);
  }
  return labels;
}

Outlines Trace(Labels& labels, bool holes) {
  Objects objects;
  RunsFromLabels(labels.plane(), objects);
  Outlines out;
  OutlineTracer().Trace(objects, holes, out);
  return out;
}

std::vector<std::pair<int, int>> Ring(const Outlines& o, size_t ring) {
  std::vector<std::pair<int, int>> out;
  for (uint32_t v = o.offsets[ring]; v < o.offsets[ring + 1]; ++v)
    out.emplace_back(o.vertices[2 * v], o.vertices[2 * v + 1]);
  return out;
}

// The oracle: the even-odd rule at pixel centres, by counting the polygon's sides to the left.
bool Inside(const std::vector<std::vector<std::pair<int, int>>>& rings, double y, double x) {
  bool inside = false;
  for (const auto& ring : rings) {
    for (size_t i = 0; i < ring.size(); ++i) {
      const auto [y0, x0] = ring[i];
      const auto [y1, x1] = ring[(i + 1) % ring.size()];
      if ((y0 > y) != (y1 > y) && x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x) inside = !inside;
    }
  }
  return inside;
}

int64_t TwiceArea(const std::vector<std::pair<int, int>>& ring) {
  int64_t sum = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    const auto [y0, x0] = ring[i];
    const auto [y1, x1] = ring[(i + 1) % ring.size()];
    sum += int64_t{x0} * y1 - int64_t{x1} * y0;
  }
  return sum;
}

void CheckExact(Labels& labels) {
  const Outlines o = Trace(labels, true);
  REQUIRE(o.offsets.size() == o.labels.size() + 1);
  REQUIRE(o.holes.size() == o.labels.size());
  REQUIRE(o.vertices.size() == 2 * size_t{o.offsets.back()});
  std::map<int32_t, std::vector<std::vector<std::pair<int, int>>>> rings;
  std::map<int32_t, int64_t> area, pixels;
  for (size_t r = 0; r < o.labels.size(); ++r) {
    const auto ring = Ring(o, r);
    REQUIRE(ring.size() >= 4);
    REQUIRE(ring.size() % 2 == 0);
    for (size_t i = 0; i < ring.size(); ++i) {
      const auto& [y0, x0] = ring[i];
      const auto& [y1, x1] = ring[(i + 1) % ring.size()];
      const auto& [y2, x2] = ring[(i + 2) % ring.size()];
      CHECK((y0 == y1) != (x0 == x1));  // along one axis, and not on the spot
      CHECK((y0 == y1) == (x1 == x2));  // then along the other
      (void)y2;
    }
    const int64_t twice = TwiceArea(ring);
    CHECK((twice < 0) == (o.holes[r] != 0));
    if (r > 0) CHECK(o.labels[r - 1] <= o.labels[r]);
    area[o.labels[r]] += twice / 2;
    rings[o.labels[r]].push_back(ring);
  }
  for (int64_t y = 0; y < labels.height; ++y) {
    for (int64_t x = 0; x < labels.width; ++x) {
      const int32_t here = labels.pixels[static_cast<size_t>(y * labels.width + x)];
      if (here > 0) ++pixels[here];
      for (const auto& [label, of] : rings) {
        CHECK(Inside(of, static_cast<double>(y) + 0.5, static_cast<double>(x) + 0.5) ==
              (label == here));
      }
    }
  }
  CHECK(area == pixels);
  // Without holes the outer rings are the same ones.
  const Outlines outer = Trace(labels, false);
  size_t at = 0;
  for (size_t r = 0; r < o.labels.size(); ++r) {
    if (o.holes[r] != 0) continue;
    REQUIRE(at < outer.labels.size());
    CHECK(Ring(outer, at++) == Ring(o, r));
  }
  CHECK(at == outer.labels.size());
}

}  // namespace

TEST_CASE("one pixel has its four corners, clockwise from the top left") {
  Labels labels = Draw({"...", ".1.", "..."});
  const Outlines o = Trace(labels, true);
  REQUIRE(o.labels == std::vector<int32_t>{1});
  CHECK(Ring(o, 0) == std::vector<std::pair<int, int>>{{1, 1}, {1, 2}, {2, 2}, {2, 1}});
}

TEST_CASE("straight sides have no vertices between their ends, at the image's edge too") {
  Labels labels = Draw({"1111", "1111", "1111"});
  const Outlines o = Trace(labels, true);
  REQUIRE(o.labels.size() == 1);
  CHECK(Ring(o, 0) == std::vector<std::pair<int, int>>{{0, 0}, {0, 4}, {3, 4}, {3, 0}});
}

TEST_CASE("diagonal neighbours have one outline, which touches itself between them") {
  Labels falling = Draw({"1.", ".1"});
  Outlines o = Trace(falling, true);
  REQUIRE(o.labels.size() == 1);
  CHECK(Ring(o, 0) == std::vector<std::pair<int, int>>{
                          {0, 0}, {0, 1}, {1, 1}, {1, 2}, {2, 2}, {2, 1}, {1, 1}, {1, 0}});
  Labels rising = Draw({".1", "1."});
  o = Trace(rising, true);
  REQUIRE(o.labels.size() == 1);
  CHECK(Ring(o, 0) == std::vector<std::pair<int, int>>{
                          {0, 1}, {0, 2}, {1, 2}, {1, 1}, {2, 1}, {2, 0}, {1, 0}, {1, 1}});
}

TEST_CASE("holes are rings of their own, told apart, and left out unless asked for") {
  Labels labels = Draw({"11111", "1...1", "1.2.1", "1...1", "11111"});
  const Outlines with = Trace(labels, true);
  CHECK(with.labels == std::vector<int32_t>{1, 1, 2});
  CHECK(with.holes == std::vector<uint8_t>{0, 1, 0});
  const Outlines without = Trace(labels, false);
  CHECK(without.labels == std::vector<int32_t>{1, 2});
  CHECK(Ring(without, 0) == std::vector<std::pair<int, int>>{{0, 0}, {0, 5}, {5, 5}, {5, 0}});
}

TEST_CASE("holes whose corners touch are rings of their own") {
  // A diagonal gap between pixels of one object is no way through: the object is connected there.
  Labels labels = Draw({"1111", "1.11", "11.1", "1111"});
  const Outlines o = Trace(labels, true);
  CHECK(o.holes == std::vector<uint8_t>{0, 1, 1});
  CheckExact(labels);
}

TEST_CASE("touching objects, labels in parts and labels with gaps are each outlined exactly") {
  for (const auto& rows : std::vector<std::vector<std::string>>{
           {"1122", "1122", "3344", "3344"},
           {"1.1", "...", "1.9"},
           {"12121", "21212", "12121"},
           {"111", "1.1", "111"},
           {"5"},
           {"....."},
           {"1.1.1", ".1.1.", "1.1.1"},
           {"11111", "1.1.1", "11111", "1.1.1", "11111"},
       }) {
    Labels labels = Draw(rows);
    CheckExact(labels);
  }
}

TEST_CASE("random label images are outlined exactly") {
  std::mt19937 random(7);
  for (int trial = 0; trial < 400; ++trial) {
    const auto height = static_cast<int64_t>(1 + random() % 14);
    const auto width = static_cast<int64_t>(1 + random() % 14);
    const uint32_t kinds = 1 + random() % 4, density = 1 + random() % 9;
    Labels labels{height, width, {}};
    for (int64_t i = 0; i < height * width; ++i) {
      labels.pixels.push_back(random() % 10 < density ? static_cast<int32_t>(1 + random() % kinds)
                                                      : 0);
    }
    CheckExact(labels);
  }
}

TEST_CASE("connected components have one outer ring each") {
  std::mt19937 random(11);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<uint8_t> mask(size_t{40} * 60);
    for (uint8_t& v : mask) v = random() % 5 < 2 ? 1 : 0;
    Objects objects;
    LabelRuns(PackedPlane(mask.data(), DType::kU8, 40, 60), 0, {}, objects);
    Outlines out;
    OutlineTracer().Trace(objects, false, out);
    REQUIRE(out.labels.size() == static_cast<size_t>(objects.count));
    for (int32_t n = 0; n < objects.count; ++n) CHECK(out.labels[static_cast<size_t>(n)] == n + 1);
  }
}

TEST_CASE("a tracer is used again for smaller and empty images") {
  OutlineTracer tracer;
  Outlines out;
  Objects objects;
  Labels large = Draw({"1.2", "1.2", "333"});
  RunsFromLabels(large.plane(), objects);
  tracer.Trace(objects, true, out);
  CHECK(out.labels.size() == 3);
  Labels none = Draw({"."});
  RunsFromLabels(none.plane(), objects);
  tracer.Trace(objects, true, out);
  CHECK(out.labels.empty());
  CHECK(out.offsets == std::vector<uint32_t>{0});
}
