// SPDX-License-Identifier: MIT
// Undoes a chunk's codecs, last first; the last one undone writes into the image where it can.
#include "zarr/chunk_decoder.h"

#include <lz4.h>

#include <cstring>

#include "codec/crc32c.h"
#include "error.h"

namespace tilecast {
namespace {

[[noreturn]] void Damaged(const std::string& what) {
  throw Error(Code::kZarrDamaged, what);
}

const char* NameOf(ByteCodec codec) {
  switch (codec) {
    case ByteCodec::kBlosc:
      return "Blosc";
    case ByteCodec::kZstd:
      return "Zstandard";
    case ByteCodec::kGzip:
      return "gzip";
    case ByteCodec::kZlib:
      return "zlib";
    case ByteCodec::kLz4:
      return "LZ4";
    case ByteCodec::kCrc32c:
      return "crc32c";
  }
  return "?";
}

}  // namespace

// One codec undone, into `capacity` bytes at most; returns the bytes made, kNotWhole when it is
// damaged.
size_t ChunkDecoder::DecodeStage(ByteCodec codec, const uint8_t* src, size_t size, uint8_t* dst,
                                 size_t capacity) {
  switch (codec) {
    case ByteCodec::kBlosc: {
      const size_t n = BloscDecoder::DecodedSize(src, size);
      if (n > capacity) return kNotWhole;
      blosc_.Decode(src, size, n, 1, {dst, n, 1, n, 0, n});
      return n;
    }
    case ByteCodec::kZstd:
      return zstd_.DecodeWhole(src, size, dst, capacity);
    case ByteCodec::kGzip:
      return zlib_.DecodeWhole(ZlibDecoder::Wrapper::kGzip, src, size, dst, capacity);
    case ByteCodec::kZlib:
      return zlib_.DecodeWhole(ZlibDecoder::Wrapper::kZlib, src, size, dst, capacity);
    case ByteCodec::kLz4: {
      // numcodecs: the decoded size in 4 bytes, little-endian, then one LZ4 block.
      if (size < 4) return kNotWhole;
      const size_t n =
          size_t{src[0]} | size_t{src[1]} << 8 | size_t{src[2]} << 16 | size_t{src[3]} << 24;
      if (n > capacity || n > LZ4_MAX_INPUT_SIZE || size - 4 > LZ4_MAX_INPUT_SIZE) return kNotWhole;
      const int made =
          LZ4_decompress_safe(reinterpret_cast<const char*>(src + 4), reinterpret_cast<char*>(dst),
                              static_cast<int>(size - 4), static_cast<int>(n));
      return made == static_cast<int>(n) ? n : kNotWhole;
    }
    case ByteCodec::kCrc32c:
      break;
  }
  throw Error(Code::kInternal, "a codec without a decoder");
}

void ChunkDecoder::Decode(const std::vector<ByteCodec>& codecs, const uint8_t* src, size_t size,
                          size_t bytes, size_t pixel, const RowWindow& window) {
  int used = 0;
  for (size_t i = codecs.size(); i-- > 0;) {
    const ByteCodec codec = codecs[i];
    if (codec == ByteCodec::kCrc32c) {
      if (size < 4) Damaged("the chunk is shorter than its checksum");
      size -= 4;
      uint32_t stored;
      std::memcpy(&stored, src + size, 4);
      if (stored != Crc32c(src, size)) Damaged("the chunk's checksum (crc32c) does not match");
      continue;
    }
    if (i == 0) {
      if (codec == ByteCodec::kBlosc) {
        blosc_.Decode(src, size, bytes, pixel, window);
        return;
      }
      const RowWindow joined = window.Joined();
      uint8_t* const direct = joined.Direct(0, bytes);
      uint8_t* const dst = direct != nullptr ? direct : plain_.Ensure(bytes);
      const size_t made = DecodeStage(codec, src, size, dst, bytes);
      if (made != bytes) {
        Damaged(std::string("the chunk's ") + NameOf(codec) + " stream is damaged or not of " +
                std::to_string(bytes) + " bytes");
      }
      if (direct == nullptr) {
        window.ForEach(0, bytes, [&](size_t offset, size_t n, uint8_t* to) {
          std::memcpy(to, dst + offset, n);
        });
      }
      return;
    }
    const size_t capacity = Bound(bytes);
    uint8_t* const dst = stages_[used].Ensure(capacity);
    size = DecodeStage(codec, src, size, dst, capacity);
    if (size == kNotWhole) {
      Damaged(std::string("the chunk's ") + NameOf(codec) + " stream is damaged");
    }
    src = dst;
    used ^= 1;
  }
  if (size != bytes) {
    Damaged("the chunk has " + std::to_string(size) + " bytes, expected " + std::to_string(bytes));
  }
  window.ForEach(0, bytes,
                 [&](size_t offset, size_t n, uint8_t* to) { std::memcpy(to, src + offset, n); });
}

}  // namespace tilecast
