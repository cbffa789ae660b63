// SPDX-License-Identifier: MIT
// Projections, row by row on the kernels.
#include "ops/project.h"

#include <cstring>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

DType SumDType(DType in) {
  switch (in) {
    case DType::kU8:
    case DType::kU16:
      return DType::kU32;
    case DType::kI8:
    case DType::kI16:
      return DType::kI32;
    default:
      return DType::kF64;
  }
}

void CopyRows(const Plane& in, const Plane& out) {
  if (in.data == out.data && in.stride == out.stride) return;
  for (int64_t y = 0; y < in.height; ++y) {
    // memmove: a caller may finish in place with another stride.
    if (in.width > 0)
      std::memmove(out.row<std::byte>(y), in.row<std::byte>(y),
                   static_cast<size_t>(in.row_bytes()));
  }
}

int Index(DType dtype) {
  return static_cast<int>(dtype);
}

}  // namespace

DType ProjectionAccumulator(Projection kind, DType in) {
  return IsExtreme(kind) ? in : SumDType(in);
}

DType ProjectionResult(Projection kind, DType in) {
  return kind == Projection::kMean ? DType::kF32 : ProjectionAccumulator(kind, in);
}

void ProjectFirst(Projection kind, const Plane& in, const Plane& acc) {
  RequireShape("project", "the accumulator", acc, in.height, in.width);
  RequireDType("project", "the accumulator", acc, ProjectionAccumulator(kind, in.dtype));
  if (IsExtreme(kind)) return CopyRows(in, acc);
  const auto first = Kernels().sum_first[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y)
    first(in.row<std::byte>(y), acc.row<std::byte>(y), in.width);
}

void ProjectNext(Projection kind, const Plane& in, const Plane& acc) {
  RequireShape("project", "a plane of the stack", in, acc.height, acc.width);
  RequireDType("project", "the accumulator", acc, ProjectionAccumulator(kind, in.dtype));
  const KernelTable& kernels = Kernels();
  const auto next = kind == Projection::kMax   ? kernels.max[Index(in.dtype)]
                    : kind == Projection::kMin ? kernels.min[Index(in.dtype)]
                                               : kernels.sum_next[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y)
    next(in.row<std::byte>(y), acc.row<std::byte>(y), in.width);
}

void ProjectFinish(Projection kind, int64_t count, const Plane& acc, const Plane& out) {
  RequireShape("project", "the result", out, acc.height, acc.width);
  if (kind != Projection::kMean) {
    RequireDType("project", "the result", out, acc.dtype);
    return CopyRows(acc, out);
  }
  RequireDType("project", "the result", out, DType::kF32);
  if (count < 1)
    throw Error(Code::kInvalidArgument,
                "project: a mean needs at least one plane, got " + std::to_string(count));
  const auto finish = Kernels().mean_finish[Index(acc.dtype)];
  if (finish == nullptr) {
    throw Error(Code::kOpDtype,
                "project: the accumulator of a mean must be uint32, int32 or float64, got " +
                    std::string(DTypeName(acc.dtype)));
  }
  for (int64_t y = 0; y < acc.height; ++y)
    finish(acc.row<std::byte>(y), static_cast<double>(count), out.row<float>(y), acc.width);
}

void WeighPlanes(std::span<const Plane> planes, std::span<const float> weights, const Plane& out) {
  RequireDType("weigh", "the result", out, DType::kF32);
  if (planes.empty() || planes.size() != weights.size()) {
    throw Error(Code::kInvalidArgument, "weigh: got " + std::to_string(weights.size()) +
                                            " weights for " + std::to_string(planes.size()) +
                                            " planes");
  }
  for (const Plane& plane : planes) {
    RequireDType("weigh", "a plane of the stack", plane, DType::kF32);
    RequireShape("weigh", "a plane of the stack", plane, out.height, out.width);
  }
  thread_local std::vector<const float*> rows;
  rows.resize(planes.size());
  for (int64_t y = 0; y < out.height; ++y) {
    for (size_t i = 0; i < planes.size(); ++i) rows[i] = planes[i].row<float>(y);
    Kernels().neighbours.blend_rows(rows.data(), weights.data(), static_cast<int64_t>(rows.size()),
                                    out.row<float>(y), out.width);
  }
}

}  // namespace tilecast
