// SPDX-License-Identifier: MIT
// Hands planes of a stack to the projection asked for.
#include "exec/stack_projector.h"

namespace tilecast {

void StackProjector::Begin(StackOp op, int64_t window) {
  op_ = op;
  if (op == StackOp::kFocus) focus_.emplace(window);
}

Projection StackProjector::Simple() const {
  return op_ == StackOp::kMax    ? Projection::kMax
         : op_ == StackOp::kMin  ? Projection::kMin
         : op_ == StackOp::kMean ? Projection::kMean
                                 : Projection::kSum;
}

DType StackProjector::ResultOf(DType in) const {
  if (op_ == StackOp::kFocus) return in;
  if (op_ == StackOp::kDeviation) return DType::kF32;
  return ProjectionResult(Simple(), in);
}

DType StackProjector::AccumulatorOf(DType in) const {
  return ProjectionAccumulator(Simple(), in);
}

void StackProjector::First(const Plane& in, const Plane& accumulator) {
  if (op_ == StackOp::kDeviation) {
    deviation_.First(in);
  } else if (op_ == StackOp::kFocus) {
    focus_->First(in, accumulator);
  } else {
    ProjectFirst(Simple(), in, accumulator);
  }
}

void StackProjector::Next(const Plane& in, const Plane& accumulator) {
  if (op_ == StackOp::kDeviation) {
    deviation_.Next(in);
  } else if (op_ == StackOp::kFocus) {
    focus_->Next(in, accumulator);
  } else {
    ProjectNext(Simple(), in, accumulator);
  }
}

void StackProjector::Finish(int64_t count, const Plane& accumulator, const Plane& out) {
  if (op_ == StackOp::kDeviation) {
    deviation_.Finish(out);
  } else if (op_ != StackOp::kFocus) {
    ProjectFinish(Simple(), count, accumulator, out);
  }
}

}  // namespace tilecast
