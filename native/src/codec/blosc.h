// SPDX-License-Identifier: MIT
// Reads Blosc 1 frames: blocks of a chunk, compressed one by one, their bytes or bits shuffled
// (c-blosc, README_CHUNK_FORMAT.rst).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/inflate.h"
#include "codec/raw_buffer.h"
#include "codec/row_window.h"

namespace tilecast {

// One per thread: keeps its block buffers and codec contexts.
//
// Compressors: BloscLZ, LZ4 and LZ4HC, zlib, Zstandard; not Snappy, which c-blosc itself leaves out
// by default. Shuffle: none, byte, bit. Each block is decompressed into a buffer that stays in the
// L2 cache and unshuffled from there straight into the image's rows.
class BloscDecoder {
 public:
  // Decodes the parts of the frame that `window` wants. `expected`: bytes of the whole chunk; a
  // frame that says otherwise is damaged, whatever it would need. `pixel`: bytes of a pixel, which
  // the window's offsets are multiples of. Throws kZarrDamaged, kZarrUnsupported (without a path);
  // nothing outside the ranges is ever read or written.
  void Decode(const uint8_t* src, size_t size, size_t expected, size_t pixel,
              const RowWindow& window);

  // The decoded size that a frame claims; throws kZarrDamaged when it is no frame.
  static size_t DecodedSize(const uint8_t* src, size_t size);

 private:
  struct Frame;
  const uint8_t* Stream(const Frame& frame, size_t& at, size_t n, uint8_t* into);
  void Block(const Frame& frame, size_t index, size_t pixel, const RowWindow& window);
  bool Inflate(int format, const uint8_t* src, size_t size, uint8_t* dst, size_t n);

  ZlibDecoder zlib_;
  ZstdDecoder zstd_;
  RawBuffer packed_;  // a block as the codec left it
  RawBuffer bytes_;   // its byte planes, where it was shuffled by bits
  RawBuffer plain_;   // its pixels, where they cannot go to their rows at once
};

}  // namespace tilecast
