// SPDX-License-Identifier: MIT
// BloscLZ streams. Input: two bytes of capacity, then the stream.
#include <memory>

#include "codec/blosclz.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tilecast::FuzzInput input(data, size);
  const size_t capacity = input.Word();
  const auto body = input.Body();
  const std::unique_ptr<uint8_t[]> out(new uint8_t[capacity]);
  const size_t n = tilecast::BloscLzDecode(body.get(), input.size(), out.get(), capacity);
  FUZZ_CHECK(n <= capacity);
  return 0;
}
