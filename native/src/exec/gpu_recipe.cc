// SPDX-License-Identifier: MIT
// Puts a segment's recipe together: planes for its registers, passes for its instructions.
#include "exec/gpu_recipe.h"

#include <algorithm>
#include <map>

#include "error.h"
#include "gpu/encode.h"

namespace tilecast {
namespace {

class Builder {
 public:
  Builder(const GpuPlan& plan, const GpuSegment& segment,
          const std::function<FieldData(int resource)>& field)
      : plan_(plan), segment_(segment), field_(field) {}

  SegmentRecipe Build() {
    for (const int r : segment_.inputs) {
      const TileShape& t = tile(r);
      planes_[r] = recipe_.Input(t.dtype, t.height, t.width);
    }
    for (const int r : segment_.outputs) {
      const TileShape& t = tile(r);
      planes_[r] = recipe_.Output(t.dtype, t.height, t.width);
    }
    for (int i = segment_.first; i <= segment_.last; ++i) i = Encode(i);
    SegmentRecipe out;
    std::map<int, size_t> result_of;
    const std::vector<gpu::Buffer>& buffers = recipe_.recipe().buffers;
    for (size_t b = 0; b < buffers.size(); ++b) {
      if (buffers[b].kind == gpu::Buffer::Kind::kResult) {
        result_of.emplace(static_cast<int>(b), result_of.size());
      }
    }
    for (const int words : thresholds_) out.thresholds.push_back(result_of.at(words));
    for (auto& [instruction, what] : measures_) {
      SegmentRecipe::Measure measure{instruction, std::move(what), {}};
      for (const int b : measure.what.results) measure.results.push_back(result_of.at(b));
      out.measures.push_back(std::move(measure));
    }
    out.recipe = std::make_shared<const gpu::Recipe>(recipe_.Take());
    return out;
  }

 private:
  const Instruction& code(int i) const { return plan_.program.code[static_cast<size_t>(i)]; }
  const TileShape& tile(int reg) const { return plan_.tiles[static_cast<size_t>(reg)]; }

  gpu::GpuPlane PlaneOf(int reg) {
    const auto at = planes_.find(reg);
    if (at != planes_.end()) return at->second;
    const TileShape& t = tile(reg);
    return planes_[reg] = recipe_.Temporary(t.dtype, t.height, t.width);
  }

  // Encodes the instruction, and those after it that go with it; gives the last one.
  int Encode(int i) {
    const Instruction& op = code(i);
    switch (op.kind) {
      case OpKind::kApply:
        return EncodeChain(i);
      case OpKind::kProjectRegs: {
        std::vector<gpu::GpuPlane> in;
        in.reserve(op.inputs.size());
        for (const int r : op.inputs) in.push_back(PlaneOf(r));
        gpu::EncodeProjection(recipe_, op.projection, op.a, in, PlaneOf(op.out));
        return i;
      }
      case OpKind::kThreshold:
        gpu::EncodeMask(recipe_, PlaneOf(op.in), Threshold(op), PlaneOf(op.out));
        return i;
      case OpKind::kLabel:
        gpu::EncodeLabel(recipe_, PlaneOf(op.in), Threshold(op), op.label, PlaneOf(op.out));
        return i;
      case OpKind::kMeasure: {
        std::vector<gpu::GpuPlane> images;
        images.reserve(op.inputs.size());
        for (const int r : op.inputs) images.push_back(PlaneOf(r));
        const gpu::GpuPlane labels = PlaneOf(op.in);
        measures_.emplace_back(i, gpu::EncodeMeasure(recipe_, labels, FeaturesOf(op), images,
                                                     MeasureCapacity(labels.height, labels.width)));
        return i;
      }
      default:
        throw Error(Code::kInternal, "a GPU's segment has an instruction that it cannot do");
    }
  }

  gpu::GpuThreshold Threshold(const Instruction& op) {
    const gpu::GpuThreshold threshold =
        gpu::EncodeThreshold(recipe_, op.method, op.a, PlaneOf(op.in));
    if (threshold.computed) thresholds_.push_back(threshold.words);
    return threshold;
  }

  // Ops each of which is the only reader of the one before go to the encoder together: it makes one
  // pass of point-wise ones.
  int EncodeChain(int first) {
    std::vector<gpu::OpLink> links;
    int last = first;
    for (;; ++last) {
      const Instruction& op = code(last);
      gpu::OpLink link{op.row, op.arguments};
      if (op.resource >= 0) link.others.push_back(Field(op, tile(code(first).in)));
      for (const int r : op.inputs) link.others.push_back(PlaneOf(r));
      links.push_back(std::move(link));
      if (last == segment_.last || !OnlyReader(last + 1, op.out)) break;
    }
    gpu::EncodeOps(recipe_, links, PlaneOf(code(first).in), PlaneOf(code(last).out));
    return last;
  }

  bool OnlyReader(int next, int reg) const {
    const Instruction& op = code(next);
    const auto is_reg = [&](int r) { return r == reg; };
    if (op.kind != OpKind::kApply || op.in != reg ||
        std::any_of(op.inputs.begin(), op.inputs.end(), is_reg)) {
      return false;
    }
    for (const Instruction& other : plan_.program.code) {
      if (&other == &op) continue;
      if (other.in == reg || std::any_of(other.inputs.begin(), other.inputs.end(), is_reg)) {
        return false;
      }
    }
    return true;
  }

  gpu::GpuPlane Field(const Instruction& op, const TileShape& in) {
    const FieldData field = field_(op.resource);
    if (field.height != in.height || field.width != in.width) {
      throw Error(Code::kOpShape, "the illumination image has another size");
    }
    return {recipe_.Constant(field.data), DType::kF32, field.height, field.width};
  }

  const GpuPlan& plan_;
  const GpuSegment& segment_;
  const std::function<FieldData(int resource)>& field_;
  gpu::RecipeBuilder recipe_;
  std::map<int, gpu::GpuPlane> planes_;  // by register
  std::vector<int> thresholds_;
  std::vector<std::pair<int, gpu::GpuMeasurements>> measures_;
};

}  // namespace

int64_t MeasureCapacity(int64_t height, int64_t width) {
  return std::clamp<int64_t>(height * width / 256, 1024, 65536);
}

SegmentRecipe BuildRecipe(const GpuPlan& plan, const GpuSegment& segment,
                          const std::function<FieldData(int resource)>& field) {
  return Builder(plan, segment, field).Build();
}

}  // namespace tilecast
