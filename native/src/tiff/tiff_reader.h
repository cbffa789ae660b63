// SPDX-License-Identifier: MIT
// Reads TIFF and BigTIFF planes straight into caller-owned memory.
//
// Format: TIFF Revision 6.0 (Adobe, 1992) and its technical notes 1-3; BigTIFF (libtiff design,
// 2004). Fast path: strips and tiles; both byte orders; 8/16/32-bit unsigned and signed integers,
// float32/float64; compressions none (1), LZW (5), deflate (8 and 32946), PackBits (32773), zstd
// (50000); predictors 1, 2, 3; chunky and planar samples; MinIsBlack, MinIsWhite, RGB. Palette
// images are read as their indices. MinIsWhite is inverted on reading (max - v), so that 0 is
// black, for unsigned integers only: signed integers and floats have no maximum to mirror at, and
// come as stored. tifffile inverts none of them. Also read: integers of 1 to 15 bits, packed,
// widened to 8 or 16 bits with their values kept; 16-bit floats, widened to float32. Everything
// else goes through libtiff, loaded at run time if present (libtiff.so.6 / libtiff.so.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "file_parts.h"
#include "image.h"

namespace tilecast {

struct TiffPage {
  int64_t width = 0;   // px
  int64_t height = 0;  // px
  int samples = 1;     // samples per pixel: 1 for grey, 3 for RGB
  DType dtype = DType::kU8;
  uint16_t compression = 1;
  uint16_t predictor = 1;
  uint16_t photometric = 1;
  bool planar = false;  // PlanarConfiguration 2
  bool tiled = false;
  bool big_endian = false;
  bool thumbnail = false;   // NewSubfileType bit 0 (reduced resolution)
  bool fast_path = true;    // false: read through libtiff
  int64_t chunk_width = 0;  // strip or tile, px
  int64_t chunk_height = 0;
  std::string description;  // ImageDescription, as stored (may be XML; not validated)
  // Pixel size in micrometres from XResolution/YResolution when ResolutionUnit is inch or
  // centimetre, else 0.
  double pixel_size_x_um = 0;
  double pixel_size_y_um = 0;
};

// Short name of a compression for people: "none", "lzw", "deflate", "packbits", "zstd", "jpeg",
// "compression 34712".
std::string TiffCompressionName(uint16_t compression);

// One per thread: keeps its file buffer, codec contexts and scratch between files, so that steady
// state allocates nothing. Not thread-safe; distinct readers are independent.
class TiffReader {
 public:
  TiffReader();
  ~TiffReader();
  TiffReader(const TiffReader&) = delete;
  TiffReader& operator=(const TiffReader&) = delete;

  // Opens `path` and parses its first page only. The previous file is closed. Reads some 16 KiB,
  // wherever the page's directory is. Throws Error kIo, kTiffDamaged, kTiffUnsupported (samples
  // that no dtype holds: 64-bit integers, complex numbers).
  void Open(const std::string& path);
  // The same for a file of which parts are here; they must stay until Close(). Where a call fails
  // for want of others, missing() is the first range that it wanted, else one of no bytes.
  void Open(const FileParts& parts);
  const FileRange& missing() const;
  // Where the strips and tiles are that a part of one sample of a level touches, as far as they lie
  // inside the file: what to fetch before ReadPlane and ReadRegion. The part must lie inside the
  // image.
  std::vector<FileRange> PixelRanges(int page, int level, int sample, int64_t y, int64_t x,
                                     int64_t height, int64_t width);
  void Close();

  // Number of pages in the main IFD chain. Walks the chain once; a loop or an offset past the end
  // is kTiffDamaged.
  int page_count();
  // Structure of one page; parses up to it. Throws kInvalidArgument when there is no such page.
  const TiffPage& page(int index);
  // The same without reading ImageDescription, which can be megabytes of OME-XML: for callers that
  // want pixels only.
  const TiffPage& layout(int index);

  // Decodes one sample (channel) of one page into `dst`, which must have the page's width, height
  // and dtype. Throws kTiffDamaged with page and byte offset, kTiffUnsupported, kOpShape when dst
  // does not match. On failure the contents of dst are unspecified.
  void ReadPlane(int page, int sample, const Plane& dst);

  // Resolutions of a page: itself and the reduced images in its SubIFDs, as OME-TIFF pyramids have
  // them, each smaller than the one before. Throws kTiffDamaged.
  int levels(int page);
  // Structure of a level; 0 is the page. Throws kInvalidArgument when there is no such level. Valid
  // until another page's levels are asked for.
  const TiffPage& level(int page, int level);

  // Decodes the part of one sample that begins at row `y` and column `x` of a level and has the
  // size of `dst`; dtype and failures as ReadPlane, kOpShape for a part that is not inside. Reads
  // only strips and tiles that the part touches, neighbours at once.
  void ReadRegion(int page, int level, int sample, int64_t y, int64_t x, const Plane& dst);

  // Bytes read from the file since Open (for throughput figures).
  int64_t bytes_read() const;
  // Size of the open file and the time of its last change, in milliseconds since 1970.
  int64_t file_bytes() const;
  double mtime_ms() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast
