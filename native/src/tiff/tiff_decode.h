// SPDX-License-Identifier: MIT
// Decodes the strips or tiles of one sample of a page, or of a part of it, into a plane.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/inflate.h"
#include "codec/lzw.h"
#include "codec/raw_buffer.h"
#include "image.h"
#include "tiff/tiff_directory.h"
#include "tiff/tiff_file.h"
#include "tiff/tiff_libtiff.h"

namespace tilecast {

// Codec contexts and scratch of one reader; outlives files.
class TiffDecoder {
 public:
  // Fills `dst`, of the page's dtype, with the pixels from row `y` and column `x` on; all of it
  // lies in the page. Only chunks that it touches are read. `libtiff` is used when the page is not
  // on the fast path, else null.
  void Decode(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory, int sample,
              LibtiffDecoder* libtiff, int64_t y, int64_t x, const Plane& dst);

 private:
  struct Job;
  void LoadChunks(const Job& job);
  void DecodeRaw(const Job& job);
  void DecodeCompressed(const Job& job);
  void DecodeThroughLibtiff(const Job& job, LibtiffDecoder& libtiff);
  size_t DecodeChunk(uint16_t compression, const uint8_t* src, size_t size, uint8_t* dst,
                     size_t capacity);
  void Store(const Job& job, uint64_t index, uint64_t first_row, uint64_t rows, uint8_t* data,
             bool mutable_data, bool in_place);

  LzwDecoder lzw_;
  ZlibDecoder zlib_;
  ZstdDecoder zstd_;
  RawBuffer scratch_;  // one decoded chunk that cannot be decoded in place
  RawBuffer row_;      // one row, for predictor 3
  std::vector<TiffChunk> chunks_;
};

}  // namespace tilecast
