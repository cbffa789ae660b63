// SPDX-License-Identifier: MIT
// The predictors: differencing, written out here pixel by pixel, must be undone exactly. Input:
// kind, size, samples, then pixels.
#include <cstring>
#include <memory>

#include "codec/predictor.h"
#include "fuzz_input.h"

namespace {

// The difference to the pixel before, from the last value to the first (section 14 of TIFF 6.0).
template <class T>
void Difference(uint8_t* row, size_t values, size_t samples) {
  for (size_t i = values; i-- > samples;) {
    T here, before;
    std::memcpy(&here, row + i * sizeof(T), sizeof(T));
    std::memcpy(&before, row + (i - samples) * sizeof(T), sizeof(T));
    here = static_cast<T>(here - before);
    std::memcpy(row + i * sizeof(T), &here, sizeof(T));
  }
}

void Difference(uint8_t* row, size_t size, size_t values, size_t samples) {
  if (size == 1) return Difference<uint8_t>(row, values, samples);
  if (size == 2) return Difference<uint16_t>(row, values, samples);
  if (size == 4) return Difference<uint32_t>(row, values, samples);
  Difference<uint64_t>(row, values, samples);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tilecast::FuzzInput input(data, size);
  const bool floating = (input.Byte() & 1) != 0;
  const size_t bytes = size_t{1} << (input.Byte() % 4);
  const size_t samples = 1 + input.Byte() % 9;
  if (floating && bytes == 1) return 0;
  const size_t width = input.size() / (bytes * samples);
  const size_t values = width * samples;
  const size_t length = values * bytes;
  const std::unique_ptr<uint8_t[]> row(new uint8_t[length]);
  if (floating) {
    // Technical note 3: planes of bytes, most significant first, then differences of bytes.
    for (size_t i = 0; i < values; ++i) {
      for (size_t k = 0; k < bytes; ++k) {
        row[(bytes - 1 - k) * values + i] = input.data()[i * bytes + k];
      }
    }
    Difference<uint8_t>(row.get(), length, samples);
    const std::unique_ptr<uint8_t[]> scratch(new uint8_t[length]);
    tilecast::UndoFloatingPoint(row.get(), bytes, width, samples, scratch.get());
  } else {
    if (length > 0) std::memcpy(row.get(), input.data(), length);
    Difference(row.get(), bytes, values, samples);
    tilecast::UndoHorizontal(row.get(), bytes, width, samples);
  }
  FUZZ_CHECK(length == 0 || std::memcmp(row.get(), input.data(), length) == 0);
  return 0;
}
