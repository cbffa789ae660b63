// SPDX-License-Identifier: MIT
// The projections that a program can ask for, plane by plane under one interface.
#pragma once

#include <cstdint>
#include <optional>

#include "image.h"
#include "ops/focus.h"
#include "ops/project.h"

namespace tilecast {

enum class StackOp : uint8_t { kMax, kMin, kMean, kSum, kDeviation, kFocus };

constexpr bool HasAccumulator(StackOp op) {
  return op == StackOp::kMean || op == StackOp::kSum;
}

// Whether its first plane can be read straight into the result.
constexpr bool StartsInPlace(StackOp op) {
  return op == StackOp::kMax || op == StackOp::kMin;
}

// One stack at a time; memory is kept for the next one.
class StackProjector {
 public:
  // `window`: of kFocus, px.
  void Begin(StackOp op, int64_t window);
  DType ResultOf(DType in) const;
  // kMean, kSum: of the plane that First and Next add up in. The others take `out` there.
  DType AccumulatorOf(DType in) const;

  // StartsInPlace: `accumulator` may be the very memory of `in`.
  void First(const Plane& in, const Plane& accumulator);
  void Next(const Plane& in, const Plane& accumulator);
  void Finish(int64_t count, const Plane& accumulator, const Plane& out);

 private:
  Projection Simple() const;

  StackOp op_ = StackOp::kMax;
  DeviationProjection deviation_;
  std::optional<FocusStack> focus_;
};

}  // namespace tilecast
