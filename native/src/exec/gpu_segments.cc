// SPDX-License-Identifier: MIT
// Finds segments, puts the program into their order, and counts slots for it.
#include "exec/gpu_segments.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "gpu/encode.h"
#include "gpu/segmentation.h"

namespace tilecast {
namespace {

// A canvas has the size that the job's mosaic says.
bool IsKnown(const TileShape& t) {
  return t.height > 0;
}

TileShape ResultShape(const Instruction& op, const std::vector<TileShape>& tiles,
                      std::span<const TileShape> sources) {
  const auto tile = [&](int reg) { return tiles[static_cast<size_t>(reg)]; };
  switch (op.kind) {
    case OpKind::kRead:
      return sources[static_cast<size_t>(op.sources.at(0))];
    case OpKind::kProject:
    case OpKind::kProjectRegs: {
      TileShape t = op.kind == OpKind::kProject ? sources[static_cast<size_t>(op.sources.at(0))]
                                                : tile(op.inputs.at(0));
      StackProjector projector;
      projector.Begin(op.projection, static_cast<int64_t>(op.a));
      t.dtype = projector.ResultOf(t.dtype);
      return t;
    }
    case OpKind::kApply: {
      const TileShape in = tile(op.in);
      if (!IsKnown(in)) return {op.row->ResultOf(in.dtype, op.arguments), 0, 0};
      const PlaneShape shape = op.row->ShapeOf({in.height, in.width}, op.arguments);
      return {op.row->ResultOf(in.dtype, op.arguments), shape.height, shape.width};
    }
    case OpKind::kThreshold:
      return {DType::kU8, tile(op.in).height, tile(op.in).width};
    case OpKind::kLabel:
      return {DType::kI32, tile(op.in).height, tile(op.in).width};
    case OpKind::kFunction:
      return {op.dtype, tile(op.in).height, tile(op.in).width};
    case OpKind::kMove:
      return tile(op.in);
    case OpKind::kStackRange:
      return {DType::kF64, 1, 2};
    case OpKind::kStretch:
      return {op.dtype, tile(op.in).height, tile(op.in).width};
    case OpKind::kWeighRegs:
      return {DType::kF32, tile(op.inputs.at(0)).height, tile(op.inputs.at(0)).width};
    case OpKind::kCanvas:
      return {op.dtype, 0, 0};
    default:
      return {};
  }
}

std::vector<DType> OthersOf(const Instruction& op, const std::vector<TileShape>& tiles) {
  std::vector<DType> others;
  if (op.resource >= 0) others.push_back(DType::kF32);
  for (const int r : op.inputs) others.push_back(tiles[static_cast<size_t>(r)].dtype);
  return others;
}

std::vector<int> RegistersRead(const Instruction& op) {
  std::vector<int> read = op.inputs;
  if (op.in >= 0) read.insert(read.begin(), op.in);
  return read;
}

bool Computes(OpKind kind) {
  return kind == OpKind::kProjectRegs || kind == OpKind::kApply || kind == OpKind::kThreshold ||
         kind == OpKind::kLabel || kind == OpKind::kFunction || kind == OpKind::kMeasure ||
         kind == OpKind::kStackRange || kind == OpKind::kStretch || kind == OpKind::kWeighRegs ||
         kind == OpKind::kMeasurePlane;
}

// Why the processor must do it; nothing where the GPU can.
std::optional<std::string> WhyNot(const Instruction& op, const std::vector<TileShape>& tiles) {
  const auto tile = [&](int reg) { return tiles[static_cast<size_t>(reg)]; };
  for (const int r : RegistersRead(op)) {
    if (!IsKnown(tile(r))) return "a stitched image, whose size is known when it is made";
  }
  switch (op.kind) {
    case OpKind::kApply: {
      const TileShape in = tile(op.in);
      for (const int r : op.inputs) {  // the processor says what is wrong
        if (tile(r).height != in.height || tile(r).width != in.width) return "the images differ";
      }
      if (!op.row->Accepts(in.dtype)) return "the op does not take it";
      return gpu::Refuses(*op.row, op.arguments, in.dtype, {in.height, in.width},
                          OthersOf(op, tiles));
    }
    case OpKind::kThreshold:
    case OpKind::kLabel: {
      const TileShape in = tile(op.in);
      const PlaneShape shape{in.height, in.width};
      if (auto why = gpu::RefusesThreshold(op.method, in.dtype, shape)) return why;
      if (op.kind == OpKind::kLabel) return gpu::RefusesLabel(in.dtype, shape);
      return std::nullopt;
    }
    case OpKind::kProjectRegs:
      for (const int r : op.inputs) {
        if (!(tile(r) == tile(op.inputs[0]))) return "the images differ";
      }
      return gpu::RefusesProjection(op.projection, tile(op.inputs.at(0)).dtype);
    case OpKind::kMeasure: {
      const TileShape labels = tile(op.in);
      for (const Column& c : op.columns) {
        if (c.kind >= Column::Kind::kDeviation) {
          return "spread, texture and colocalisation have no GPU kernel";
        }
        if (c.kind == Column::Kind::kSolidity) return "solidity has no GPU kernel";
      }
      std::vector<DType> images;
      for (const int r : op.inputs) {
        if (tile(r).height != labels.height || tile(r).width != labels.width) {
          return "the images differ";
        }
        images.push_back(tile(r).dtype);
      }
      return gpu::RefusesMeasure(labels.dtype, images, {labels.height, labels.width});
    }
    case OpKind::kFunction:
      return "a function of the user's";
    default:
      return TitleOf(op) + " has no GPU kernel";
  }
}

std::string ArgumentsText(const Instruction& op) {
  std::string text;
  for (const OpParameter& p : op.row->parameters) {
    if (!op.arguments.has(p.name)) continue;
    text.append(1, ' ').append(p.name).append(1, '=');
    text += std::to_string(op.arguments.number(p.name));
  }
  return text;
}

std::string TileText(const TileShape& t) {
  return std::string(DTypeName(t.dtype)) + " " + std::to_string(t.width) + "x" +
         std::to_string(t.height);
}

// What the segment does, with registers numbered within it.
std::string KeyOf(const std::vector<Instruction>& code, const GpuSegment& segment,
                  const std::vector<TileShape>& tiles) {
  std::map<int, int> numbers;
  const auto number = [&](int r) {
    std::string text(1, '%');
    text += std::to_string(numbers.emplace(r, static_cast<int>(numbers.size())).first->second);
    return text;
  };
  std::string key;
  const auto add = [&](std::string_view text) { key.append(1, ' ').append(text); };
  for (const int r : segment.inputs) {
    add(number(r));
    add(TileText(tiles[static_cast<size_t>(r)]));
    key += ';';
  }
  for (int i = segment.first; i <= segment.last; ++i) {
    const Instruction& op = code[static_cast<size_t>(i)];
    add(TitleOf(op));
    for (const int r : RegistersRead(op)) add(number(r));
    if (op.out >= 0) add(">" + number(op.out));
    if (op.kind == OpKind::kApply) key += ArgumentsText(op);
    if (op.kind == OpKind::kProjectRegs) add(std::to_string(op.a));
    if (op.kind == OpKind::kThreshold) add(std::to_string(op.a));
    if (op.kind == OpKind::kLabel) {
      add(std::to_string(op.a));
      add(std::to_string(op.label.min_area) + "-" + std::to_string(op.label.max_area));
      if (op.label.clear_border) add("clear");
    }
    if (op.kind == OpKind::kMeasure) {
      for (const Column& c : op.columns) add(std::to_string(static_cast<int>(c.kind)));
    }
    key += ';';
  }
  for (const int r : segment.outputs) add(number(r));
  return key;
}

// A segment while it is found.
struct Group {
  std::vector<int> before, gpu, behind;  // instructions of the given program
  std::set<int> made;                    // registers of `gpu`
  bool measures_behind = false;
};

}  // namespace

std::vector<TileShape> SourceShapes(const Job& job) {
  std::vector<TileShape> shapes;
  shapes.reserve(job.sources.size());
  for (const Source& s : job.sources) shapes.push_back({s.dtype, s.height, s.width});
  return shapes;
}

std::string TitleOf(const Instruction& op) {
  constexpr const char* methods[] = {"threshold", "otsu", "triangle", "li", "yen"};
  constexpr const char* projections[] = {"max", "min", "mean", "sum", "deviation", "focus"};
  switch (op.kind) {
    case OpKind::kApply:
      return std::string(op.row->name);
    case OpKind::kThreshold:
      return methods[static_cast<int>(op.method)];
    case OpKind::kLabel:
      return op.method == ThresholdMethod::kValue
                 ? "label"
                 : std::string(methods[static_cast<int>(op.method)]) + ", label";
    case OpKind::kProject:
    case OpKind::kProjectRegs:
      return std::string(projections[static_cast<int>(op.projection)]) + "Project";
    case OpKind::kFunction:
      return "javascript";
    case OpKind::kMeasure:
      return "measure";
    case OpKind::kMeasurePlane:
      return "measurePlane";
    case OpKind::kStackRange:
    case OpKind::kStretch:
      return "normalize";
    case OpKind::kWeighRegs:
      return "weighSlices";
    default:
      return "";
  }
}

std::vector<std::string> StagesOf(const GpuPlan& plan, const GpuSegment& segment) {
  std::vector<std::string> stages;
  for (int i = segment.first; i <= segment.last; ++i) {
    const std::string& stage = plan.program.code[static_cast<size_t>(i)].stage;
    if (std::find(stages.begin(), stages.end(), stage) == stages.end()) stages.push_back(stage);
  }
  return stages;
}

int GpuPlan::SegmentAt(size_t instruction) const {
  for (size_t s = 0; s < segments.size(); ++s) {
    if (segments[s].first == static_cast<int>(instruction)) return static_cast<int>(s);
  }
  return -1;
}

namespace {

class Planner {
 public:
  Planner(const Program& program, std::span<const TileShape> sources) : program_(program) {
    plan_.tiles.resize(static_cast<size_t>(std::max(program.registers, 0)));
    for (const Instruction& op : program.code) {
      if (op.out >= 0) {
        plan_.tiles[static_cast<size_t>(op.out)] = ResultShape(op, plan_.tiles, sources);
      }
    }
  }

  GpuPlan Plan(const std::function<bool(const GpuSegment&)>& wanted) {
    plan_.program.registers = program_.registers;
    for (size_t i = 0; i < program_.code.size(); ++i) Place(static_cast<int>(i));
    Close();
    std::erase_if(plan_.segments, [&](GpuSegment& s) {
      Describe(s);
      return !wanted(s);
    });
    for (const GpuSegment& s : plan_.segments) {
      plan_.program.cuts.push_back(s.first);
      plan_.program.cuts.push_back(s.last + 1);
    }
    plan_.program.Finalize();
    plan_.slots = std::max(plan_.program.slots, GpuPeak());
    return std::move(plan_);
  }

 private:
  void Place(int i) {
    const Instruction& op = program_.code[static_cast<size_t>(i)];
    const std::vector<int> read = RegistersRead(op);
    const auto made_here = [&](int r) { return group_.made.count(r) != 0; };
    const bool depends = std::any_of(read.begin(), read.end(), made_here);
    if (Computes(op.kind)) {
      auto why = WhyNot(op, plan_.tiles);
      if (!why && op.kind == OpKind::kMeasure && group_.measures_behind) {
        why = "the rows of an earlier measurement come first";
      }
      if (!why) {
        group_.gpu.push_back(i);
        if (op.out >= 0) group_.made.insert(op.out);
        return;
      }
      plan_.on_cpu.push_back({op.stage, TitleOf(op), *why});
    }
    if (group_.gpu.empty()) {
      Emit(i);
      return;
    }
    // A canvas changes while images are placed onto it: that cannot wait until it has been read.
    if (op.out < 0 && op.kind != OpKind::kPlace) {
      group_.behind.push_back(i);
      group_.measures_behind |= op.kind == OpKind::kMeasure;
      return;
    }
    // What an instruction that waits behind the segment makes cannot be read before it.
    if (!depends) {
      group_.before.push_back(i);
      return;
    }
    Close();
    Emit(i);
  }

  void Emit(int i) {
    plan_.program.code.push_back(program_.code[static_cast<size_t>(i)]);
    plan_.origin.push_back(i);
  }

  void Close() {
    for (const int i : group_.before) Emit(i);
    if (!group_.gpu.empty()) {
      GpuSegment segment;
      segment.first = static_cast<int>(plan_.program.code.size());
      for (const int i : group_.gpu) Emit(i);
      segment.last = static_cast<int>(plan_.program.code.size()) - 1;
      plan_.segments.push_back(std::move(segment));
    }
    for (const int i : group_.behind) Emit(i);
    group_ = {};
  }

  void Describe(GpuSegment& segment) {
    const std::vector<Instruction>& code = plan_.program.code;
    std::set<int> made, read_behind;
    for (size_t i = static_cast<size_t>(segment.last) + 1; i < code.size(); ++i) {
      for (const int r : RegistersRead(code[i])) read_behind.insert(r);
    }
    for (int i = segment.first; i <= segment.last; ++i) {
      const Instruction& op = code[static_cast<size_t>(i)];
      for (const int r : RegistersRead(op)) {
        if (made.count(r) == 0 &&
            std::find(segment.inputs.begin(), segment.inputs.end(), r) == segment.inputs.end()) {
          segment.inputs.push_back(r);
        }
      }
      if (op.out >= 0) {
        made.insert(op.out);
        if (read_behind.count(op.out) != 0) segment.outputs.push_back(op.out);
      }
      segment.title += (segment.title.empty() ? "" : ", ") + TitleOf(op);
    }
    segment.key = KeyOf(code, segment, plan_.tiles);
  }

  // Slots where every segment runs on the GPU: its outputs are taken at once, what flows between
  // its instructions has none.
  int GpuPeak() const {
    const Program& p = plan_.program;
    std::set<int> alive;
    int peak = 0;
    for (size_t i = 0; i < p.code.size(); ++i) {
      const int at = plan_.SegmentAt(i);
      size_t last = i;
      if (at >= 0) {
        const GpuSegment& s = plan_.segments[static_cast<size_t>(at)];
        for (const int r : s.outputs) alive.insert(r);
        last = static_cast<size_t>(s.last);
      } else {
        last = static_cast<size_t>(p.chain_end[i]);
        if (p.code[last].out >= 0) alive.insert(p.code[last].out);
      }
      peak = std::max(peak, static_cast<int>(alive.size()) + TemporarySlots(p.code[last]));
      std::erase_if(alive, [&](int r) {
        return p.last_use[static_cast<size_t>(r)] <= static_cast<int>(last);
      });
      i = last;
    }
    return peak;
  }

  const Program& program_;
  GpuPlan plan_;
  Group group_;
};

}  // namespace

GpuPlan PlanForGpu(const Program& program, std::span<const TileShape> sources,
                   const std::function<bool(const GpuSegment&)>& wanted) {
  try {
    return Planner(program, sources).Plan(wanted);
  } catch (const Error&) {
    GpuPlan none;
    none.program = program;
    none.program.Finalize();
    none.slots = none.program.slots;
    return none;
  }
}

}  // namespace tilecast
