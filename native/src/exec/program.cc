// SPDX-License-Identifier: MIT
// Liveness of registers: how many pool slots a program needs at its fullest point.
#include "exec/program.h"

#include <algorithm>

#include "error.h"

namespace tilecast {

void Program::Finalize() {
  last_use.assign(static_cast<size_t>(registers), -1);
  const auto check = [&](int r) {
    if (r < -1 || r >= registers) {
      throw Error(Code::kInvalidArgument, "register " + std::to_string(r) + " of a program with " +
                                              std::to_string(registers));
    }
  };
  for (size_t i = 0; i < code.size(); ++i) {
    const Instruction& op = code[i];
    const auto use = [&](int r) {
      check(r);
      if (r >= 0) last_use[static_cast<size_t>(r)] = static_cast<int>(i);
    };
    use(op.in);
    use(op.out);
    for (const int r : op.inputs) use(r);
  }
  // An instruction's output is taken before its inputs are given back; a projection that reads its
  // planes itself needs one slot to read into, and a mean or sum one more for its accumulator.
  int alive = 0;
  slots = 0;
  views = 0;
  for (size_t i = 0; i < code.size(); ++i) {
    const Instruction& op = code[i];
    if (op.out >= 0) ++alive;
    if (op.kind == OpKind::kView) ++views;
    int temporary = 0;
    if (op.kind == OpKind::kProject) {
      temporary = op.projection == Projection::kMax ? (op.sources.size() > 1 ? 1 : 0) : 2;
    }
    if (op.kind == OpKind::kProjectRegs) temporary = op.projection == Projection::kMax ? 0 : 1;
    if (op.kind == OpKind::kWriteImage || op.kind == OpKind::kWriteLabels)
      temporary = 1;  // pyramid
    slots = std::max(slots, alive + temporary);
    for (int r = 0; r < registers; ++r) {
      if (last_use[static_cast<size_t>(r)] == static_cast<int>(i)) --alive;
    }
  }
}

}  // namespace tilecast
