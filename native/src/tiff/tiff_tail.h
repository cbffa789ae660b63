// SPDX-License-Identifier: MIT
// The directories of a written file, as the bytes that follow its pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"
#include "tiff/tiff_directory.h"
#include "tiff/tiff_writer.h"

namespace tilecast {

// A page or a level of one, written.
struct TiffWrittenImage {
  DType dtype = DType::kU8;
  int64_t width = 0;
  int64_t height = 0;
  bool tiled = false;
  int64_t chunk_width = 0;
  int64_t chunk_height = 0;
  TiffCodec codec = TiffCodec::kNone;
  int predictor = 1;
  std::vector<TiffChunk> chunks;
};

struct TiffWrittenPage {
  std::vector<TiffWrittenImage> levels;
  TiffPageText text;
};

// Bytes kept for the header in front of the pixels; a classic one uses half of them.
inline constexpr uint64_t kTiffHeaderBytes = 16;

struct TiffTail {
  std::vector<uint8_t> bytes;
  uint8_t header[kTiffHeaderBytes] = {};
};

// The directories of `pages` for a file whose pixels end at `end`, an even offset.
TiffTail MakeTiffTail(const std::vector<TiffWrittenPage>& pages, uint64_t end, bool big_tiff);

}  // namespace tilecast
