// SPDX-License-Identifier: MIT
// Builds Blosc 1 frames of every kind for tests, element by element and bit by bit, apart from the
// code under test.
#pragma once

#include <libdeflate.h>
#include <lz4.h>
#include <lz4hc.h>
#include <zstd.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace tilecast {

using Bytes = std::vector<uint8_t>;

enum class FrameCodec { kBloscLz = 0, kLz4 = 1, kSnappy = 2, kZlib = 3, kZstd = 4 };
enum class FrameShuffle { kNone, kBytes, kBits };

struct FrameOptions {
  FrameCodec codec = FrameCodec::kLz4;
  FrameShuffle shuffle = FrameShuffle::kBytes;
  size_t type = 2;
  size_t block = 4096;
  bool split = false;
  bool stored = false;
};

// Runs of one byte as matches of distance 1, all else as literals.
inline Bytes BloscLzEncode(const Bytes& in) {
  Bytes out;
  size_t i = 0;
  while (i < in.size()) {
    size_t run = 1;
    while (i + run < in.size() && in[i + run] == in[i]) ++run;
    if (i > 0 && in[i] == in[i - 1] && run >= 3) {
      size_t length = run - 3;
      if (length < 6) {
        out.push_back(static_cast<uint8_t>((length + 1) << 5));
      } else {
        out.push_back(7 << 5);
        for (length -= 6; length >= 255; length -= 255) out.push_back(255);
        out.push_back(static_cast<uint8_t>(length));
      }
      out.push_back(0);
      i += run;
    } else {
      out.push_back(0);
      out.push_back(in[i++]);
    }
  }
  return out;
}

inline Bytes Deflate(const Bytes& in, bool gzip) {
  libdeflate_compressor* c = libdeflate_alloc_compressor(6);
  Bytes out(in.size() * 2 + 1024);
  out.resize(gzip ? libdeflate_gzip_compress(c, in.data(), in.size(), out.data(), out.size())
                  : libdeflate_zlib_compress(c, in.data(), in.size(), out.data(), out.size()));
  libdeflate_free_compressor(c);
  return out;
}

inline Bytes Lz4(const Bytes& in) {
  Bytes out(static_cast<size_t>(LZ4_compressBound(static_cast<int>(in.size()))));
  out.resize(static_cast<size_t>(
      LZ4_compress_HC(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                      static_cast<int>(in.size()), static_cast<int>(out.size()), 6)));
  return out;
}

inline Bytes Zstd(const Bytes& in) {
  Bytes out(ZSTD_compressBound(in.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 3));
  return out;
}

inline Bytes EncodeStream(FrameCodec codec, const Bytes& in) {
  switch (codec) {
    case FrameCodec::kBloscLz:
      return BloscLzEncode(in);
    case FrameCodec::kLz4:
      return Lz4(in);
    case FrameCodec::kZlib:
      return Deflate(in, false);
    case FrameCodec::kZstd:
      return Zstd(in);
    case FrameCodec::kSnappy:
      break;
  }
  return in;
}

inline Bytes ShuffleBlock(const Bytes& in, FrameShuffle shuffle, size_t type) {
  const size_t n = in.size() / type;
  Bytes out = in;
  if (shuffle == FrameShuffle::kBytes && type > 1) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < type; ++k) out[k * n + i] = in[i * type + k];
    }
  } else if (shuffle == FrameShuffle::kBits && n % 8 == 0) {
    std::fill(out.begin(), out.begin() + static_cast<int64_t>(n * type), uint8_t{0});
    for (size_t i = 0; i < n; ++i) {
      for (size_t bit = 0; bit < 8 * type; ++bit) {
        const int on = in[i * type + bit / 8] >> (bit % 8) & 1;
        out[bit * (n / 8) + i / 8] |= static_cast<uint8_t>(on << (i % 8));
      }
    }
  }
  return out;
}

inline void Append32(Bytes& out, size_t v) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<uint8_t>(v >> (8 * i)));
}
inline void Set32(Bytes& out, size_t at, size_t v) {
  for (size_t i = 0; i < 4; ++i) out[at + i] = static_cast<uint8_t>(v >> (8 * i));
}

inline Bytes BloscFrame(const Bytes& data, const FrameOptions& o) {
  Bytes out = {2, 1, 0, static_cast<uint8_t>(o.type)};
  out[2] = static_cast<uint8_t>((o.shuffle == FrameShuffle::kBytes  ? 1
                                 : o.shuffle == FrameShuffle::kBits ? 4
                                                                    : 0) |
                                (o.stored ? 2 : 0) | (o.split ? 0 : 0x10) |
                                static_cast<int>(o.codec) << 5);
  const size_t block = std::min(o.block, data.size());
  Append32(out, data.size());
  Append32(out, block);
  Append32(out, 0);
  if (o.stored) {
    out.insert(out.end(), data.begin(), data.end());
    Set32(out, 12, out.size());
    return out;
  }
  const size_t blocks = (data.size() + block - 1) / block;
  out.resize(16 + 4 * blocks);
  for (size_t b = 0; b < blocks; ++b) {
    Set32(out, 16 + 4 * b, out.size());
    const size_t begin = b * block;
    const size_t n = std::min(block, data.size() - begin);
    const Bytes shuffled = ShuffleBlock(Bytes(data.begin() + static_cast<int64_t>(begin),
                                              data.begin() + static_cast<int64_t>(begin + n)),
                                        o.shuffle, o.type);
    const size_t streams = o.split && n == block ? o.type : 1;
    for (size_t s = 0; s < streams; ++s) {
      const size_t part = n / streams;
      const Bytes plain(shuffled.begin() + static_cast<int64_t>(s * part),
                        shuffled.begin() + static_cast<int64_t>(s * part + part));
      Bytes packed = EncodeStream(o.codec, plain);
      if (packed.size() >= plain.size()) packed = plain;
      Append32(out, packed.size());
      out.insert(out.end(), packed.begin(), packed.end());
    }
  }
  Set32(out, 12, out.size());
  return out;
}

}  // namespace tilecast
