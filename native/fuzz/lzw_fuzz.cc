// SPDX-License-Identifier: MIT
// TIFF's LZW. Input: two bytes of capacity, then the codes. A smaller capacity must give a prefix.
#include <cstring>
#include <memory>

#include "codec/lzw.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tilecast::FuzzInput input(data, size);
  const size_t capacity = input.Word();
  const auto body = input.Body();
  static tilecast::LzwDecoder decoder;
  const std::unique_ptr<uint8_t[]> out(new uint8_t[capacity]);
  const size_t n = decoder.Decode(body.get(), input.size(), out.get(), capacity);
  FUZZ_CHECK(n <= capacity && n <= input.size() * tilecast::kLzwMaxRatio);
  const size_t less = n / 2;
  const std::unique_ptr<uint8_t[]> again(new uint8_t[less]);
  FUZZ_CHECK(decoder.Decode(body.get(), input.size(), again.get(), less) == less);
  FUZZ_CHECK(less == 0 || std::memcmp(out.get(), again.get(), less) == 0);
  return 0;
}
