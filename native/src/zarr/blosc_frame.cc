// SPDX-License-Identifier: MIT
// Blosc 1 frames: header, block offsets, and one stream a block ("don't split").
#include "zarr/blosc_frame.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "error.h"
#include "zarr/lz4_runs.h"
#include "zarr/shuffle.h"

namespace tilecast {
namespace {

constexpr size_t kHeader = 16;
// Shuffled block plus LZ4's table stay in L2; LZ4 cannot look back further than 64 KiB anyway.
constexpr size_t kBlock = 128 * 1024;
constexpr uint8_t kFlagShuffle = 0x1;
constexpr uint8_t kFlagStored = 0x2;
constexpr uint8_t kFlagNoSplit = 0x10;

void Put32(std::byte* p, uint32_t v) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::byte>(v >> (8 * i));
}

void PutHeader(std::byte* dst, BloscCodec codec, bool stored, size_t size, size_t bytes,
               size_t block, size_t length) {
  auto flags = static_cast<uint8_t>((codec == BloscCodec::kLz4 ? 1 : 4) << 5 | kFlagNoSplit);
  if (size > 1) flags |= kFlagShuffle;
  if (stored) flags |= kFlagStored;
  dst[0] = std::byte{2};  // frame version
  dst[1] = std::byte{1};  // codec format version
  dst[2] = std::byte{flags};
  dst[3] = static_cast<std::byte>(size);
  Put32(dst + 4, static_cast<uint32_t>(bytes));
  Put32(dst + 8, static_cast<uint32_t>(block));
  Put32(dst + 12, static_cast<uint32_t>(length));
}

}  // namespace

struct BloscEncoder::Impl {
  std::vector<char> lz4_state = std::vector<char>(static_cast<size_t>(LZ4_sizeofState()));
  ZSTD_CCtx* zstd = nullptr;
  std::vector<std::byte> shuffled = std::vector<std::byte>(kBlock);

  Impl() { LZ4_initStream(lz4_state.data(), lz4_state.size()); }
  ~Impl() { ZSTD_freeCCtx(zstd); }
};

BloscEncoder::BloscEncoder() : impl_(std::make_unique<Impl>()) {}
BloscEncoder::~BloscEncoder() = default;

size_t BloscEncoder::Bound(size_t bytes) {
  const size_t blocks = (bytes + kBlock - 1) / kBlock;
  return kHeader + blocks * 8 + bytes + static_cast<size_t>(LZ4_compressBound(kBlock)) + 1024;
}

size_t BloscEncoder::Encode(const Plane& plane, int64_t height, int64_t width, BloscCodec codec,
                            int level, std::byte* dst) {
  const size_t size = DTypeSize(plane.dtype);
  ChunkRows chunk;
  chunk.base = plane.data;
  chunk.stride = static_cast<size_t>(plane.stride);
  chunk.row_bytes = static_cast<size_t>(width) * size;
  chunk.size = size;
  chunk.rows = static_cast<size_t>(std::min(plane.height, height));
  chunk.have = static_cast<size_t>(std::min(plane.width, width)) * size;
  const size_t bytes = chunk.row_bytes * static_cast<size_t>(height);
  const size_t there = chunk.have == 0 ? 0 : chunk.rows * chunk.row_bytes;  // behind it are zeros

  const size_t block = std::min(kBlock, bytes) / size * size;
  const size_t blocks = (bytes + block - 1) / block;
  std::byte* out = dst + kHeader + 4 * blocks;
  bool stored = false;
  for (size_t b = 0; b < blocks && !stored; ++b) {
    const size_t begin = b * block;
    const size_t n = std::min(block, bytes - begin);
    Put32(dst + kHeader + 4 * b, static_cast<uint32_t>(out - dst));
    size_t packed = 0;
    if (codec == BloscCodec::kLz4 && begin >= there) {
      Lz4RunWriter zeros(n, out + 4);
      zeros.Add(0, n);
      packed = zeros.Finish();
    } else {
      ShuffleRows(chunk, begin, n, impl_->shuffled.data());
      if (codec == BloscCodec::kLz4) {
        packed = static_cast<size_t>(LZ4_compress_fast_extState(
            impl_->lz4_state.data(), reinterpret_cast<const char*>(impl_->shuffled.data()),
            reinterpret_cast<char*>(out + 4), static_cast<int>(n), static_cast<int>(n),
            std::max(1, 10 - level)));
      } else {
        if (impl_->zstd == nullptr) impl_->zstd = ZSTD_createCCtx();
        packed = ZSTD_compressCCtx(impl_->zstd, out + 4, n, impl_->shuffled.data(), n, level);
        if (ZSTD_isError(packed)) packed = 0;  // does not fit: stored below
      }
      if (packed == 0 || packed >= n) {
        std::memcpy(out + 4, impl_->shuffled.data(), n);
        packed = n;
      }
    }
    Put32(out, static_cast<uint32_t>(packed));
    out += 4 + packed;
    stored = static_cast<size_t>(out - dst) > kHeader + bytes;
  }

  size_t length = static_cast<size_t>(out - dst);
  if (stored) {  // incompressible: the frame is a plain copy
    for (size_t y = 0; y < static_cast<size_t>(height); ++y) {
      std::byte* row = dst + kHeader + y * chunk.row_bytes;
      const size_t n = y < chunk.rows ? chunk.have : 0;
      if (n > 0) std::memcpy(row, chunk.base + y * chunk.stride, n);
      std::memset(row + n, 0, chunk.row_bytes - n);
    }
    length = kHeader + bytes;
  }
  PutHeader(dst, codec, stored, size, bytes, block, length);
  return length;
}

size_t BloscEncoder::EncodeRuns(std::span<const ChunkRun> runs, int64_t height, int64_t width,
                                std::byte* dst) {
  constexpr size_t size = sizeof(int32_t);
  const size_t bytes = static_cast<size_t>(height * width) * size;
  const size_t block = std::min(kBlock, bytes);
  const size_t blocks = (bytes + block - 1) / block;
  std::byte* out = dst + kHeader + 4 * blocks;
  size_t first = 0;  // of the runs that reach into the block
  for (size_t b = 0; b < blocks; ++b) {
    const size_t n = std::min(block, bytes - b * block), elements = n / size;
    const auto begin = static_cast<int64_t>(b * block / size);
    const auto end = begin + static_cast<int64_t>(elements);
    while (first < runs.size() && runs[first].end <= begin) ++first;
    // Calls add(byte, count) for the block's bytes in the order of the shuffle.
    const auto bytes_of = [&](auto&& add) {
      for (int k = 0; k < 4; ++k) {
        int64_t at = begin;
        for (size_t r = first; r < runs.size() && runs[r].begin < end; ++r) {
          const int64_t from = std::max(runs[r].begin, begin), to = std::min(runs[r].end, end);
          add(0, static_cast<size_t>(from - at));
          add(static_cast<uint8_t>(static_cast<uint32_t>(runs[r].label) >> (8 * k)),
              static_cast<size_t>(to - from));
          at = to;
        }
        add(0, static_cast<size_t>(end - at));
      }
    };
    Put32(dst + kHeader + 4 * b, static_cast<uint32_t>(out - dst));
    Lz4RunWriter writer(n, out + 4);
    bytes_of([&](uint8_t value, size_t count) { writer.Add(value, count); });
    size_t packed = writer.Finish();
    if (packed >= n) {  // runs of a pixel each: the block is stored
      std::byte* to = out + 4;
      bytes_of([&](uint8_t value, size_t count) {
        std::memset(to, value, count);
        to += count;
      });
      packed = n;
    }
    Put32(out, static_cast<uint32_t>(packed));
    out += 4 + packed;
  }
  const auto length = static_cast<size_t>(out - dst);
  PutHeader(dst, BloscCodec::kLz4, false, size, bytes, block, length);
  return length;
}

}  // namespace tilecast
