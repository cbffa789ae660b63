// SPDX-License-Identifier: MIT
// Planes as the integer keys that window kernels compare.
#include "ops/keys.h"

#include <string>

#include "error.h"

namespace tilecast {

KeyKind RequireKeyKind(std::string_view op, DType dtype) {
  if (dtype == DType::kF64) {
    throw Error(
        Code::kOpDtype,
        std::string(op) + ": takes integers or float32, got float64; convert the image first");
  }
  return dtype == DType::kU8 ? kKeyU8 : dtype == DType::kU16 ? kKeyU16 : kKeyI32;
}

Plane KeysOf(const Plane& in, std::vector<int32_t>& memory) {
  if (IsKey(in.dtype)) return in;
  memory.resize(static_cast<size_t>(in.pixels()));
  const Plane keys = PackedPlane(memory.data(), DType::kI32, in.height, in.width);
  const auto to_key = Kernels().windows.to_key[static_cast<int>(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y)
    to_key(in.row<std::byte>(y), keys.row<int32_t>(y), in.width);
  return keys;
}

}  // namespace tilecast
