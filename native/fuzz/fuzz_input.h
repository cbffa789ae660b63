// SPDX-License-Identifier: MIT
// Cuts a fuzzer's input into parameters and a body, and keeps both in memory of their exact size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace tilecast {

// Ends the process, which the fuzzer takes as a finding. Unlike assert it is there in every build.
#define FUZZ_CHECK(condition)                                                          \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      std::fprintf(stderr, "%s:%d: FUZZ_CHECK(%s)\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                    \
    }                                                                                  \
  } while (false)

// Parameters stand at the front, so that seeds are a few bytes and then what a real encoder wrote.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  // The next byte; 0 behind the end.
  uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  uint32_t Word() {
    const uint32_t low = Byte();
    return low | uint32_t{Byte()} << 8;
  }
  // In [low, high].
  uint32_t Between(uint32_t low, uint32_t high) { return low + Word() % (high - low + 1); }

  size_t size() const { return size_; }
  const uint8_t* data() const { return data_; }
  // What is left, on the heap by itself: AddressSanitizer sees a read one byte beyond.
  std::unique_ptr<uint8_t[]> Body() const {
    std::unique_ptr<uint8_t[]> body(new uint8_t[size_]);
    for (size_t i = 0; i < size_; ++i) body[i] = data_[i];
    return body;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace tilecast
