// SPDX-License-Identifier: MIT
// Planes as the integer keys that window kernels compare (kernels/windows.h).
#pragma once

#include <string_view>
#include <vector>

#include "image.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

// The kind of keys that planes of a dtype are compared by; kOpDtype for float64.
KeyKind RequireKeyKind(std::string_view op, DType dtype);
constexpr int64_t KeySize(KeyKind kind) {
  return kind == kKeyU8 ? 1 : kind == kKeyU16 ? 2 : 4;
}
// Whether the pixels are their own keys.
constexpr bool IsKey(DType dtype) {
  return dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kI32;
}
// The keys of `in` in `memory`, or `in` itself where its pixels are keys.
Plane KeysOf(const Plane& in, std::vector<int32_t>& memory);

}  // namespace tilecast
