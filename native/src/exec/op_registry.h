// SPDX-License-Identifier: MIT
// The ops that a program applies by name: one row an op, with its parameters, the dtypes and shapes
// it takes and gives, and the kernel behind it. lib/ops/table.ts has the same ops for people; a
// test compares the two (test/ops/registry.test.ts).
//
// A row belongs in the op_rows_*.cc file of its family; docs/adding-an-op.md shows how.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"
#include "exec/region.h"
#include "image.h"
#include "ops/gaussian.h"
#include "ops/label.h"
#include "ops/morphology.h"

namespace tilecast {

struct OpParameter {
  enum class Type : uint8_t { kNumber, kInteger, kFlag, kChoice, kDType };
  std::string_view name;
  Type type = Type::kNumber;
  // Without one, the parameter must be given unless `optional`; then has() tells.
  std::optional<double> fallback = {};
  bool optional = false;
  // kChoice: the values are numbered in this order.
  std::vector<std::string_view> choices = {};
};

struct OpRow;

// An op's parameters, resolved once when a program is loaded.
class OpArguments {
 public:
  OpArguments() = default;
  explicit OpArguments(const OpRow& row);

  // kInvalidArgument, naming op and parameter, for a name, type or choice that the row doesn't
  // have.
  void Set(std::string_view name, double value);
  void Set(std::string_view name, bool value);
  void Set(std::string_view name, std::string_view value);
  // kInvalidArgument for a parameter without which the op can't run.
  void RequireAll() const;

  // For OpRow::prepare: what it found, in the place of what was given.
  void Replace(std::string_view name, double value) { values_[At(name)] = value; }

  bool has(std::string_view name) const;
  double number(std::string_view name) const;
  int64_t integer(std::string_view name) const { return static_cast<int64_t>(number(name)); }
  bool flag(std::string_view name) const { return number(name) != 0; }
  template <class Enum>
  Enum choice(std::string_view name) const {
    return static_cast<Enum>(number(name));
  }
  DType dtype(std::string_view name) const { return choice<DType>(name); }

 private:
  size_t At(std::string_view name) const;
  [[noreturn]] void Refuse(size_t at, const std::string& expected, const std::string& got) const;

  const OpRow* row_ = nullptr;
  std::vector<double> values_;  // by the row's parameters; NaN: absent
};

// Memory of one thread for what an op needs between its input and its output; kept from plane to
// plane.
class OpScratch {
 public:
  // A plane that stays valid until the same index is asked for again.
  Plane Get(size_t index, DType dtype, int64_t height, int64_t width);

 private:
  std::vector<std::vector<std::byte>> memory_;
};

struct OpCall {
  const OpArguments& arguments;
  const Plane& in;
  std::span<const Plane> others;  // the further images that it was given, of the size of `in`
  const Plane& out;
  OpScratch& scratch;
  // An op that learns the range of its result on the way says so here; nobody must.
  std::optional<MinMax>* range;
};

struct PlaneShape {
  int64_t height = 0, width = 0;
  bool operator==(const PlaneShape&) const = default;
};

using DTypeSet = uint16_t;
constexpr DTypeSet DTypes(std::initializer_list<DType> list) {
  DTypeSet set = 0;
  for (const DType d : list) set = static_cast<DTypeSet>(set | (1u << static_cast<unsigned>(d)));
  return set;
}
inline constexpr DTypeSet kAnyDType = 0xff;
inline constexpr DTypeSet kNotF64 = kAnyDType & ~DTypes({DType::kF64});
inline constexpr DTypeSet kUpTo16 = DTypes({DType::kU8, DType::kI8, DType::kU16, DType::kI16});
// What can be counted into a histogram of levels: 8 and 16 bits by value, floats by bins.
inline constexpr DTypeSet kLevels = kUpTo16 | DTypes({DType::kF32, DType::kF64});
inline constexpr DTypeSet kMask = DTypes({DType::kU8});
inline constexpr DTypeSet kLabels = DTypes({DType::kI32});

// What an op asks of its whole input before it sees any of it.
struct PlaneWants {
  bool range = false;
  std::vector<double> percentiles = {};
  bool levels = false;  // CountLevels (ops/histogram.h)
};
struct PlaneFacts {
  MinMax range{0, 0};
  std::vector<double> percentiles;  // as asked for
  std::vector<float> counts;
  std::vector<double> levels;
};

// Where a part of an image is that an op makes from a part of its input.
struct OpPart {
  PlaneShape whole_in, whole_out;
  Region in, out;
  const PlaneFacts& facts;
};

struct OpRow {
  // What of the input a pixel of the result depends on.
  enum class Reach : uint8_t {
    kPixel,  // its own: runs on any block of rows, also in place of a chain's block
    kHalo,   // `halo` pixels around it
    kPlane,  // anywhere
  };

  std::string_view name;  // lib/ops/table.ts's
  DTypeSet accepts = kAnyDType;
  Reach reach = Reach::kPlane;
  // Images beside the one that flows: how many it must and may be given.
  int least_others = 0, most_others = 0;
  std::vector<OpParameter> parameters = {};
  // dtype of the result; empty: that of the input.
  std::function<DType(DType in, const OpArguments&)> result = {};
  // Shape of the result; empty: that of the input.
  std::function<PlaneShape(PlaneShape in, const OpArguments&)> shape = {};
  // kHalo: how far, px.
  std::function<int64_t(const OpArguments&)> halo = {};
  // kHalo: results are the same bits only where rows are counted from a multiple of this; empty: 1.
  std::function<int64_t(DType in, const OpArguments&)> row_step = {};
  // kPlane, where a part of the result comes from a part of the input all the same: which.
  std::function<Region(const Region& out, PlaneShape in, const OpArguments&)> source = {};
  // What it must know of the whole input, which `settle` puts into the arguments, or `run_part` is
  // handed. `prepare` follows from the two.
  std::function<PlaneWants(const OpArguments&)> wants = {};
  std::function<void(const PlaneFacts&, OpArguments&)> settle = {};
  // Looks at the whole input before `run` sees any of it, and puts what it found into the
  // arguments (percentiles, a range). An op that has it can only begin a chain of point-wise ops.
  std::function<void(const Plane& in, OpArguments&)> prepare = {};
  void (*run)(const OpCall&) = nullptr;
  // Makes a part of the result where `run` of the input's part does not.
  void (*run_part)(const OpCall&, const OpPart&) = nullptr;
  // Of masks and labels: the op on objects instead of pixels.
  void (*on_objects)(const OpArguments&, const Objects& in, Objects& out) = nullptr;

  DType ResultOf(DType in, const OpArguments& a) const { return result ? result(in, a) : in; }
  // kOpShape where there would be no pixel.
  PlaneShape ShapeOf(PlaneShape in, const OpArguments& a) const;
  // Whether images too large for a tile can go through, block by block.
  bool InBlocks() const {
    return reach != Reach::kPlane || source || run_part != nullptr || on_objects != nullptr;
  }
  bool Accepts(DType d) const { return (accepts >> static_cast<unsigned>(d) & 1) != 0; }
};

// What several rows, and those of the GPU, read from their parameters alike. FootprintOf throws
// kInvalidArgument without a footprint.
Footprint FootprintOf(const OpArguments& a);
LabelOptions LabelOptionsOf(const OpArguments& a);

// Every row, in the order of the families.
std::span<const OpRow> OpRows();
// kInvalidArgument when there is none of that name.
const OpRow& FindOp(std::string_view name);
// kOpDtype, naming the op and what it takes, unless it takes the plane's dtype; kOpShape unless
// the others have the plane's shape.
void CheckInput(const OpRow& row, const Plane& in, std::span<const Plane> others);

// The families.
std::vector<OpRow> IntensityRows();
std::vector<OpRow> FilterRows();
std::vector<OpRow> MorphologyRows();
std::vector<OpRow> SegmentationRows();
std::vector<OpRow> GeometryRows();

}  // namespace tilecast
