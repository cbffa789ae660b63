// SPDX-License-Identifier: MIT
// Which instructions become a GPU's segments, what passes at their ends, and the slots that they
// take.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "exec/gpu_recipe.h"
#include "exec/gpu_segments.h"
#include "exec_support.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

namespace {

const std::vector<TileShape> kTwoPlanes(2, {DType::kU16, kSide, kSide});

Instruction Apply(const char* name, int in, int out, std::vector<int> others = {}) {
  Instruction op = Make(OpKind::kApply, in, out);
  op.row = &FindOp(name);
  op.arguments = OpArguments(*op.row);
  op.inputs = std::move(others);
  return op;
}

Instruction Read(int source, int out) {
  Instruction op = Make(OpKind::kRead, -1, out);
  op.sources = {source};
  return op;
}

Instruction Write(OpKind kind, int in, int output) {
  Instruction op = Make(kind, in, -1);
  op.output = output;
  return op;
}

Instruction Measure(int labels, std::vector<int> images) {
  Instruction op = Make(OpKind::kMeasure, labels, -1);
  op.inputs = std::move(images);
  op.columns = {{Column::Kind::kLabel, -1}, {Column::Kind::kMax, 0}};
  return op;
}

Program Of(int registers, std::vector<Instruction> code) {
  Program p;
  p.registers = registers;
  p.code = std::move(code);
  return p;
}

GpuPlan All(const Program& p, const std::vector<TileShape>& sources = kTwoPlanes) {
  return PlanForGpu(p, sources, [](const GpuSegment&) { return true; });
}

std::vector<std::string> Titles(const GpuPlan& plan) {
  std::vector<std::string> titles;
  for (const GpuSegment& s : plan.segments) titles.push_back(s.title);
  return titles;
}

std::vector<int> Order(const GpuPlan& plan) {
  return plan.origin;
}

// read -> anscombe -> write -> otsu + label -> write -> thumbnail -> measure
Program Standard() {
  Instruction label = Make(OpKind::kLabel, 1, 2);
  label.method = ThresholdMethod::kOtsu;
  Instruction thumbnail = Make(OpKind::kThumbnail, 1, -1);
  thumbnail.inputs = {2};
  return Of(3, {Read(0, 0), Apply("anscombe", 0, 1), Write(OpKind::kWriteImage, 1, 0), label,
                Write(OpKind::kWriteLabels, 2, 1), thumbnail, Measure(2, {1})});
}

}  // namespace

TEST_CASE("the standard chain is one segment: writes and thumbnails wait behind it") {
  const GpuPlan plan = All(Standard());
  REQUIRE(Titles(plan) == std::vector<std::string>{"anscombe, otsu, label, measure"});
  CHECK(Order(plan) == std::vector<int>{0, 1, 3, 6, 2, 4, 5});
  const GpuSegment& s = plan.segments[0];
  CHECK(s.first == 1);
  CHECK(s.last == 3);
  CHECK(s.inputs == std::vector<int>{0});
  CHECK(s.outputs == std::vector<int>{1, 2});
  CHECK(plan.SegmentAt(1) == 0);
  CHECK(plan.SegmentAt(2) == -1);
  CHECK(plan.on_cpu.empty());
}

TEST_CASE("what nobody outside reads stays on the device") {
  const GpuPlan plan = All(Of(4, {Read(0, 0), Apply("anscombe", 0, 1), Apply("invert", 1, 2),
                                  Write(OpKind::kWriteImage, 2, 0)}));
  REQUIRE(plan.segments.size() == 1);
  CHECK(plan.segments[0].outputs == std::vector<int>{2});
}

TEST_CASE("planes that are read in the middle are read before the segment") {
  Instruction label = Make(OpKind::kLabel, 0, 1);
  const GpuPlan plan = All(Of(
      3, {Read(0, 0), label, Write(OpKind::kWriteLabels, 1, 0), Read(1, 2), Measure(1, {0, 2})}));
  REQUIRE(Titles(plan) == std::vector<std::string>{"label, measure"});
  CHECK(Order(plan) == std::vector<int>{0, 3, 1, 4, 2});
  CHECK(plan.segments[0].inputs == std::vector<int>{0, 2});
}

TEST_CASE("an op that only the processor has splits what depends on it, with the reason") {
  // splitObjects is a watershed.
  const Program p = Of(4, {Read(0, 0), Make(OpKind::kThreshold, 0, 1), Apply("splitObjects", 1, 2),
                           Measure(2, {0}), Write(OpKind::kWriteLabels, 2, 0)});
  const GpuPlan plan = All(p);
  CHECK(Titles(plan) == std::vector<std::string>{"threshold", "measure"});
  CHECK(Order(plan) == std::vector<int>{0, 1, 2, 3, 4});
  REQUIRE(plan.on_cpu.size() == 1);
  CHECK(plan.on_cpu[0].title == "splitObjects");
  CHECK(plan.on_cpu[0].why == "splitObjects has no GPU kernel");
}

TEST_CASE("an op of the processor's that depends on nothing of the segment goes before it") {
  const std::vector<TileShape> sources = {{DType::kU16, kSide, kSide}, {DType::kU8, kSide, kSide}};
  const GpuPlan plan = All(Of(4, {Read(0, 0), Apply("anscombe", 0, 1), Read(1, 2),
                                  Apply("splitObjects", 2, 3), Measure(3, {1})}),
                           sources);
  CHECK(Titles(plan) == std::vector<std::string>{"anscombe, measure"});
  CHECK(Order(plan) == std::vector<int>{0, 2, 3, 1, 4});
}

TEST_CASE("rows of measurements stay in order where the processor does an earlier one") {
  // float64 images are the processor's.
  Instruction label = Make(OpKind::kLabel, 0, 1);
  const std::vector<TileShape> sources = {{DType::kU16, kSide, kSide}, {DType::kF64, kSide, kSide}};
  const GpuPlan plan =
      All(Of(3, {Read(0, 0), Read(1, 2), label, Measure(1, {2}), Measure(1, {0})}), sources);
  REQUIRE(Titles(plan) == std::vector<std::string>{"label"});
  CHECK(Order(plan) == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(plan.on_cpu.size() == 2);
}

TEST_CASE("a segment that is not wanted leaves the processor's program as it was") {
  Program p = Standard();
  p.Finalize();
  const GpuPlan plan = PlanForGpu(p, kTwoPlanes, [](const GpuSegment&) { return false; });
  CHECK(plan.segments.empty());
  CHECK(plan.program.cuts.empty());
}

TEST_CASE(
    "a program whose ops do not fit the planes is the processor's, which says what is wrong") {
  const std::vector<TileShape> sources = {{DType::kU16, kSide, kSide}, {DType::kU16, 8, 8}};
  const GpuPlan plan = All(Of(3, {Read(0, 0), Read(1, 1), Apply("add", 0, 2, {1})}), sources);
  CHECK(plan.segments.empty());
  CHECK(plan.program.code.size() == 3);
}

TEST_CASE("slots suffice for a segment on either engine") {
  Program p = Standard();
  p.Finalize();
  const GpuPlan plan = All(p);
  // The plane, the corrected image and the labels; then a pyramid beside image and labels.
  CHECK(plan.slots == 3);
  // A chain of point-wise ops that a segment's end cuts takes slots where it did not before.
  const Program chain = Of(4, {Read(0, 0), Apply("anscombe", 0, 1), Apply("invert", 1, 2),
                               Write(OpKind::kWriteImage, 2, 0)});
  CHECK(All(chain).slots == 2);
}

TEST_CASE("equal work has equal keys, and arguments, sizes and wiring make others") {
  const std::string key = All(Standard()).segments.at(0).key;
  Program other = Standard();
  for (Instruction& op : other.code) op.stage = "another step";
  CHECK(All(other).segments.at(0).key == key);
  CHECK(All(Standard(), {{DType::kU16, kSide, kSide + 1}}).segments.at(0).key != key);
  CHECK(All(Standard(), {{DType::kU8, kSide, kSide}}).segments.at(0).key != key);
  other.code[3].label.min_area = 30;
  CHECK(All(other).segments.at(0).key != key);
}

TEST_CASE("a segment's recipe has a buffer for each plane that passes, and one copy of a field") {
  Program p = Standard();
  Instruction flat = Apply("flatField", 0, 1);
  flat.resource = 0;
  p.code[1] = flat;
  const GpuPlan plan = All(p);
  REQUIRE(Titles(plan) == std::vector<std::string>{"flatField, otsu, label, measure"});
  const FieldData field{std::make_shared<std::vector<std::byte>>(kSide * kSide * 4), kSide, kSide};
  const SegmentRecipe recipe = BuildRecipe(plan, plan.segments[0], [&](int) { return field; });
  const auto count = [&](gpu::Buffer::Kind kind) {
    return std::count_if(recipe.recipe->buffers.begin(), recipe.recipe->buffers.end(),
                         [&](const gpu::Buffer& b) { return b.kind == kind; });
  };
  CHECK(count(gpu::Buffer::Kind::kInput) == 1);
  CHECK(count(gpu::Buffer::Kind::kOutput) == 2);
  CHECK(std::count_if(recipe.recipe->buffers.begin(), recipe.recipe->buffers.end(),
                      [&](const gpu::Buffer& b) { return b.data == field.data; }) == 1);
  CHECK(recipe.thresholds.size() == 1);
  REQUIRE(recipe.measures.size() == 1);
  CHECK(recipe.measures[0].what.capacity == MeasureCapacity(kSide, kSide));
  CHECK_THROWS_AS(
      BuildRecipe(plan, plan.segments[0], [&](int) { return FieldData{field.data, 8, 8}; }), Error);
}
