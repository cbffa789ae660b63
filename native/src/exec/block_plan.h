// SPDX-License-Identifier: MIT
// What a program does with one job's images when these are too large for a slot: sizes of all
// registers, which part of what each part comes from, and how large blocks may be.
//
// Blocks of a result are made from parts of the input, with what lies around them as far as ops
// look; parts end at the edges of the image, so that filters reflect there and nowhere else. What
// an op must know of the whole image (a threshold, a percentile) is gathered in passes of its own,
// in which the ops before it run again; no plane is kept in between. Masks and labels between such
// passes are kept as runs (ops/object_parts.h).
#pragma once

#include <cstdint>
#include <vector>

#include "exec/program.h"
#include "exec/region.h"

namespace tilecast {

// Pool slots that one thread takes to run a program block by block.
int BlockSlots(const Program& program);

class BlockPlan {
 public:
  struct Value {
    int64_t height = 0, width = 0;
    DType dtype = DType::kU8;
    int producer = -1;  // instruction
  };

  // Throws kOpShape, kOpDtype as the job would.
  BlockPlan(const Program& program, const Job& job);

  const Program& program;
  const Job& job;
  std::vector<Value> values;  // by register
  std::vector<int> last_use;  // by register: the last instruction that reads it

  const Value& value(int reg) const { return values[static_cast<size_t>(reg)]; }
  // The first instruction that needs its whole image in a tile, and a slot of that size is too
  // small for the image or the result; null: the program can run block by block.
  const Instruction* Unfit(uint64_t slot_bytes) const;
  // Whether an op needs its whole image, which then is small enough for a slot. Its result is kept
  // as a plane.
  bool TakesWhole(size_t i) const;
  // Whether an instruction's result is kept as objects.
  bool HoldsObjects(size_t i) const;
  // Whether an instruction must know something of its whole input.
  bool Asks(size_t i) const;
  // The part of its inputs that an instruction makes `out` of its result from.
  Region InputOf(size_t i, const Region& out) const;
  // kPlace: the part of its image that may be seen in a part of the canvas.
  Region PlacedPart(size_t i, const Region& canvas) const;
  // What it makes: `out`, or for a filter all of the input's part, of which `out` is right.
  Region Made(size_t i, const Region& out) const;

  // Height and width of the blocks of a height x width image, multiples of the steps (or the whole
  // side), so that the parts of all registers that blocks of `wanted` come from fit into
  // `slot_bytes`. As wide as can be: strips and rows of tiles are then decoded once. kSlotTooSmall
  // when even one step does not fit.
  PlaneShape BlockShape(const std::vector<int>& wanted, PlaneShape image, PlaneShape step,
                        uint64_t slot_bytes, int64_t least_bands) const;

 private:
  // The most bytes that a block's part of any register takes.
  uint64_t LargestPart(const std::vector<int>& wanted, const Region& block) const;
};

// Every register that an instruction reads.
template <class F>
void ForInputs(const Instruction& op, F f) {
  if (op.in >= 0) f(op.in);
  for (const int r : op.inputs) f(r);
}

}  // namespace tilecast
