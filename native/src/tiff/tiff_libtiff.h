// SPDX-License-Identifier: MIT
// libtiff, loaded at run time when a file needs it: JPEG, LZMA, WebP, LERC, CCITT and whatever else
// the installed build knows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "codec/raw_buffer.h"
#include "tiff/tiff_directory.h"
#include "tiff/tiff_file.h"

namespace tilecast {

// "4.5.0", or empty when no libtiff can be loaded.
std::string LibtiffVersion();

// Decodes chunks of one page of an open TiffFile. Not thread-safe; several in one process are.
class LibtiffDecoder {
 public:
  // `file` must outlive this and stay open. Throws kTiffUnsupported without libtiff or for a codec
  // that it lacks, kTiffDamaged.
  LibtiffDecoder(TiffFile& file, const TiffDirectory& directory);
  ~LibtiffDecoder();
  LibtiffDecoder(const LibtiffDecoder&) = delete;
  LibtiffDecoder& operator=(const LibtiffDecoder&) = delete;

  // Decodes chunk `index` into `bytes` bytes at `dst`: native-endian, predictor undone, bits packed
  // from the most significant.
  void Decode(uint64_t index, uint64_t bytes, uint8_t* dst);

  // Pages that have colour but no such rows (subsampled YCbCr outside JPEG, old-style JPEG) come as
  // one RGBA image, 4 bytes a pixel.
  bool whole_image() const;
  void DecodeImage(uint8_t* rgba);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast
