// SPDX-License-Identifier: MIT
// Blosc 1 frames: header, block offsets, and one stream a block ("don't split").
#include "zarr/blosc_frame.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "error.h"
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

}  // namespace

struct BloscEncoder::Impl {
  std::vector<char> lz4_state = std::vector<char>(static_cast<size_t>(LZ4_sizeofState()));
  ZSTD_CCtx* zstd = nullptr;
  std::vector<std::byte> shuffled = std::vector<std::byte>(kBlock);
  std::vector<std::byte> padded;  // rows of an edge chunk, padded with zeros

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
  const size_t row_bytes = static_cast<size_t>(width) * size;
  const size_t bytes = row_bytes * static_cast<size_t>(height);
  const int64_t rows = std::min(plane.height, height);
  const size_t have = static_cast<size_t>(std::min(plane.width, width)) * size;

  // A chunk at the plane's edge is padded first: rare and small.
  const std::byte* base = plane.data;
  size_t stride = static_cast<size_t>(plane.stride);
  if (rows < height || have < row_bytes) {
    impl_->padded.assign(bytes, std::byte{0});
    for (int64_t y = 0; y < rows; ++y) {
      std::memcpy(impl_->padded.data() + static_cast<size_t>(y) * row_bytes,
                  plane.data + y * plane.stride, have);
    }
    base = impl_->padded.data();
    stride = row_bytes;
  }

  const size_t block = std::min(kBlock, bytes) / size * size;
  const size_t blocks = (bytes + block - 1) / block;
  std::byte* out = dst + kHeader + 4 * blocks;
  bool stored = false;
  for (size_t b = 0; b < blocks && !stored; ++b) {
    const size_t begin = b * block;
    const size_t n = std::min(block, bytes - begin);
    ShuffleRows(base, stride, row_bytes, begin, n, size, impl_->shuffled.data());
    Put32(dst + kHeader + 4 * b, static_cast<uint32_t>(out - dst));
    size_t packed = 0;
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
    Put32(out, static_cast<uint32_t>(packed));
    out += 4 + packed;
    stored = static_cast<size_t>(out - dst) > kHeader + bytes;
  }

  uint8_t flags = static_cast<uint8_t>((codec == BloscCodec::kLz4 ? 1 : 4) << 5 | kFlagNoSplit);
  if (size > 1) flags |= kFlagShuffle;
  size_t length = static_cast<size_t>(out - dst);
  if (stored) {  // incompressible: the frame is a plain copy
    flags |= kFlagStored;
    for (int64_t y = 0; y < height; ++y) {
      std::memcpy(dst + kHeader + static_cast<size_t>(y) * row_bytes,
                  base + static_cast<size_t>(y) * stride, row_bytes);
    }
    length = kHeader + bytes;
  }
  dst[0] = std::byte{2};  // frame version
  dst[1] = std::byte{1};  // codec format version
  dst[2] = std::byte{flags};
  dst[3] = static_cast<std::byte>(size);
  Put32(dst + 4, static_cast<uint32_t>(bytes));
  Put32(dst + 8, static_cast<uint32_t>(block));
  Put32(dst + 12, static_cast<uint32_t>(length));
  return length;
}

}  // namespace tilecast
