// SPDX-License-Identifier: MIT
// Liveness of registers: how many pool slots a program needs at its fullest point.
#include "exec/program.h"

#include <algorithm>

#include "error.h"

namespace tilecast {

void Program::FindChains() {
  chain_end.resize(code.size());
  for (size_t i = code.size(); i-- > 0;) {
    chain_end[i] = static_cast<int>(i);
    const auto pixelwise = [&](size_t k) {
      return code[k].kind == OpKind::kApply && code[k].row->reach == OpRow::Reach::kPixel;
    };
    const size_t next = i + 1;
    if (next == code.size() || !pixelwise(i) || !pixelwise(next)) continue;
    if (std::find(cuts.begin(), cuts.end(), static_cast<int>(next)) != cuts.end()) continue;
    const Instruction& op = code[next];
    const bool only_reader =
        op.in == code[i].out && last_use[static_cast<size_t>(op.in)] == static_cast<int>(next) &&
        std::find(op.inputs.begin(), op.inputs.end(), op.in) == op.inputs.end();
    if (only_reader && !op.row->prepare) chain_end[i] = chain_end[next];
  }
}

int TemporarySlots(const Instruction& op) {
  switch (op.kind) {
    case OpKind::kProject: {
      const bool straight = StartsInPlace(op.projection) && op.sources.size() == 1;
      return straight ? 0 : HasAccumulator(op.projection) ? 2 : 1;
    }
    case OpKind::kProjectRegs:
      return HasAccumulator(op.projection) ? 1 : 0;
    case OpKind::kWriteImage:
    case OpKind::kWriteLabels:
      return 1;
    default:
      return 0;
  }
}

void Program::Finalize() {
  last_use.assign(static_cast<size_t>(registers), -1);
  const auto check = [&](int r) {
    if (r < -1 || r >= registers) {
      throw Error(Code::kInvalidArgument, "register " + std::to_string(r) + " of a program with " +
                                              std::to_string(registers));
    }
  };
  const auto note_uses = [&](size_t i, size_t at) {
    const auto use = [&](int r) {
      check(r);
      if (r >= 0) last_use[static_cast<size_t>(r)] = static_cast<int>(at);
    };
    use(code[i].in);
    use(code[i].out);
    for (const int r : code[i].inputs) use(r);
  };
  for (size_t i = 0; i < code.size(); ++i) note_uses(i, i);
  FindChains();
  // What a chain reads is needed until its last block is done.
  for (size_t i = 0; i < code.size(); ++i) {
    const auto end = static_cast<size_t>(chain_end[i]);
    for (; i < end; ++i) note_uses(i, end);
    note_uses(i, i);
  }
  // An instruction's output is taken before its inputs are given back.
  int alive = 0;
  slots = 0;
  views = 0;
  for (size_t i = 0; i < code.size(); ++i) {
    for (const auto end = static_cast<size_t>(chain_end[i]); i < end; ++i) {
      last_use[static_cast<size_t>(code[i].out)] = -1;  // never in a slot
    }
    const Instruction& op = code[i];
    if (op.out >= 0) ++alive;
    if (op.kind == OpKind::kView) ++views;
    slots = std::max(slots, alive + TemporarySlots(op));
    for (int r = 0; r < registers; ++r) {
      if (last_use[static_cast<size_t>(r)] == static_cast<int>(i)) --alive;
    }
  }
}

}  // namespace tilecast
