// SPDX-License-Identifier: MIT
// Labelling, filters and painting on masks drawn as text.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "error.h"
#include "ops/label.h"
#include "ops_images.h"

namespace tilecast {
namespace {

using test::Image;
using Drawing = std::vector<std::string>;

// '.' is background; anything else is 1.
Image<uint8_t> Mask(const Drawing& rows) {
  return Image<uint8_t>::From(static_cast<int64_t>(rows.size()),
                              static_cast<int64_t>(rows[0].size()), [&](int64_t y, int64_t x) {
                                return rows[static_cast<size_t>(y)][static_cast<size_t>(x)] != '.';
                              });
}

Drawing Painted(const Objects& objects) {
  Image<int32_t> out(objects.height, objects.width);
  PaintLabels(objects, out.plane());
  CHECK(out.intact());
  Drawing rows;
  for (int64_t y = 0; y < objects.height; ++y) {
    rows.emplace_back();
    for (int64_t x = 0; x < objects.width; ++x)
      rows.back() += out.at(y, x) == 0 ? '.' : static_cast<char>('0' + out.at(y, x));
  }
  return rows;
}

Drawing Labelled(const Drawing& rows, const LabelOptions& options = {}) {
  auto mask = Mask(rows);
  Objects objects;
  LabelRuns(mask.plane(), 0, options, objects);
  return Painted(objects);
}

// Drawings keep their rows below each other.
// clang-format off
TEST_CASE("labels are numbered by each object's first pixel, and diagonals connect") {
  CHECK(Labelled({".#..#.#",
                  "#....#.",
                  "...#...",
                  "##....#"}) == Drawing{".1..2.2",
                                         "1....2.",
                                         "...3...",
                                         "44....5"});
}

TEST_CASE("arms that meet late share the number of the first") {
  CHECK(Labelled({"#.#.#..#",
                  "#.#.#..#",
                  "#.###..#",
                  "#......#",
                  "########"}) == Drawing{"1.2.2..1",
                                          "1.2.2..1",
                                          "1.222..1",
                                          "1......1",
                                          "11111111"});
  CHECK(Labelled({"...#.#",
                  "..#.#.",
                  "##.#.."}) == Drawing{"...1.1",
                                        "..1.1.",
                                        "11.1.."});
}
// clang-format on

TEST_CASE("runs cross the boundaries of 64-pixel words") {
  for (const int64_t width : {1, 2, 63, 64, 65, 127, 128, 129, 200}) {
    for (int64_t x0 = 0; x0 < width; ++x0) {
      for (const int64_t x1 : {x0 + 1, (x0 + width + 1) / 2, width}) {
        if (x1 <= x0) continue;
        auto mask = Image<uint16_t>::From(
            1, width, [&](int64_t, int64_t x) { return x >= x0 && x < x1 ? 9 : 3; });
        Objects objects;
        LabelRuns(mask.plane(), 3, {}, objects);
        REQUIRE(objects.runs.size() == 1);
        CHECK(objects.runs[0].x0 == x0);
        CHECK(objects.runs[0].x1 == x1);
        CHECK(objects.count == 1);
      }
    }
  }
}

// clang-format off
TEST_CASE("objects filtered by area are dropped and the rest renumbered") {
  const Drawing rows = {"#..##...",
                        "...##..#",
                        "#......#",
                        "##..#..#"};
  CHECK(Labelled(rows, {.min_area = 3}) == Drawing{"...11...",
                                                   "...11..2",
                                                   "3......2",
                                                   "33.....2"});
  CHECK(Labelled(rows, {.min_area = 2, .max_area = 3}) == Drawing{"........",
                                                                  ".......1",
                                                                  "2......1",
                                                                  "22.....1"});
  CHECK(Labelled(rows, {.max_area = 1}) == Drawing{"1.......",
                                                   "........",
                                                   "........",
                                                   "....2..."});
}

TEST_CASE("clear border drops objects that touch any edge, and no others") {
  CHECK(Labelled({".#......",
                  "....##..",
                  "#...##.#",
                  "..#.....",
                  "...#..#."},
                 {.clear_border = true}) == Drawing{"........",
                                                    "....11..",
                                                    "....11..",
                                                    "........",
                                                    "........"});
}
// clang-format on

TEST_CASE("labels stay consistent with runs after filtering") {
  auto noise = Image<uint8_t>::Random(50, 133, 0, 10);
  Objects objects;
  LabelRuns(noise.plane(), 6, {.min_area = 4, .max_area = 200, .clear_border = true}, objects);
  REQUIRE(objects.run_of_row.size() == 51);
  int32_t greatest = 0;
  for (int64_t y = 0; y < 50; ++y) {
    for (int32_t i = objects.run_of_row[static_cast<size_t>(y)];
         i < objects.run_of_row[static_cast<size_t>(y) + 1]; ++i) {
      const Run& run = objects.runs[static_cast<size_t>(i)];
      CHECK(run.y == y);
      CHECK(run.x0 < run.x1);
      CHECK(run.label >= 1);
      CHECK(run.label <= greatest + 1);  // new labels appear in order
      greatest = std::max(greatest, run.label);
    }
  }
  CHECK(greatest == objects.count);
}

TEST_CASE("an empty mask has no object, a full one has one") {
  CHECK(Labelled({"...", "..."}) == Drawing{"...", "..."});
  CHECK(Labelled({"###", "###"}) == Drawing{"111", "111"});
  Objects objects;
  LabelRuns(Image<uint8_t>(0, 0).plane(), 0, {}, objects);
  CHECK(objects.count == 0);
  CHECK(objects.run_of_row == std::vector<int32_t>{0});
}

TEST_CASE("objects may be reused for images of other sizes") {
  Objects objects;
  auto large = Image<uint8_t>::Random(90, 300, 0, 2);
  LabelRuns(large.plane(), 0, {}, objects);
  auto small = Mask({"#.#", "..."});
  LabelRuns(small.plane(), 0, {}, objects);
  CHECK(Painted(objects) == Drawing{"1.2", "..."});
}

TEST_CASE(
    "runs come back from a label image, with touching objects, gaps in the numbers and negative "
    "background") {
  auto labels = Image<int32_t>::Of({{5, 5, 2, 2, 0, 5}, {0, -1, 2, 5, 5, 5}});
  Objects objects;
  RunsFromLabels(labels.plane(), objects);
  CHECK(objects.count == 5);
  REQUIRE(objects.runs.size() == 5);
  auto is = [](const Run& run, int32_t y, int32_t x0, int32_t x1, int32_t label) {
    return run.y == y && run.x0 == x0 && run.x1 == x1 && run.label == label;
  };
  CHECK(is(objects.runs[0], 0, 0, 2, 5));
  CHECK(is(objects.runs[1], 0, 2, 4, 2));
  CHECK(is(objects.runs[2], 0, 5, 6, 5));
  CHECK(is(objects.runs[3], 1, 2, 3, 2));
  CHECK(is(objects.runs[4], 1, 3, 6, 5));
  CHECK(objects.run_of_row == std::vector<int32_t>{0, 3, 5});
}

TEST_CASE("painting and reading back gives the same runs") {
  for (const int64_t width : {1, 63, 64, 65, 190}) {
    auto noise = Image<uint8_t>::Random(20, width, 0, 2, static_cast<uint32_t>(width));
    Objects objects, again;
    LabelRuns(noise.plane(), 0, {}, objects);
    Image<int32_t> painted(20, width);
    PaintLabels(objects, painted.plane());
    RunsFromLabels(painted.plane(), again);
    REQUIRE(again.runs.size() == objects.runs.size());
    CHECK(again.count == objects.count);
    CHECK(std::equal(again.runs.begin(), again.runs.end(), objects.runs.begin(),
                     [](const Run& a, const Run& b) {
                       return a.y == b.y && a.x0 == b.x0 && a.x1 == b.x1 && a.label == b.label;
                     }));
  }
}

TEST_CASE("painting refuses a plane of another shape or dtype") {
  Objects objects;
  auto mask = Mask({"#.#"});
  LabelRuns(mask.plane(), 0, {}, objects);
  CHECK_THROWS_WITH_AS(PaintLabels(objects, Image<int32_t>(1, 4).plane()),
                       "paintLabels: the result must have shape [1, 3], got [1, 4]", Error);
  CHECK_THROWS_WITH_AS(PaintLabels(objects, Image<uint8_t>(1, 3).plane()),
                       "paintLabels: the result must be int32, got uint8", Error);
}

}  // namespace
}  // namespace tilecast
