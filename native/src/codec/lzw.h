// SPDX-License-Identifier: MIT
// LZW as TIFF 6.0 section 13 defines it, and the old bit order that early TIFF writers used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tilecast {

// Keeps its string table (64 KiB) between calls; one per thread.
class LzwDecoder {
 public:
  LzwDecoder();

  // Decodes until `capacity` bytes are written, the end code, the end of the input, or a code that
  // cannot be; returns the bytes written. Never reads or writes outside the two ranges.
  //
  // The bit order is found as libtiff does: old files store codes from the least significant bit,
  // so that the clear code which starts every strip reads as 0x00 0x01 there, which no new-style
  // strip can start with.
  size_t Decode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);

 private:
  // A string of the table. All its bytes lie in the output already: a new string is always the
  // previous one and the byte after it. The first eight are kept here too, so that short strings
  // (nearly all of them in noisy images) are written with one store, without waiting for the output
  // to come back from the store buffer.
  struct String {
    uint64_t head;    // first min(length, 8) bytes, lowest first; zeros above
    uint32_t offset;  // where it lies in the output, counted from the last clear code
    uint32_t length;
  };

  template <bool kMsbFirst>
  size_t Run(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);

  std::array<String, 4096> table_;
};

// No code of at least 9 bits makes more than 4096 bytes: a bound for sizes that a damaged file
// claims.
inline constexpr uint64_t kLzwMaxRatio = 4096;

}  // namespace tilecast
