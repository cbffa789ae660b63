// SPDX-License-Identifier: MIT
// Projections over a component (z, site, timepoint): max, min, mean, sum, accumulated plane by
// plane so that the stack is never held.
//
// max, min: source dtype, exact (NaN in a float stack propagates, as numpy.max and numpy.min).
//
// sum: uint8/uint16 -> uint32, int8/int16 -> int32 (wraps past 2^32 like numpy with that dtype),
// uint32/int32/float32/float64 -> float64.
//
// mean: sum as above in the accumulator, divided in float64, rounded once to float32.
#pragma once

#include <span>

#include "image.h"

namespace tilecast {

enum class Projection : uint8_t { kMax, kMin, kMean, kSum };

constexpr bool IsExtreme(Projection kind) {
  return kind == Projection::kMax || kind == Projection::kMin;
}

// dtype of the accumulator plane, and of the result.
DType ProjectionAccumulator(Projection kind, DType in);
DType ProjectionResult(Projection kind, DType in);

// First plane of the stack: acc = in (converted). For kMax and kMin, acc may be the very memory of
// `in`, and then nothing is copied.
void ProjectFirst(Projection kind, const Plane& in, const Plane& acc);
// acc = acc (op) in. Shapes must match (kOpShape).
void ProjectNext(Projection kind, const Plane& in, const Plane& acc);
// kMean: out(float32) = acc / count. The others: out = acc; the accumulator and `out` may be the
// same memory.
void ProjectFinish(Projection kind, int64_t count, const Plane& acc, const Plane& out);

// out(float32) = sum of weights[i] * planes[i], in that order in float32: planes of float32
// (kOpDtype), of one shape (kOpShape), at least one, as many as weights (kInvalidArgument). No
// overlap with out. Equal on every CPU.
void WeighPlanes(std::span<const Plane> planes, std::span<const float> weights, const Plane& out);

}  // namespace tilecast
