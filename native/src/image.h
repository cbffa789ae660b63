// SPDX-License-Identifier: MIT
// Pixel types and the view of a plane in memory that every room of the core shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tilecast {

enum class DType : uint8_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kF64 };
inline constexpr int kDTypeCount = 8;

constexpr size_t DTypeSize(DType t) {
  constexpr size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 8};
  return sizes[static_cast<int>(t)];
}
// The numpy and zarr name: "uint8", "float32", ...
constexpr std::string_view DTypeName(DType t) {
  constexpr std::string_view names[] = {"uint8",  "int8",  "uint16",  "int16",
                                        "uint32", "int32", "float32", "float64"};
  return names[static_cast<int>(t)];
}
constexpr bool IsFloat(DType t) {
  return t == DType::kF32 || t == DType::kF64;
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kU8;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kI8;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::kU16;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr DType value = DType::kI16;
};
template <>
struct DTypeOf<uint32_t> {
  static constexpr DType value = DType::kU32;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};

// Calls f with a value of the C++ type behind `t`: Visit(t, [&](auto zero) { using T =
// decltype(zero); ... }).
template <class F>
decltype(auto) Visit(DType t, F&& f) {
  switch (t) {
    case DType::kU8:
      return f(uint8_t{});
    case DType::kI8:
      return f(int8_t{});
    case DType::kU16:
      return f(uint16_t{});
    case DType::kI16:
      return f(int16_t{});
    case DType::kU32:
      return f(uint32_t{});
    case DType::kI32:
      return f(int32_t{});
    case DType::kF32:
      return f(float{});
    case DType::kF64:
      break;
  }
  return f(double{});
}

// A plane [height, width] of `dtype`, rows `stride` bytes apart (stride >= width * size). Does not
// own its pixels. Data is native-endian; rows are contiguous pixels. Plane memory from a pool slot
// is page-aligned and stride == width * size.
struct Plane {
  std::byte* data = nullptr;
  DType dtype = DType::kU8;
  int64_t height = 0;
  int64_t width = 0;
  int64_t stride = 0;

  template <class T>
  T* row(int64_t y) const {
    return reinterpret_cast<T*>(data + y * stride);
  }
  int64_t row_bytes() const { return width * static_cast<int64_t>(DTypeSize(dtype)); }
  int64_t bytes() const { return row_bytes() * height; }
  int64_t pixels() const { return height * width; }
  bool contiguous() const { return stride == row_bytes(); }
};

inline Plane PackedPlane(void* data, DType dtype, int64_t height, int64_t width) {
  return {static_cast<std::byte*>(data), dtype, height, width,
          width * static_cast<int64_t>(DTypeSize(dtype))};
}

}  // namespace tilecast
