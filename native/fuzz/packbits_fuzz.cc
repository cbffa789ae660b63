// SPDX-License-Identifier: MIT
// PackBits against the four lines of its definition (TIFF 6.0 section 9). Input: two bytes of
// capacity, then the runs.
#include <cstring>
#include <memory>
#include <vector>

#include "codec/packbits.h"
#include "fuzz_input.h"

namespace {

std::vector<uint8_t> Reference(const uint8_t* src, size_t size, size_t capacity) {
  std::vector<uint8_t> out;
  for (size_t at = 0; at < size && out.size() < capacity;) {
    const uint8_t control = src[at++];
    if (control == 128) continue;
    if (control < 128) {
      for (int k = 0; k <= control && at < size; ++k) out.push_back(src[at++]);
    } else if (at < size) {
      out.insert(out.end(), 257 - control, src[at++]);
    }
  }
  if (out.size() > capacity) out.resize(capacity);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tilecast::FuzzInput input(data, size);
  const size_t capacity = input.Word();
  const auto body = input.Body();
  const std::unique_ptr<uint8_t[]> out(new uint8_t[capacity]);
  const size_t n = tilecast::PackBitsDecode(body.get(), input.size(), out.get(), capacity);
  const std::vector<uint8_t> expected = Reference(body.get(), input.size(), capacity);
  FUZZ_CHECK(n == expected.size());
  FUZZ_CHECK(n == 0 || std::memcmp(out.get(), expected.data(), n) == 0);
  return 0;
}
