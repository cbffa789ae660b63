// SPDX-License-Identifier: MIT
// Shapes forwards, parts backwards.
#include "exec/block_plan.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "exec/stack_projector.h"

namespace tilecast {
namespace {

// The focus projection looks at the Laplacian in a window around a pixel.
int64_t HaloOf(const Instruction& op) {
  const bool projects = op.kind == OpKind::kProject || op.kind == OpKind::kProjectRegs;
  if (projects && op.projection == StackOp::kFocus) return static_cast<int64_t>(op.a) / 2 + 1;
  if (op.kind != OpKind::kApply || op.row->reach != OpRow::Reach::kHalo) return 0;
  return op.row->halo(op.arguments);
}

int64_t RowStep(const Instruction& op, DType in) {
  if (op.kind != OpKind::kApply) return HaloOf(op) > 0 ? static_cast<int64_t>(op.a) : 1;
  return op.row->row_step ? op.row->row_step(in, op.arguments) : 1;
}

std::string Text(const Source& s) {
  return std::to_string(s.width) + " x " + std::to_string(s.height) + " " +
         std::string(DTypeName(s.dtype));
}

}  // namespace

namespace {

// What is not taken apart: users' functions, ranges over stacks, measurements that compare or look
// around in an object's pixels.
bool NeedsWhole(const Instruction& op) {
  switch (op.kind) {
    case OpKind::kFunction:
    case OpKind::kStackRange:
    case OpKind::kStretch:
    case OpKind::kWeighRegs:
    case OpKind::kMeasurePlane:
    case OpKind::kAlign:
      return true;
    case OpKind::kMeasure:
      return std::any_of(op.columns.begin(), op.columns.end(),
                         [](const Column& c) { return c.kind >= Column::Kind::kDeviation; });
    default:
      return false;
  }
}

}  // namespace

int BlockSlots(const Program& program) {
  std::vector<int> last(static_cast<size_t>(program.registers), -1);
  for (size_t i = 0; i < program.code.size(); ++i) {
    ForInputs(program.code[i], [&](int r) { last[static_cast<size_t>(r)] = static_cast<int>(i); });
  }
  int alive = 0, most = 1;
  for (size_t i = 0; i < program.code.size(); ++i) {
    const Instruction& op = program.code[i];
    if (op.out >= 0) ++alive;
    // A projection reads its planes beside its result and, for means and sums, an accumulator. The
    // levels of a pyramid are made from a part read back and into another.
    int beside = 0;
    if (op.kind == OpKind::kProject) beside = 2;
    if (op.kind == OpKind::kProjectRegs) beside = 1;
    if (op.kind == OpKind::kWriteImage || op.kind == OpKind::kWriteLabels) beside = 1;
    most = std::max(most, alive + beside);
    ForInputs(op, [&](int r) {
      int& at = last[static_cast<size_t>(r)];
      if (at != static_cast<int>(i)) return;
      at = -1;  // an instruction may read a register twice
      --alive;
    });
    if (op.out >= 0 && last[static_cast<size_t>(op.out)] < 0) --alive;
  }
  return std::max(most, 2);
}

BlockPlan::BlockPlan(const Program& p, const Job& j) : program(p), job(j) {
  values.resize(static_cast<size_t>(p.registers));
  last_use.assign(static_cast<size_t>(p.registers), -1);
  for (size_t i = 0; i < p.code.size(); ++i) {
    const Instruction& op = p.code[i];
    ForInputs(op, [&](int r) { last_use[static_cast<size_t>(r)] = static_cast<int>(i); });
    if (op.out < 0) continue;
    Value& out = values[static_cast<size_t>(op.out)];
    out.producer = static_cast<int>(i);
    StackProjector projector;
    switch (op.kind) {
      case OpKind::kRead:
      case OpKind::kProject: {
        const Source& first = job.sources.at(static_cast<size_t>(op.sources.at(0)));
        out.height = first.height;
        out.width = first.width;
        out.dtype = first.dtype;
        for (const int k : op.sources) {
          const Source& s = job.sources.at(static_cast<size_t>(k));
          if (s.height == first.height && s.width == first.width && s.dtype == first.dtype)
            continue;
          throw Error(Code::kOpShape,
                      "planes of one projection differ: " + Text(first) + " and " + Text(s), s.path,
                      s.page);
        }
        if (op.kind == OpKind::kRead) break;
        projector.Begin(op.projection, static_cast<int64_t>(op.a));
        out.dtype = projector.ResultOf(first.dtype);
        break;
      }
      case OpKind::kCanvas: {
        const MosaicPlan& mosaic = job.mosaics.at(static_cast<size_t>(op.mosaic));
        out.height = mosaic.height;
        out.width = mosaic.width;
        out.dtype = op.dtype;
        break;
      }
      case OpKind::kProjectRegs: {
        const Value& first = value(op.inputs.at(0));
        projector.Begin(op.projection, static_cast<int64_t>(op.a));
        out.height = first.height;
        out.width = first.width;
        out.dtype = projector.ResultOf(first.dtype);
        break;
      }
      case OpKind::kApply: {
        const Value& in = value(op.in);
        const PlaneShape shape = op.row->ShapeOf({in.height, in.width}, op.arguments);
        out.height = shape.height;
        out.width = shape.width;
        out.dtype = op.row->ResultOf(in.dtype, op.arguments);
        break;
      }
      default: {
        const Value& in = value(op.in >= 0 ? op.in : op.inputs.at(0));
        out.height = in.height;
        out.width = in.width;
        out.dtype = op.kind == OpKind::kLabel  ? DType::kI32
                    : op.kind == OpKind::kMove ? in.dtype
                                               : DType::kU8;
        break;
      }
    }
  }
}

bool BlockPlan::TakesWhole(size_t i) const {
  const Instruction& op = program.code[i];
  return op.kind == OpKind::kMove || (op.kind == OpKind::kApply && !op.row->InBlocks());
}

Region BlockPlan::PlacedPart(size_t i, const Region& canvas) const {
  const Instruction& op = program.code[i];
  const MosaicPlan& mosaic = job.mosaics.at(static_cast<size_t>(op.mosaic));
  const auto image = static_cast<size_t>(op.image);
  // Positions are rounded, or pixels are between two of the image's.
  constexpr int64_t kAround = 2;
  const int64_t top = canvas.y - static_cast<int64_t>(std::floor(mosaic.y.at(image)));
  const int64_t left = canvas.x - static_cast<int64_t>(std::floor(mosaic.x.at(image)));
  const int64_t y = std::max<int64_t>(0, top - kAround), x = std::max<int64_t>(0, left - kAround);
  return {y, x, std::min(mosaic.image_height, top + canvas.height + kAround) - y,
          std::min(mosaic.image_width, left + canvas.width + kAround) - x};
}

const Instruction* BlockPlan::Unfit(uint64_t slot_bytes) const {
  const auto bytes = [&](int reg) {
    const Value& v = value(reg);
    return static_cast<uint64_t>(v.height * v.width) * DTypeSize(v.dtype);
  };
  for (size_t i = 0; i < program.code.size(); ++i) {
    const Instruction& op = program.code[i];
    if (NeedsWhole(op)) return &op;
    if (!TakesWhole(i)) continue;
    if (std::max(bytes(op.in), bytes(op.out)) > slot_bytes) return &op;
  }
  return nullptr;
}

bool BlockPlan::HoldsObjects(size_t i) const {
  const Instruction& op = program.code[i];
  return op.kind == OpKind::kLabel || (op.kind == OpKind::kApply && op.row->on_objects != nullptr);
}

bool BlockPlan::Asks(size_t i) const {
  const Instruction& op = program.code[i];
  if (op.kind == OpKind::kThreshold || op.kind == OpKind::kLabel)
    return op.method != ThresholdMethod::kValue;
  if (op.kind != OpKind::kApply || !op.row->wants) return false;
  const PlaneWants wants = op.row->wants(op.arguments);
  return wants.range || wants.levels || !wants.percentiles.empty();
}

Region BlockPlan::InputOf(size_t i, const Region& out) const {
  const Instruction& op = program.code[i];
  if (op.kind == OpKind::kApply && op.row->source) {
    const Value& in = value(op.in);
    return op.row->source(out, {in.height, in.width}, op.arguments);
  }
  return Made(i, out);
}

Region BlockPlan::Made(size_t i, const Region& out) const {
  const Instruction& op = program.code[i];
  const int64_t halo = HaloOf(op);
  if (halo == 0) return out;
  const Value& whole = value(op.out);
  Region made = Grown(out, halo, whole.height, whole.width);
  const DType in = op.in >= 0 ? value(op.in).dtype : whole.dtype;
  const int64_t above = made.y % std::max<int64_t>(1, RowStep(op, in));
  made.y -= above;
  made.height += above;
  return made;
}

uint64_t BlockPlan::LargestPart(const std::vector<int>& wanted, const Region& block) const {
  std::vector<Region> need(values.size());
  for (const int r : wanted) need[static_cast<size_t>(r)] = block;
  uint64_t largest = 0;
  for (size_t i = program.code.size(); i-- > 0;) {
    const Instruction& op = program.code[i];
    if (op.kind == OpKind::kPlace) {
      const Region& canvas = need[static_cast<size_t>(op.inputs[0])];
      if (!canvas.empty()) {
        Region& in = need[static_cast<size_t>(op.in)];
        in = Around(in, PlacedPart(i, canvas));
      }
      continue;
    }
    if (op.out < 0) continue;
    const Region& out = need[static_cast<size_t>(op.out)];
    if (out.empty()) continue;
    if (TakesWhole(i)) continue;
    size_t size = DTypeSize(value(op.out).dtype);
    // Beside its result a projection holds a plane of its input and an accumulator.
    if (op.kind == OpKind::kProject || op.kind == OpKind::kProjectRegs) size = 8;
    largest = std::max(largest, static_cast<uint64_t>(Made(i, out).pixels()) * size);
    if (HoldsObjects(i)) continue;
    const Region in = InputOf(i, out);
    ForInputs(op, [&](int r) {
      need[static_cast<size_t>(r)] = Around(need[static_cast<size_t>(r)], in);
    });
  }
  return largest;
}

PlaneShape BlockPlan::BlockShape(const std::vector<int>& wanted, PlaneShape image, PlaneShape step,
                                 uint64_t slot_bytes, int64_t least_bands) const {
  const auto fits = [&](PlaneShape block) {
    for (int64_t y = 0; y < image.height; y += block.height) {
      for (int64_t x = 0; x < image.width; x += block.width) {
        const Region part{y, x, std::min(block.height, image.height - y),
                          std::min(block.width, image.width - x)};
        if (LargestPart(wanted, part) > slot_bytes) return false;
      }
    }
    return true;
  };
  const auto steps = [](int64_t side, int64_t by) { return (side + by - 1) / by; };
  const int64_t rows = steps(image.height, step.height);
  PlaneShape block{std::min(step.height, image.height), image.width};
  for (int64_t columns = steps(image.width, step.width); !fits(block);) {
    if (columns == 1) {
      throw Error(Code::kSlotTooSmall,
                  "a block of " + std::to_string(block.width) + " x " +
                      std::to_string(block.height) +
                      " px and what ops look at around it do not fit a slot of " +
                      std::to_string(slot_bytes) + " bytes; allow larger slots, or smaller chunks");
    }
    columns = (columns + 1) / 2;
    block.width = std::min(columns * step.width, image.width);
  }
  // Higher blocks look less around themselves, as long as there are some for every thread.
  const int64_t most = std::max<int64_t>(1, rows / std::max<int64_t>(1, least_bands));
  for (int64_t n = 2; n <= most; n *= 2) {
    const PlaneShape higher{std::min(n * step.height, image.height), block.width};
    if (!fits(higher)) break;
    block = higher;
  }
  return block;
}

}  // namespace tilecast
