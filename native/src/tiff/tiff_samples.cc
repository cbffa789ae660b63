// SPDX-License-Identifier: MIT
// Sample selection and unpacking.
#include "tiff/tiff_samples.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace tilecast {
namespace {

template <class T>
void Pick(const uint8_t* src, size_t step, std::byte* dst, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(dst + i * sizeof(T), src + i * step * sizeof(T), sizeof(T));
  }
}

float HalfToFloat(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  const uint32_t exponent = (h >> 10) & 31;
  const uint32_t mantissa = h & 0x3ff;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact
    const float v = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -v : v;
  }
  const uint32_t e = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | e << 23 | mantissa << 13);
}

template <class T>
void Invert(std::byte* data, T max, size_t count) {
  auto* p = reinterpret_cast<T*>(data);
  for (size_t i = 0; i < count; ++i) p[i] = static_cast<T>(max - p[i]);
}

}  // namespace

void PickSamples(const uint8_t* src, size_t size, size_t step, std::byte* dst, size_t count) {
  if (step == 1) {
    std::memcpy(dst, src, count * size);
  } else if (size == 1) {
    Pick<uint8_t>(src, step, dst, count);
  } else if (size == 2) {
    Pick<uint16_t>(src, step, dst, count);
  } else if (size == 4) {
    Pick<uint32_t>(src, step, dst, count);
  } else {
    Pick<uint64_t>(src, step, dst, count);
  }
}

void UnpackSamples(const uint8_t* row, int bits, size_t first, size_t step, DType dtype,
                   std::byte* dst, size_t count) {
  if (dtype == DType::kF32) {
    for (size_t i = 0; i < count; ++i) {
      uint16_t half;
      std::memcpy(&half, row + (first + i * step) * 2, 2);
      const float v = HalfToFloat(half);
      std::memcpy(dst + i * sizeof v, &v, sizeof v);
    }
    return;
  }
  const bool is_signed = dtype == DType::kI8 || dtype == DType::kI16;
  const bool wide = DTypeSize(dtype) == 2;
  const uint32_t mask = (1u << bits) - 1;
  const uint32_t sign = 1u << (bits - 1);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bit = static_cast<uint64_t>(first + i * step) * static_cast<uint64_t>(bits);
    const uint8_t* p = row + (bit >> 3);
    const int shift = static_cast<int>(bit & 7);
    // Only the bytes that hold the sample: the row may end behind them.
    const int bytes = (shift + bits + 7) / 8;
    uint32_t word = 0;
    for (int b = 0; b < bytes; ++b) word = word << 8 | p[b];
    uint32_t v = (word >> (bytes * 8 - shift - bits)) & mask;
    if (is_signed) v = (v ^ sign) - sign;
    if (wide) {
      const auto narrow = static_cast<uint16_t>(v);
      std::memcpy(dst + i * 2, &narrow, 2);
    } else {
      dst[i] = static_cast<std::byte>(v);
    }
  }
}

void InvertSamples(std::byte* data, DType dtype, int bits, size_t count) {
  const uint32_t max = bits >= 32 ? ~0u : (1u << bits) - 1;
  if (dtype == DType::kU8) {
    Invert<uint8_t>(data, static_cast<uint8_t>(max), count);
  } else if (dtype == DType::kU16) {
    Invert<uint16_t>(data, static_cast<uint16_t>(max), count);
  } else if (dtype == DType::kU32) {
    Invert<uint32_t>(data, max, count);
  }
}

}  // namespace tilecast
