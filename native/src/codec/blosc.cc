// SPDX-License-Identifier: MIT
// Blosc 1 frames: 16 bytes of header, the start of each block, and per block one stream or one a
// byte plane.
#include "codec/blosc.h"

#include <lz4.h>

#include <cstring>

#include "codec/blosclz.h"
#include "codec/unshuffle.h"
#include "error.h"

namespace tilecast {
namespace {

constexpr size_t kHeader = 16;
constexpr uint8_t kFlagShuffle = 0x1;
constexpr uint8_t kFlagStored = 0x2;
constexpr uint8_t kFlagBitShuffle = 0x4;
constexpr uint8_t kFlagNoSplit = 0x10;
constexpr int kBloscLz = 0;
constexpr int kLz4 = 1;
constexpr int kSnappy = 2;
constexpr int kZlib = 3;
constexpr int kZstd = 4;
// c-blosc splits a block into a stream a byte plane only for such pixels and planes.
constexpr size_t kMaxSplits = 16;
constexpr size_t kMinSplitBytes = 128;
constexpr size_t kMaxTypeSize = 255;

size_t Get32(const uint8_t* p) {
  return size_t{p[0]} | size_t{p[1]} << 8 | size_t{p[2]} << 16 | size_t{p[3]} << 24;
}

[[noreturn]] void Damaged(const char* what) {
  throw Error(Code::kZarrDamaged, std::string("the Blosc frame is damaged: ") + what);
}

}  // namespace

struct BloscDecoder::Frame {
  const uint8_t* src;
  size_t size;
  uint8_t flags;
  int format;
  size_t type;   // bytes of what was shuffled
  size_t bytes;  // decoded
  size_t block;  // decoded bytes of each block but the last
  size_t blocks;

  Frame(const uint8_t* data, size_t length) : src(data), size(length) {
    if (size < kHeader) Damaged("it is shorter than its header");
    if (src[0] != 2) {
      throw Error(Code::kZarrUnsupported,
                  "Blosc frame of version " + std::to_string(src[0]) + "; only version 2 is read");
    }
    flags = src[2];
    format = flags >> 5;
    type = src[3];
    bytes = Get32(src + 4);
    block = Get32(src + 8);
    const size_t length_in_header = Get32(src + 12);
    if (length_in_header < kHeader || length_in_header > size) Damaged("it is truncated");
    size = length_in_header;
    blocks = 0;
    if (bytes == 0) return;
    if ((flags & kFlagStored) != 0) {
      if (size - kHeader < bytes) Damaged("it is truncated");
      return;
    }
    if (type == 0) Damaged("its pixels have no size");
    if (block == 0 || block > bytes) Damaged("its blocks have an impossible size");
    blocks = (bytes + block - 1) / block;
    if (blocks > (size - kHeader) / 4) Damaged("it is truncated");
  }

  bool last_is_shorter(size_t index) const { return index + 1 == blocks && bytes % block != 0; }
};

size_t BloscDecoder::DecodedSize(const uint8_t* src, size_t size) {
  return Frame(src, size).bytes;
}

bool BloscDecoder::Inflate(int format, const uint8_t* src, size_t size, uint8_t* dst, size_t n) {
  switch (format) {
    case kBloscLz:
      return BloscLzDecode(src, size, dst, n) == n;
    case kLz4:
      return n <= LZ4_MAX_INPUT_SIZE && size <= LZ4_MAX_INPUT_SIZE * size_t{2} - 1 &&
             LZ4_decompress_safe(reinterpret_cast<const char*>(src), reinterpret_cast<char*>(dst),
                                 static_cast<int>(size),
                                 static_cast<int>(n)) == static_cast<int>(n);
    case kZlib:
      return zlib_.DecodeWhole(ZlibDecoder::Wrapper::kZlib, src, size, dst, n) == n;
    case kZstd:
      return zstd_.DecodeWhole(src, size, dst, n) == n;
    default:
      throw Error(Code::kZarrUnsupported,
                  format == kSnappy
                      ? std::string("Blosc with Snappy is not read")
                      : "Blosc with compressor " + std::to_string(format) + " is not read");
  }
}

// The next stream of a block, `n` bytes when decoded: where it lies if it was stored, else decoded
// into `into`. Moves `at` behind it.
const uint8_t* BloscDecoder::Stream(const Frame& frame, size_t& at, size_t n, uint8_t* into) {
  if (frame.size - at < 4) Damaged("a block lies outside");
  const size_t packed = Get32(frame.src + at);
  at += 4;
  if (packed == 0 || packed > frame.size - at) Damaged("a block lies outside");
  const uint8_t* const data = frame.src + at;
  at += packed;
  if (packed == n) return data;
  if (!Inflate(frame.format, data, packed, into, n)) Damaged("a block does not decompress");
  return into;
}

void BloscDecoder::Block(const Frame& frame, size_t index, size_t pixel, const RowWindow& window) {
  const size_t begin = index * frame.block;
  const bool shorter = frame.last_is_shorter(index);
  const size_t n = shorter ? frame.bytes % frame.block : frame.block;
  if (!window.Touches(begin, n)) return;
  size_t at = Get32(frame.src + kHeader + 4 * index);
  if (at < kHeader + 4 * frame.blocks || at > frame.size) Damaged("a block lies outside");

  const size_t type = frame.type;
  const size_t elements = n / type;
  const bool by_bits = (frame.flags & kFlagBitShuffle) != 0 && n >= type && elements % 8 == 0;
  const bool by_bytes =
      (frame.flags & kFlagBitShuffle) == 0 && (frame.flags & kFlagShuffle) != 0 && type > 1;
  const bool split = (frame.flags & kFlagNoSplit) == 0 && type <= kMaxSplits &&
                     frame.block / type >= kMinSplitBytes && !shorter;

  const uint8_t* planes[kMaxTypeSize];
  const uint8_t* whole = nullptr;  // all of the block in one piece, still shuffled
  if (split && n % type == 0) {
    uint8_t* const packed = packed_.Ensure(n);
    bool together = true;
    for (size_t k = 0; k < type; ++k) {
      planes[k] = Stream(frame, at, elements, packed + k * elements);
      together = together && planes[k] == packed + k * elements;
    }
    if (!together && !by_bytes) {  // stored streams among decoded ones
      for (size_t k = 0; k < type; ++k) {
        if (planes[k] != packed + k * elements)
          std::memcpy(packed + k * elements, planes[k], elements);
      }
    }
    whole = packed;
  } else {
    uint8_t* const direct = by_bits || by_bytes ? nullptr : window.Direct(begin, n);
    whole = Stream(frame, at, n, direct != nullptr ? direct : packed_.Ensure(n));
    if (direct != nullptr) {
      if (whole != direct) std::memcpy(direct, whole, n);
      return;
    }
    for (size_t k = 0; k < type && by_bytes; ++k) planes[k] = whole + k * elements;
  }

  if (!by_bits && !by_bytes) {
    window.ForEach(begin, n, [&](size_t offset, size_t bytes, uint8_t* to) {
      std::memcpy(to, whole + offset, bytes);
    });
    return;
  }
  if (by_bits) {
    uint8_t* const bytes = bytes_.Ensure(elements * type);
    BitPlanesToBytes(whole, elements, type, bytes);
    for (size_t k = 0; k < type; ++k) planes[k] = bytes + k * elements;
  }
  if (pixel % type == 0 && n % type == 0) {
    window.ForEach(begin, n, [&](size_t offset, size_t bytes, uint8_t* to) {
      Unshuffle(planes, offset / type, bytes / type, type, to);
    });
    return;
  }
  // Shuffled in units other than pixels: rows may begin inside a unit.
  uint8_t* const plain = plain_.Ensure(n);
  Unshuffle(planes, 0, elements, type, plain);
  const size_t rest = elements * type;
  std::memcpy(plain + rest, whole + rest, n - rest);
  window.ForEach(begin, n, [&](size_t offset, size_t bytes, uint8_t* to) {
    std::memcpy(to, plain + offset, bytes);
  });
}

void BloscDecoder::Decode(const uint8_t* src, size_t size, size_t expected, size_t pixel,
                          const RowWindow& window) {
  const Frame frame(src, size);
  if (frame.bytes != expected) {
    throw Error(Code::kZarrDamaged, "the Blosc frame holds " + std::to_string(frame.bytes) +
                                        " bytes, and a chunk has " + std::to_string(expected));
  }
  if (window.end() > expected) throw Error(Code::kInternal, "a window reaches beyond its chunk");
  if ((frame.flags & kFlagStored) != 0) {
    window.ForEach(0, expected, [&](size_t offset, size_t bytes, uint8_t* to) {
      std::memcpy(to, src + kHeader + offset, bytes);
    });
    return;
  }
  for (size_t b = 0; b < frame.blocks; ++b) Block(frame, b, pixel, window);
}

}  // namespace tilecast
