// SPDX-License-Identifier: MIT
// The header and the fields of an image file directory (IFD), as numbers with bounds.
#pragma once

#include <array>
#include <cstdint>

#include "tiff/tiff_file.h"

namespace tilecast {

struct TiffHeader {
  bool big_endian = false;
  bool big_tiff = false;
  uint64_t first = 0;  // offset of the first directory
};

// Throws kTiffDamaged when the file is not a TIFF.
TiffHeader ParseTiffHeader(TiffFile& file);

// Reads only where the directory after the one at `offset` is; 0: there is none.
uint64_t NextTiffDirectory(TiffFile& file, const TiffHeader& header, uint64_t offset);

// The fields that are read here; their numbers and names are in tiff_fields.cc.
enum class TiffTag : uint8_t {
  kNewSubfileType,
  kImageWidth,
  kImageLength,
  kBitsPerSample,
  kCompression,
  kPhotometric,
  kFillOrder,
  kImageDescription,
  kStripOffsets,
  kSamplesPerPixel,
  kRowsPerStrip,
  kStripByteCounts,
  kXResolution,
  kYResolution,
  kPlanarConfiguration,
  kResolutionUnit,
  kPredictor,
  kTileWidth,
  kTileLength,
  kTileOffsets,
  kTileByteCounts,
  kSubIfds,
  kSampleFormat,
};
inline constexpr int kTiffTagCount = static_cast<int>(TiffTag::kSampleFormat) + 1;

// Where the values of one field are; type 0: the field is absent.
struct TiffField {
  uint16_t type = 0;
  uint64_t count = 0;
  uint64_t offset = 0;  // in the file
  bool present() const { return type != 0; }
};

// Bytes of a value of a field type; 0 for a type that does not exist.
uint64_t TiffTypeSize(uint16_t type);

// The fields of one directory. Only their places are kept; values are read when asked for. A value
// that cannot be is kTiffDamaged with the field's name.
class TiffFields {
 public:
  TiffFields(TiffFile& file, const TiffHeader& header) : file_(file), header_(header) {}

  // Reads the directory at `offset`.
  void Read(uint64_t offset);
  uint64_t next() const { return next_; }  // offset of the next directory, or 0

  const TiffField& operator[](TiffTag tag) const { return fields_[static_cast<size_t>(tag)]; }
  bool Has(TiffTag tag) const { return (*this)[tag].present(); }
  // The first value, or `fallback` when the field is absent.
  uint64_t Get(TiffTag tag, uint64_t fallback);
  // The value that all `samples` share; kTiffUnsupported when they differ.
  uint64_t Shared(TiffTag tag, uint64_t fallback, uint64_t samples);
  // A RATIONAL, or 0 when it is absent, of another type, or divided by zero.
  double Rational(TiffTag tag);

  // The integer at `p`, a value of `field`, which errors call `name`.
  static uint64_t Integer(const TiffFile& file, const TiffHeader& header, const TiffField& field,
                          const uint8_t* p, const char* name);

 private:
  uint64_t At(TiffTag tag, uint64_t index);

  TiffFile& file_;
  const TiffHeader& header_;
  std::array<TiffField, kTiffTagCount> fields_;
  uint64_t next_ = 0;
};

}  // namespace tilecast
