// SPDX-License-Identifier: MIT
// Which instructions of a program a GPU does for planes of given dtypes and sizes, and in what
// order: segments, at whose ends tiles pass between processor and GPU.
//
// A segment is a run of instructions that the GPU can do. What stands between them in the program
// moves out: what depends on nothing of the segment (decoding, above all) goes before it, what only
// reads registers (writes, thumbnails, views) behind it. So the standard chain, from the decoded
// plane to the rows of the table, is one segment, and goes up once and down once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "exec/program.h"

namespace tilecast {

// What is known of a tile before there is one.
struct TileShape {
  DType dtype = DType::kU8;
  int64_t height = 0, width = 0;
  bool operator==(const TileShape&) const = default;
};

std::vector<TileShape> SourceShapes(const Job& job);

struct GpuSegment {
  int first = 0, last = 0;   // instructions of GpuPlan::program
  std::vector<int> inputs;   // registers made before it, in the order of first use
  std::vector<int> outputs;  // registers made in it that are read behind it
  std::string title;         // for people: "flatField, gaussian, otsu, label, measure"
  std::string key;           // equal keys: equal work, of whatever plate
};

// An instruction that stays on the processor although it computes, and why.
struct CpuInstruction {
  std::string stage, title, why;
};

struct GpuPlan {
  Program program;               // the same instructions in the segments' order, finalized
  std::vector<int> origin;       // by instruction: its place in the program that was given
  std::vector<TileShape> tiles;  // by register
  std::vector<GpuSegment> segments;
  std::vector<CpuInstruction> on_cpu;
  int slots = 0;  // that a job reserves; enough for either engine, segment by segment

  // Index of the segment that begins there, or -1.
  int SegmentAt(size_t instruction) const;
};

// The steps that a segment's instructions belong to.
std::vector<std::string> StagesOf(const GpuPlan& plan, const GpuSegment& segment);

// "flatField", "otsu", "label", "maxProject": an instruction's name for people.
std::string TitleOf(const Instruction& op);

// Segments whose key `wanted` does not want are left to the processor, as if there were none. A
// program whose ops do not fit the planes has no segment: the processor says what is wrong.
GpuPlan PlanForGpu(const Program& program, std::span<const TileShape> sources,
                   const std::function<bool(const GpuSegment&)>& wanted);

}  // namespace tilecast
