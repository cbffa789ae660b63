// SPDX-License-Identifier: MIT
// Looking ops up by name, and checking their arguments against their row.
#include "exec/op_registry.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/arithmetic.h"
#include "ops/check.h"
#include "ops/histogram.h"

namespace tilecast {
namespace {

std::string NumberText(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string Quoted(std::string_view text) {
  std::string out(1, '"');
  out += text;
  out += '"';
  return out;
}

template <class List, class Text>
std::string Joined(const List& list, Text&& text) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ", ") + std::string(text(item));
  return out;
}

std::function<void(const Plane&, OpArguments&)> PrepareBy(const OpRow& row) {
  return [wants = row.wants, settle = row.settle](const Plane& in, OpArguments& arguments) {
    const PlaneWants wanted = wants(arguments);
    PlaneFacts facts;
    if (wanted.range) facts.range = Range(in);
    for (const double q : wanted.percentiles) facts.percentiles.push_back(Percentile(in, q));
    settle(facts, arguments);
  };
}

}  // namespace

OpArguments::OpArguments(const OpRow& row) : row_(&row) {
  for (const OpParameter& p : row.parameters) {
    values_.push_back(p.fallback.value_or(std::numeric_limits<double>::quiet_NaN()));
  }
}

size_t OpArguments::At(std::string_view name) const {
  for (size_t i = 0; i < row_->parameters.size(); ++i) {
    if (row_->parameters[i].name == name) return i;
  }
  throw Error(Code::kInvalidArgument,
              "op " + std::string(row_->name) + " has no parameter " + Quoted(name) +
                  "; it takes " +
                  Joined(row_->parameters, [](const OpParameter& p) { return p.name; }));
}

void OpArguments::Refuse(size_t at, const std::string& expected, const std::string& got) const {
  throw Error(Code::kInvalidArgument, "op " + std::string(row_->name) + ": " +
                                          Quoted(row_->parameters[at].name) + " must be " +
                                          expected + ", and is " + got);
}

void OpArguments::Set(std::string_view name, double value) {
  const size_t at = At(name);
  const OpParameter::Type type = row_->parameters[at].type;
  if (type == OpParameter::Type::kNumber) {
    if (std::isnan(value)) Refuse(at, "a number", "NaN");
  } else if (type == OpParameter::Type::kInteger) {
    if (!(std::abs(value) <= 9007199254740991.0) || value != std::trunc(value)) {
      Refuse(at, "an integer", NumberText(value));
    }
  } else {
    Refuse(at, type == OpParameter::Type::kFlag ? "true or false" : "a name", NumberText(value));
  }
  values_[at] = value;
}

void OpArguments::Set(std::string_view name, bool value) {
  const size_t at = At(name);
  if (row_->parameters[at].type != OpParameter::Type::kFlag) {
    Refuse(at, "something else", value ? "true" : "false");
  }
  values_[at] = value ? 1 : 0;
}

void OpArguments::Set(std::string_view name, std::string_view value) {
  const size_t at = At(name);
  const OpParameter& p = row_->parameters[at];
  std::vector<std::string_view> names = p.choices;
  if (p.type == OpParameter::Type::kDType) {
    for (int i = 0; i < kDTypeCount; ++i) names.push_back(DTypeName(static_cast<DType>(i)));
  } else if (p.type != OpParameter::Type::kChoice) {
    Refuse(at, "a number", Quoted(value));
  }
  const auto found = std::find(names.begin(), names.end(), value);
  if (found == names.end()) Refuse(at, "one of " + Joined(names, Quoted), Quoted(value));
  values_[at] = static_cast<double>(found - names.begin());
}

void OpArguments::RequireAll() const {
  for (size_t i = 0; i < values_.size(); ++i) {
    const OpParameter& p = row_->parameters[i];
    if (!p.optional && std::isnan(values_[i])) {
      throw Error(Code::kInvalidArgument,
                  "op " + std::string(row_->name) + " needs " + Quoted(p.name));
    }
  }
}

bool OpArguments::has(std::string_view name) const {
  return !std::isnan(values_[At(name)]);
}

double OpArguments::number(std::string_view name) const {
  return values_[At(name)];
}

Plane OpScratch::Get(size_t index, DType dtype, int64_t height, int64_t width) {
  if (memory_.size() <= index) memory_.resize(index + 1);
  const auto bytes = static_cast<size_t>(height * width) * DTypeSize(dtype);
  if (memory_[index].size() < bytes) memory_[index].resize(bytes);
  return PackedPlane(memory_[index].data(), dtype, height, width);
}

PlaneShape OpRow::ShapeOf(PlaneShape in, const OpArguments& a) const {
  if (!shape) return in;
  const PlaneShape out = shape(in, a);
  if (out.height < 1 || out.width < 1) {
    throw Error(Code::kOpShape, std::string(name) + " of " + std::to_string(in.width) + " x " +
                                    std::to_string(in.height) + " px would give " +
                                    std::to_string(out.width) + " x " + std::to_string(out.height));
  }
  return out;
}

Footprint FootprintOf(const OpArguments& a) {
  if (a.has("radius")) return Footprint::Disk(a.integer("radius"));
  if (a.has("height") && a.has("width")) {
    return Footprint::Rectangle(a.integer("height"), a.integer("width"));
  }
  throw Error(Code::kInvalidArgument, "morphology needs a radius, or a height and a width");
}

LabelOptions LabelOptionsOf(const OpArguments& a) {
  LabelOptions options;
  options.min_area = a.integer("minArea");
  if (a.has("maxArea")) options.max_area = a.integer("maxArea");
  options.clear_border = a.flag("clearBorder");
  return options;
}

std::span<const OpRow> OpRows() {
  static const std::vector<OpRow> rows = [] {
    std::vector<OpRow> all;
    for (auto family :
         {IntensityRows, FilterRows, MorphologyRows, SegmentationRows, GeometryRows}) {
      for (OpRow& row : family()) {
        if (row.settle) row.prepare = PrepareBy(row);
        all.push_back(std::move(row));
      }
    }
    return all;
  }();
  return rows;
}

const OpRow& FindOp(std::string_view name) {
  for (const OpRow& row : OpRows()) {
    if (row.name == name) return row;
  }
  throw Error(Code::kInvalidArgument, "there is no op " + Quoted(name));
}

void CheckInput(const OpRow& row, const Plane& in, std::span<const Plane> others) {
  if (!row.Accepts(in.dtype)) {
    std::string expected;
    for (int i = 0; i < kDTypeCount; ++i) {
      if (!row.Accepts(static_cast<DType>(i))) continue;
      expected += (expected.empty() ? "" : ", ") + std::string(DTypeName(static_cast<DType>(i)));
    }
    throw Error(Code::kOpDtype, std::string(row.name) + " takes " + expected + ", and got " +
                                    std::string(DTypeName(in.dtype)));
  }
  for (const Plane& other : others) {
    RequireShape(row.name, "the other image", other, in.height, in.width);
  }
}

}  // namespace tilecast
