// SPDX-License-Identifier: MIT
// Writes Blosc 1 frames (byte shuffle, then LZ4 or Zstandard) straight from the rows of a plane, or
// from the runs of a label image.
//
// Format: c-blosc README_CHUNK_FORMAT.rst (version 2 of the frame). Written here because the
// chunk's rows are gathered and shuffled in one pass into an L2-sized block, which a library that
// wants one contiguous buffer cannot do, and because Debian's static libblosc is not position
// independent, so that a portable addon could not link it. Read back in the tests by c-blosc
// (numcodecs, tensorstore).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "image.h"

namespace tilecast {

enum class BloscCodec : uint8_t { kLz4, kZstd };

// Pixels begin <= i < end of a chunk, counted row after row, have `label`.
struct ChunkRun {
  int64_t begin, end;
  int32_t label;
};

class BloscEncoder {
 public:
  BloscEncoder();
  ~BloscEncoder();
  BloscEncoder(const BloscEncoder&) = delete;
  BloscEncoder& operator=(const BloscEncoder&) = delete;

  // Largest frame that `bytes` of pixels can become.
  static size_t Bound(size_t bytes);

  // Encodes a chunk of height x width pixels whose top left corner is `plane` (already offset; its
  // height and width are what exists; the rest of the chunk is zero). Returns the frame's length.
  // `level` as in blosc: for LZ4 the acceleration is 10 - level; for Zstandard 1..9 means its
  // levels 1..9. dst holds at least Bound(height * width * size).
  size_t Encode(const Plane& plane, int64_t height, int64_t width, BloscCodec codec, int level,
                std::byte* dst);

  // An int32 chunk of height x width pixels that are zero but for `runs` (in order, not touching
  // each other's pixels), as LZ4. What a compressor would look for is known, so that the cost is
  // the runs', not the pixels'.
  size_t EncodeRuns(std::span<const ChunkRun> runs, int64_t height, int64_t width, std::byte* dst);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast
