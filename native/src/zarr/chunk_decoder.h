// SPDX-License-Identifier: MIT
// Takes the encoded bytes of one chunk to the rows of an image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/blosc.h"
#include "codec/inflate.h"
#include "codec/raw_buffer.h"
#include "codec/row_window.h"
#include "zarr/array.h"

namespace tilecast {

// One per thread; keeps its buffers.
class ChunkDecoder {
 public:
  // Decodes what `window` wants of a chunk of `bytes` decoded bytes, `pixel` bytes a pixel, in the
  // array's own byte order. Throws kZarrDamaged and kZarrUnsupported, without a path.
  void Decode(const std::vector<ByteCodec>& codecs, const uint8_t* src, size_t size, size_t bytes,
              size_t pixel, const RowWindow& window);

  // Most that `bytes` of pixels can have become: what claims to be more is damaged and not even
  // read.
  static size_t Bound(size_t bytes) { return bytes + bytes / 8 + 64 * 1024; }

 private:
  size_t DecodeStage(ByteCodec codec, const uint8_t* src, size_t size, uint8_t* dst,
                     size_t capacity);

  BloscDecoder blosc_;
  ZlibDecoder zlib_;
  ZstdDecoder zstd_;
  RawBuffer stages_[2];  // between codecs of a chain
  RawBuffer plain_;      // a chunk whose pixels cannot go to their rows at once
};

}  // namespace tilecast
