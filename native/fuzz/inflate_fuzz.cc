// SPDX-License-Identifier: MIT
// The uses of libdeflate and zstd, strict and lenient. Input: codec, two bytes of capacity, then
// the stream.
#include <cstring>
#include <memory>

#include "codec/inflate.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tilecast::ZlibDecoder;
  tilecast::FuzzInput input(data, size);
  const int codec = input.Byte() % 3;
  const size_t capacity = input.Word();
  const auto body = input.Body();
  const std::unique_ptr<uint8_t[]> whole(new uint8_t[capacity]);
  const std::unique_ptr<uint8_t[]> lenient(new uint8_t[capacity]);
  static ZlibDecoder zlib;
  static tilecast::ZstdDecoder zstd;
  size_t strict = 0;
  size_t n = 0;
  if (codec == 0) {
    strict = zstd.DecodeWhole(body.get(), input.size(), whole.get(), capacity);
    n = zstd.Decode(body.get(), input.size(), lenient.get(), capacity);
  } else {
    const auto wrapper = codec == 1 ? ZlibDecoder::Wrapper::kZlib : ZlibDecoder::Wrapper::kGzip;
    strict = zlib.DecodeWhole(wrapper, body.get(), input.size(), whole.get(), capacity);
    if (codec == 1) n = zlib.Decode(body.get(), input.size(), lenient.get(), capacity);
  }
  FUZZ_CHECK(n <= capacity);
  FUZZ_CHECK(strict <= capacity || strict == tilecast::kNotWhole);
  if (strict != tilecast::kNotWhole && codec != 2 && strict > 0) {
    FUZZ_CHECK(n == strict && std::memcmp(whole.get(), lenient.get(), n) == 0);
  }
  return 0;
}
