// SPDX-License-Identifier: MIT
// From the fields of a directory to the layout of a page, with everything checked that sizes are
// computed from.
#include "tiff/tiff_directory.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "codec/inflate.h"
#include "codec/lzw.h"
#include "codec/packbits.h"
#include "error.h"

namespace tilecast {
namespace {

constexpr uint64_t kMaxSide = std::numeric_limits<int32_t>::max();
// Beyond any memory; keeps the arithmetic on sizes inside 63 bits.
constexpr uint64_t kMaxChunkBytes = uint64_t{1} << 46;
constexpr uint64_t kMaxSamples = 65535;
// Below this a header that promises more than its file can hold costs little: the pixels are found
// missing when they are read.
constexpr uint64_t kTrustedBytes = 64 << 20;
// Pyramids have a level for each halving.
constexpr uint64_t kMaxSubIfds = 256;

bool PickDType(uint64_t bits, uint64_t format, DType& out) {
  if (format == 3) {
    out = bits == 64 ? DType::kF64 : DType::kF32;  // halves widen exactly
    return bits == 16 || bits == 32 || bits == 64;
  }
  const bool is_signed = format == 2;
  if (bits <= 8) {
    out = is_signed ? DType::kI8 : DType::kU8;
  } else if (bits <= 16) {
    out = is_signed ? DType::kI16 : DType::kU16;
  } else {
    out = is_signed ? DType::kI32 : DType::kU32;
  }
  return (bits >= 1 && bits <= 16) || bits == 32;
}

bool HasFastCodec(uint16_t compression) {
  return compression == 1 || compression == 5 || compression == 8 || compression == 32946 ||
         compression == 32773 || compression == 50000;
}
// The predictor tag means nothing to other codecs, and some writers leave one there.
bool UsesPredictor(uint16_t compression) {
  constexpr uint16_t kLzma = 34925;
  return compression == kLzma ||
         (HasFastCodec(compression) && compression != 1 && compression != 32773);
}

std::string Size(uint64_t width, uint64_t height) {
  return std::to_string(width) + " x " + std::to_string(height) + " pixels";
}

void ParsePixels(TiffFile& file, TiffFields& fields, TiffDirectory& out) {
  TiffPage& page = out.page;
  const uint64_t samples = fields.Get(TiffTag::kSamplesPerPixel, 1);
  if (samples == 0 || samples > kMaxSamples) {
    file.Damaged("SamplesPerPixel is " + std::to_string(samples), out.offset);
  }
  page.samples = static_cast<int>(samples);
  const uint64_t bits = fields.Shared(TiffTag::kBitsPerSample, 1, samples);
  uint64_t format = fields.Shared(TiffTag::kSampleFormat, 1, samples);
  if (format == 4) format = 1;  // "undefined": take the bits as they are
  if (format < 1 || format > 3 || !PickDType(bits, format, page.dtype)) {
    constexpr const char* kinds[] = {"unknown",   "unsigned", "signed", "float",
                                     "undefined", "complex",  "complex"};
    file.Unsupported("samples of " + std::to_string(bits) + " bits (" +
                     kinds[format < std::size(kinds) ? format : 0] +
                     ") have no pixel type here: integers of up to 16 or of 32 bits and floats of "
                     "16, 32, 64 have");
  }
  out.bits = static_cast<int>(bits);
  out.sample_format = static_cast<int>(format);
  page.photometric = static_cast<uint16_t>(fields.Get(TiffTag::kPhotometric, 1));
  out.ycbcr = page.photometric == 6;
  page.planar = fields.Get(TiffTag::kPlanarConfiguration, 1) == 2 && samples > 1;

  page.compression = static_cast<uint16_t>(fields.Get(TiffTag::kCompression, 1));
  page.predictor = 1;
  if (UsesPredictor(page.compression)) {
    const uint64_t predictor = fields.Get(TiffTag::kPredictor, 1);
    if (predictor < 1 || predictor > 3 ||
        (predictor == 2 && bits != 8 && bits != 16 && bits != 32 && bits != 64) ||
        (predictor == 3 && format != 3)) {
      file.Damaged("predictor " + std::to_string(predictor) + " does not exist for " +
                       std::to_string(bits) + (format == 3 ? "-bit floats" : "-bit integers"),
                   out.offset);
    }
    page.predictor = static_cast<uint16_t>(predictor);
  }
  page.fast_path =
      HasFastCodec(page.compression) && fields.Get(TiffTag::kFillOrder, 1) == 1 && !out.ycbcr;
}

void ParseChunks(TiffFile& file, TiffFields& fields, TiffDirectory& out) {
  TiffPage& page = out.page;
  const auto width = static_cast<uint64_t>(page.width);
  const auto height = static_cast<uint64_t>(page.height);
  page.tiled = fields.Has(TiffTag::kTileWidth) || fields.Has(TiffTag::kTileOffsets);
  if (page.tiled) {
    const uint64_t tile_width = fields.Get(TiffTag::kTileWidth, 0);
    const uint64_t tile_height = fields.Get(TiffTag::kTileLength, 0);
    if (tile_width == 0 || tile_height == 0 || tile_width > kMaxSide || tile_height > kMaxSide) {
      file.Damaged("tiles are " + Size(tile_width, tile_height), out.offset);
    }
    page.chunk_width = static_cast<int64_t>(tile_width);
    page.chunk_height = static_cast<int64_t>(tile_height);
  } else {
    const uint64_t rows = fields.Get(TiffTag::kRowsPerStrip, height);
    if (rows == 0) file.Damaged("RowsPerStrip is 0", out.offset);
    page.chunk_width = page.width;
    page.chunk_height = static_cast<int64_t>(std::min(rows, height));
  }
  // Some old writers keep tile offsets in the strip tags; libtiff reads them too.
  out.chunk_offsets =
      fields[page.tiled && fields.Has(TiffTag::kTileOffsets) ? TiffTag::kTileOffsets
                                                             : TiffTag::kStripOffsets];
  out.chunk_bytes =
      fields[page.tiled && fields.Has(TiffTag::kTileByteCounts) ? TiffTag::kTileByteCounts
                                                                : TiffTag::kStripByteCounts];
  // At most 2^31 px * 2^16 samples * 8 bytes a row: no overflow so far.
  if (out.chunk_row_bytes() > kMaxChunkBytes / static_cast<uint64_t>(page.chunk_height) ||
      width * height > kMaxChunkBytes / DTypeSize(page.dtype)) {
    file.Damaged(
        "the image is " + Size(width, height) + " of " + std::to_string(page.samples) +
            " samples in pieces of " +
            Size(static_cast<uint64_t>(page.chunk_width), static_cast<uint64_t>(page.chunk_height)),
        out.offset);
  }
}

// Memory is reserved by what headers say, so that one damaged header among thousands would stop a
// whole run: what no codec can make of a file of this size is refused here.
void CheckPlausible(const TiffFile& file, const TiffDirectory& directory) {
  const TiffPage& page = directory.page;
  const auto width = static_cast<uint64_t>(page.width);
  const auto height = static_cast<uint64_t>(page.height);
  const uint64_t need = (width * static_cast<uint64_t>(directory.bits) + 7) / 8 * height;
  if (need <= kTrustedBytes || need / TiffMaxRatio(page.compression) <= file.size()) return;
  file.Damaged("the image is " + Size(width, height) + ", " + std::to_string(need) +
                   " bytes, which a file of " + std::to_string(file.size()) + " cannot hold (" +
                   TiffCompressionName(page.compression) + ")",
               directory.offset);
}

}  // namespace

uint64_t TiffMaxRatio(uint16_t compression) {
  switch (compression) {
    case 1:
      return 1;
    case 5:
      return kLzwMaxRatio;
    case 8:
    case 32946:
      return kDeflateMaxRatio;
    case 32773:
      return kPackBitsMaxRatio;
    default:  // zstd; nothing is known of the others, which compress pixels no better
      return kZstdMaxRatio;
  }
}

void ParseTiffDirectory(TiffFile& file, const TiffHeader& header, uint64_t offset,
                        TiffDirectory& out) {
  TiffFields fields(file, header);
  fields.Read(offset);
  out.offset = offset;
  out.next = fields.next();
  TiffPage& page = out.page;
  const uint64_t width = fields.Get(TiffTag::kImageWidth, 0);
  const uint64_t height = fields.Get(TiffTag::kImageLength, 0);
  if (width == 0 || height == 0 || width > kMaxSide || height > kMaxSide) {
    file.Damaged("the image is " + Size(width, height), offset);
  }
  page.width = static_cast<int64_t>(width);
  page.height = static_cast<int64_t>(height);
  page.big_endian = header.big_endian;
  page.thumbnail = (fields.Get(TiffTag::kNewSubfileType, 0) & 1) != 0;
  ParsePixels(file, fields, out);
  ParseChunks(file, fields, out);
  CheckPlausible(file, out);

  out.sub_ifds = fields[TiffTag::kSubIfds];
  out.description = fields[TiffTag::kImageDescription];
  out.has_description = false;
  page.description.clear();

  // The default unit is the inch (TIFF 6.0, page 38).
  const uint64_t unit = fields.Get(TiffTag::kResolutionUnit, 2);
  const double unit_um = unit == 2 ? 25400.0 : unit == 3 ? 10000.0 : 0;
  const double x = fields.Rational(TiffTag::kXResolution);
  const double y = fields.Rational(TiffTag::kYResolution);
  page.pixel_size_x_um = x > 0 ? unit_um / x : 0;
  page.pixel_size_y_um = y > 0 ? unit_um / y : 0;
}

void LoadTiffDescription(TiffFile& file, TiffDirectory& directory) {
  if (directory.has_description) return;
  directory.has_description = true;
  const TiffField& f = directory.description;
  if (!f.present() || TiffTypeSize(f.type) != 1 || !file.Contains(f.offset, f.count)) return;
  const auto* text = reinterpret_cast<const char*>(file.View(f.offset, f.count));
  directory.page.description.assign(text, strnlen(text, f.count));
}

void LoadSubIfds(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory,
                 std::vector<uint64_t>& out) {
  const TiffField& f = directory.sub_ifds;
  const uint64_t size = TiffTypeSize(f.type);
  const uint64_t n = std::min(f.count, kMaxSubIfds);
  out.resize(f.present() ? n : 0);
  if (out.empty()) return;
  const uint8_t* p = file.View(f.offset, n * size);
  for (uint64_t& offset : out) {
    offset = TiffFields::Integer(file, header, f, p, "SubIFDs");
    p += size;
  }
}

void LoadTiffChunks(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory,
                    uint64_t first, uint64_t n, std::vector<TiffChunk>& out) {
  const std::string kind = directory.page.tiled ? "Tile" : "Strip";
  const auto load = [&](const TiffField& f, const std::string& name, uint64_t TiffChunk::* member) {
    const uint64_t size = TiffTypeSize(f.type);
    if (f.count < first + n) {
      file.Damaged(name + (f.present() ? " has " + std::to_string(f.count) + " values, not the " +
                                             std::to_string(first + n) + " that the image needs"
                                       : " is missing"),
                   directory.offset);
    }
    if (f.count > file.size() || !file.Contains(f.offset, f.count * size)) {
      file.Damaged(name + " lies outside the file", f.offset);
    }
    const uint8_t* p = file.View(f.offset + first * size, n * size);
    // Grown only here, where the file is known to hold that many values.
    out.resize(n);
    for (uint64_t i = 0; i < n; ++i, p += size) {
      out[i].*member = TiffFields::Integer(file, header, f, p, name.c_str());
    }
  };
  load(directory.chunk_offsets, kind + "Offsets", &TiffChunk::offset);
  if (directory.chunk_bytes.present() || directory.page.compression != 1) {
    load(directory.chunk_bytes, kind + "ByteCounts", &TiffChunk::bytes);
    return;
  }
  const uint64_t row = directory.chunk_row_bytes();
  const auto down = static_cast<uint64_t>(directory.chunks_down());
  const auto across = static_cast<uint64_t>(directory.chunks_across());
  const auto rows = static_cast<uint64_t>(directory.page.chunk_height);
  const auto last_rows = static_cast<uint64_t>(directory.page.height) - (down - 1) * rows;
  for (uint64_t i = 0; i < n; ++i) {
    const bool last = !directory.page.tiled && (first + i) / across % down == down - 1;
    out[i].bytes = row * (last ? last_rows : rows);
  }
}

}  // namespace tilecast
