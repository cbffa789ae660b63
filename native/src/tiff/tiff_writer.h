// SPDX-License-Identifier: MIT
// Writes TIFF and BigTIFF files of grey planes, with pyramids, in one pass and atomically.
//
// Format: TIFF Revision 6.0 (Adobe, 1992) and its technical notes 1 (SubIFDs) and 3 (predictor 3);
// BigTIFF (libtiff design, 2004); compression 50000 (Zstandard, libtiff). Little-endian.
//
// Pixels are appended as they come, directories follow them all, the header is written last. So
// nothing needs to be known in advance: a file is classic where its last byte has a 32-bit offset,
// else BigTIFF.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "image.h"
#include "tiff/tiff_encode.h"

namespace tilecast {

struct TiffEncoding {
  TiffCodec codec = TiffCodec::kDeflate;
  int level = 6;  // deflate 0 to 12 (libdeflate), zstd 1 to 22
  // Of the horizontal kind for integers, of the floating-point kind for floats; not for
  // uncompressed data.
  bool predictor = true;
  int64_t tile = 256;      // px, a multiple of 16; smaller images get smaller tiles. 0: strips
  int64_t strip_rows = 0;  // 0: as many as make 256 KiB
  // Largest file that is a classic TIFF. Less than 4 GiB gives readers with signed offsets what
  // they can read; 0 makes every file a BigTIFF.
  uint64_t classic_bytes = 0xffffffff;
  // As of AtomicFile (atomic_file.h).
  bool sync = false;
  bool exclusive = false;
  std::string temporary;
};

struct TiffPageText {
  std::string description;     // ImageDescription; empty: none
  double pixel_size_x_um = 0;  // 0: unknown
  double pixel_size_y_um = 0;
};

// One file at a time; keeps its compressors and buffers between files. Not thread-safe. After a
// failure the file is abandoned, and what was under its path before is still there.
class TiffWriter {
 public:
  TiffWriter();
  ~TiffWriter();  // abandons a file that is not finished
  TiffWriter(const TiffWriter&) = delete;
  TiffWriter& operator=(const TiffWriter&) = delete;

  // Begins `path`, whose folder must exist; abandons another file. Throws kInvalidArgument, kIo.
  void Open(const std::string& path, const TiffEncoding& encoding);

  // Appends a page: `levels[0]`, and as its SubIFDs the further ones, each smaller than the one
  // before. `threads` compress at once. The file's bytes do not depend on them. Throws
  // kInvalidArgument (no file is open), kOpShape, kIo.
  void WritePage(std::span<const Plane> levels, const TiffPageText& text, int threads = 1);

  // Completes the file and gives it its name; returns its size. At least one page. Throws
  // kInvalidArgument, kIo.
  int64_t Finish();

  // Drops the file that is open, if any.
  void Abandon();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast
