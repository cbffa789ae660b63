// SPDX-License-Identifier: MIT
// Parsing of TIFF headers and directories.
#include "tiff/tiff_directory.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "error.h"

namespace tilecast {
namespace {

enum Tag : uint16_t {
  kNewSubfileType = 254,
  kImageWidth = 256,
  kImageLength = 257,
  kBitsPerSample = 258,
  kCompression = 259,
  kPhotometric = 262,
  kFillOrder = 266,
  kImageDescription = 270,
  kStripOffsets = 273,
  kSamplesPerPixel = 277,
  kRowsPerStrip = 278,
  kStripByteCounts = 279,
  kXResolution = 282,
  kYResolution = 283,
  kPlanarConfiguration = 284,
  kResolutionUnit = 296,
  kPredictor = 317,
  kTileWidth = 322,
  kTileLength = 323,
  kTileOffsets = 324,
  kTileByteCounts = 325,
  kSampleFormat = 339,
};

// Classic TIFF cannot hold more entries; no BigTIFF writer makes more.
constexpr uint64_t kMaxEntries = 65535;
constexpr int64_t kMaxSide = std::numeric_limits<int32_t>::max();
// Beyond any memory; keeps the arithmetic on sizes inside 63 bits.
constexpr uint64_t kMaxChunkBytes = uint64_t{1} << 46;
constexpr int kMaxSamples = 65535;

template <class T>
T Load(const uint8_t* p, bool big_endian) {
  T v = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    v = static_cast<T>(v | static_cast<T>(static_cast<T>(p[i])
                                          << (8 * (big_endian ? sizeof(T) - 1 - i : i))));
  }
  return v;
}

// Bytes of a value of a field type; 0 for a type that does not exist.
uint64_t TypeSize(uint16_t type) {
  switch (type) {
    case 1: case 2: case 6: case 7:
      return 1;
    case 3: case 8:
      return 2;
    case 4: case 9: case 11: case 13:
      return 4;
    case 5: case 10: case 12: case 16: case 17: case 18:
      return 8;
    default:
      return 0;
  }
}

struct Entries {
  uint64_t count;
  uint64_t first;  // offset of the first entry
  uint64_t size;   // of an entry
  uint64_t end() const { return first + count * size; }
};

Entries ReadEntries(TiffFile& file, const TiffHeader& header, uint64_t offset) {
  Entries e;
  if (header.big_tiff) {
    e = {Load<uint64_t>(file.View(offset, 8), header.big_endian), offset + 8, 20};
  } else {
    e = {Load<uint16_t>(file.View(offset, 2), header.big_endian), offset + 2, 12};
  }
  if (e.count == 0 || e.count > kMaxEntries) {
    file.Damaged("a directory of " + std::to_string(e.count) + " entries is not possible", offset);
  }
  return e;
}

uint64_t ReadNext(TiffFile& file, const TiffHeader& header, const Entries& e) {
  // Files cut right behind the last entry are common enough, and all their pixels are there.
  const uint64_t size = header.big_tiff ? 8 : 4;
  if (!file.Contains(e.end(), size)) {
    file.View(e.first, e.count * e.size);
    return 0;
  }
  const uint8_t* p = file.View(e.end(), size);
  return header.big_tiff ? Load<uint64_t>(p, header.big_endian) : Load<uint32_t>(p, header.big_endian);
}

// Reads fields of one directory; numbers that do not make sense name the field.
class Fields {
 public:
  Fields(TiffFile& file, const TiffHeader& header) : file_(file), header_(header) {}

  uint64_t At(const TiffField& f, uint64_t index, const char* name) {
    const uint64_t size = TypeSize(f.type);
    if (index >= f.count) file_.Damaged(std::string(name) + " is empty", f.offset);
    return Integer(file_.View(f.offset + index * size, size), f, name);
  }
  uint64_t Get(const TiffField& f, uint64_t fallback, const char* name) {
    return f.present() ? At(f, 0, name) : fallback;
  }
  uint64_t Integer(const uint8_t* p, const TiffField& f, const char* name) {
    switch (f.type) {
      case 1: case 7:
        return *p;
      case 3:
        return Load<uint16_t>(p, header_.big_endian);
      case 4: case 13:
        return Load<uint32_t>(p, header_.big_endian);
      case 16: case 18:
        return Load<uint64_t>(p, header_.big_endian);
      case 6: case 8: case 9: case 17: {
        // Signed types are wrong for all the fields read here, but some writers use them for positive numbers.
        const int64_t v = f.type == 6   ? static_cast<int8_t>(*p)
                          : f.type == 8 ? static_cast<int16_t>(Load<uint16_t>(p, header_.big_endian))
                          : f.type == 9 ? static_cast<int32_t>(Load<uint32_t>(p, header_.big_endian))
                                        : static_cast<int64_t>(Load<uint64_t>(p, header_.big_endian));
        if (v >= 0) return static_cast<uint64_t>(v);
        file_.Damaged(std::string(name) + " is negative", f.offset);
      }
      default:
        file_.Damaged(std::string(name) + " is not an integer (field type " + std::to_string(f.type) + ")", f.offset);
    }
  }
  // A RATIONAL, or 0 when it is absent, of another type, or no finite positive number.
  double Rational(const TiffField& f) {
    if (f.type != 5 || f.count == 0 || !file_.Contains(f.offset, 8)) return 0;
    const uint8_t* p = file_.View(f.offset, 8);
    const double numerator = Load<uint32_t>(p, header_.big_endian);
    const double denominator = Load<uint32_t>(p + 4, header_.big_endian);
    return denominator > 0 ? numerator / denominator : 0;
  }
  // The one value that all samples share.
  int Shared(const TiffField& f, int fallback, int samples, const char* name) {
    if (!f.present()) return fallback;
    const uint64_t first = At(f, 0, name);
    const uint64_t n = std::min<uint64_t>(f.count, static_cast<uint64_t>(samples));
    for (uint64_t i = 1; i < n; ++i) {
      if (At(f, i, name) != first) {
        file_.Unsupported(std::string("samples of one pixel differ in ") + name);
      }
    }
    return static_cast<int>(std::min<uint64_t>(first, 1 << 16));
  }

 private:
  TiffFile& file_;
  const TiffHeader& header_;
};

bool PickDType(int bits, int format, DType& out) {
  if (format == 3) {
    if (bits == 16 || bits == 32) out = DType::kF32;  // halves widen exactly
    else if (bits == 64) out = DType::kF64;
    else return false;
    return true;
  }
  const bool is_signed = format == 2;
  if (bits >= 1 && bits <= 8) out = is_signed ? DType::kI8 : DType::kU8;
  else if (bits > 8 && bits <= 16) out = is_signed ? DType::kI16 : DType::kU16;
  else if (bits == 32) out = is_signed ? DType::kI32 : DType::kU32;
  else return false;
  return true;
}

bool HasFastCodec(uint16_t compression) {
  return compression == 1 || compression == 5 || compression == 8 || compression == 32946 ||
         compression == 32773 || compression == 50000;
}
// The predictor tag means nothing to other codecs, and some writers leave one there.
bool UsesPredictor(uint16_t compression) {
  constexpr uint16_t kLzma = 34925;
  return compression == kLzma || (HasFastCodec(compression) && compression != 1 && compression != 32773);
}

}  // namespace

TiffHeader ParseTiffHeader(TiffFile& file) {
  if (file.size() < 8) {
    file.Damaged(file.size() == 0 ? "the file is empty"
                                  : "not a TIFF: only " + std::to_string(file.size()) + " bytes");
  }
  const uint8_t* p = file.View(0, 8);
  TiffHeader h;
  if (p[0] == 'M' && p[1] == 'M') {
    h.big_endian = true;
  } else if (p[0] != 'I' || p[1] != 'I') {
    file.Damaged("not a TIFF: it starts with neither II nor MM", 0);
  }
  const uint16_t version = Load<uint16_t>(p + 2, h.big_endian);
  if (version == 42) {
    h.first = Load<uint32_t>(p + 4, h.big_endian);
  } else if (version == 43) {
    h.big_tiff = true;
    p = file.View(0, 16);
    if (Load<uint16_t>(p + 4, h.big_endian) != 8 || Load<uint16_t>(p + 6, h.big_endian) != 0) {
      file.Damaged("a BigTIFF with offsets of other than 8 bytes", 4);
    }
    h.first = Load<uint64_t>(p + 8, h.big_endian);
  } else {
    file.Damaged("not a TIFF: version " + std::to_string(version) + ", expected 42 or 43", 2);
  }
  if (h.first == 0) file.Damaged("the file has no page: its writer did not finish");
  return h;
}

uint64_t NextTiffDirectory(TiffFile& file, const TiffHeader& header, uint64_t offset) {
  return ReadNext(file, header, ReadEntries(file, header, offset));
}

void ParseTiffDirectory(TiffFile& file, const TiffHeader& header, uint64_t offset,
                        TiffDirectory& out) {
  const Entries e = ReadEntries(file, header, offset);
  TiffField subfile, width, height, bits, compression, photometric, fill_order, strip_offsets, samples,
      rows_per_strip, strip_bytes, x_resolution, y_resolution, planar, unit, predictor, tile_width,
      tile_height, tile_offsets, tile_bytes, sample_format, description;
  const uint8_t* p = file.View(e.first, e.count * e.size);
  for (uint64_t i = 0; i < e.count; ++i, p += e.size) {
    TiffField* field = nullptr;
    switch (Load<uint16_t>(p, header.big_endian)) {
      case kNewSubfileType: field = &subfile; break;
      case kImageWidth: field = &width; break;
      case kImageLength: field = &height; break;
      case kBitsPerSample: field = &bits; break;
      case kCompression: field = &compression; break;
      case kPhotometric: field = &photometric; break;
      case kFillOrder: field = &fill_order; break;
      case kImageDescription: field = &description; break;
      case kStripOffsets: field = &strip_offsets; break;
      case kSamplesPerPixel: field = &samples; break;
      case kRowsPerStrip: field = &rows_per_strip; break;
      case kStripByteCounts: field = &strip_bytes; break;
      case kXResolution: field = &x_resolution; break;
      case kYResolution: field = &y_resolution; break;
      case kPlanarConfiguration: field = &planar; break;
      case kResolutionUnit: field = &unit; break;
      case kPredictor: field = &predictor; break;
      case kTileWidth: field = &tile_width; break;
      case kTileLength: field = &tile_height; break;
      case kTileOffsets: field = &tile_offsets; break;
      case kTileByteCounts: field = &tile_bytes; break;
      case kSampleFormat: field = &sample_format; break;
      default: continue;
    }
    if (field->present()) continue;  // a tag twice: the first counts, as in libtiff
    const uint16_t type = Load<uint16_t>(p + 2, header.big_endian);
    const uint64_t size = TypeSize(type);
    if (size == 0) continue;  // readers skip types that they don't know (TIFF 6.0, page 16)
    const uint64_t inline_bytes = header.big_tiff ? 8 : 4;
    const uint8_t* value = p + (header.big_tiff ? 12 : 8);
    field->type = type;
    field->count = header.big_tiff ? Load<uint64_t>(p + 4, header.big_endian)
                                   : Load<uint32_t>(p + 4, header.big_endian);
    if (field->count <= inline_bytes / size) {
      field->offset = e.first + i * e.size + static_cast<uint64_t>(value - p);
    } else {
      field->offset = header.big_tiff ? Load<uint64_t>(value, header.big_endian)
                                      : Load<uint32_t>(value, header.big_endian);
    }
  }

  out.offset = offset;
  out.next = ReadNext(file, header, e);
  TiffPage& page = out.page;
  Fields fields(file, header);
  const uint64_t w = fields.Get(width, 0, "ImageWidth");
  const uint64_t h = fields.Get(height, 0, "ImageLength");
  if (w == 0 || h == 0 || w > kMaxSide || h > kMaxSide) {
    file.Damaged("the image is " + std::to_string(w) + " x " + std::to_string(h) + " pixels", offset);
  }
  page.width = static_cast<int64_t>(w);
  page.height = static_cast<int64_t>(h);
  const uint64_t spp = fields.Get(samples, 1, "SamplesPerPixel");
  if (spp == 0 || spp > kMaxSamples) {
    file.Damaged("SamplesPerPixel is " + std::to_string(spp), offset);
  }
  page.samples = static_cast<int>(spp);
  out.bits = fields.Shared(bits, 1, page.samples, "BitsPerSample");
  out.sample_format = fields.Shared(sample_format, 1, page.samples, "SampleFormat");
  if (out.sample_format == 4) out.sample_format = 1;  // "undefined": take the bits as they are
  if (out.sample_format < 1 || out.sample_format > 3 ||
      !PickDType(out.bits, out.sample_format, page.dtype)) {
    constexpr const char* kinds[] = {"unknown",   "unsigned", "signed", "float",
                                     "undefined", "complex",  "complex"};
    file.Unsupported("samples of " + std::to_string(out.bits) + " bits (" +
                     kinds[out.sample_format >= 1 && out.sample_format <= 6 ? out.sample_format : 0] +
                     ") have no pixel type here: integers of up to 16 or of 32 bits and floats of 16, 32, 64 have");
  }
  page.compression = static_cast<uint16_t>(fields.Get(compression, 1, "Compression"));
  page.photometric = static_cast<uint16_t>(fields.Get(photometric, 1, "PhotometricInterpretation"));
  page.planar = fields.Get(planar, 1, "PlanarConfiguration") == 2 && page.samples > 1;
  const uint64_t order = fields.Get(fill_order, 1, "FillOrder");
  page.big_endian = header.big_endian;
  page.thumbnail = (fields.Get(subfile, 0, "NewSubfileType") & 1) != 0;
  page.predictor = 1;
  if (UsesPredictor(page.compression)) {
    page.predictor = static_cast<uint16_t>(fields.Get(predictor, 1, "Predictor"));
    if (page.predictor < 1 || page.predictor > 3 ||
        (page.predictor == 2 && out.bits != 8 && out.bits != 16 && out.bits != 32 && out.bits != 64) ||
        (page.predictor == 3 && out.sample_format != 3)) {
      file.Damaged("predictor " + std::to_string(page.predictor) + " does not exist for " +
                       std::to_string(out.bits) + (out.sample_format == 3 ? "-bit floats" : "-bit integers"),
                   offset);
    }
  }
  out.ycbcr = page.photometric == 6;
  page.fast_path = HasFastCodec(page.compression) && order == 1 && !out.ycbcr;

  page.tiled = tile_width.present() || tile_offsets.present();
  if (page.tiled) {
    const uint64_t tw = fields.Get(tile_width, 0, "TileWidth");
    const uint64_t th = fields.Get(tile_height, 0, "TileLength");
    if (tw == 0 || th == 0 || tw > kMaxSide || th > kMaxSide) {
      file.Damaged("tiles are " + std::to_string(tw) + " x " + std::to_string(th) + " pixels", offset);
    }
    page.chunk_width = static_cast<int64_t>(tw);
    page.chunk_height = static_cast<int64_t>(th);
    // Some old writers keep tile offsets in the strip tags, as libtiff does too.
    out.chunk_offsets = tile_offsets.present() ? tile_offsets : strip_offsets;
    out.chunk_bytes = tile_bytes.present() ? tile_bytes : strip_bytes;
  } else {
    const uint64_t rps = fields.Get(rows_per_strip, h, "RowsPerStrip");
    if (rps == 0) file.Damaged("RowsPerStrip is 0", offset);
    page.chunk_width = page.width;
    page.chunk_height = static_cast<int64_t>(std::min(rps, h));
    out.chunk_offsets = strip_offsets;
    out.chunk_bytes = strip_bytes;
  }
  // At most 2^31 px * 2^16 samples * 8 bytes a row: no overflow so far.
  if (out.chunk_row_bytes() > kMaxChunkBytes / static_cast<uint64_t>(page.chunk_height) ||
      w * h > kMaxChunkBytes / DTypeSize(page.dtype)) {
    file.Damaged("the image is " + std::to_string(w) + " x " + std::to_string(h) + " pixels of " +
                     std::to_string(page.samples) + " samples in pieces of " +
                     std::to_string(page.chunk_width) + " x " + std::to_string(page.chunk_height),
                 offset);
  }

  out.description = description;
  out.has_description = false;
  page.description.clear();

  // The default unit is the inch (TIFF 6.0, page 38).
  const uint64_t resolution_unit = unit.present() && unit.count > 0 && unit.type == 3 ? fields.At(unit, 0, "ResolutionUnit") : 2;
  const double um = resolution_unit == 2 ? 25400.0 : resolution_unit == 3 ? 10000.0 : 0;
  const double rx = fields.Rational(x_resolution);
  const double ry = fields.Rational(y_resolution);
  page.pixel_size_x_um = rx > 0 ? um / rx : 0;
  page.pixel_size_y_um = ry > 0 ? um / ry : 0;
}

void LoadTiffDescription(TiffFile& file, TiffDirectory& directory) {
  if (directory.has_description) return;
  directory.has_description = true;
  const TiffField& f = directory.description;
  if (!f.present() || TypeSize(f.type) != 1 || !file.Contains(f.offset, f.count)) return;
  const auto* text = reinterpret_cast<const char*>(file.View(f.offset, f.count));
  directory.page.description.assign(text, strnlen(text, f.count));
}

void LoadTiffChunks(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory,
                    uint64_t first, uint64_t n, std::vector<TiffChunk>& out) {
  const char* kind = directory.page.tiled ? "Tile" : "Strip";
  const TiffField& offsets = directory.chunk_offsets;
  const TiffField& bytes = directory.chunk_bytes;
  const bool compute = !bytes.present() && directory.page.compression == 1;
  const auto load = [&](const TiffField& f, const std::string& name, uint64_t TiffChunk::*member) {
    const uint64_t size = TypeSize(f.type);
    if (f.count < first + n) {
      file.Damaged(name + (f.present() ? " has " + std::to_string(f.count) + " values, not the " +
                                             std::to_string(first + n) + " that the image needs"
                                       : " is missing"),
                   directory.offset);
    }
    const uint8_t* p = nullptr;
    if (file.Contains(f.offset, f.count * size) && f.count <= file.size()) {
      p = file.View(f.offset + first * size, n * size);
    } else {
      file.Damaged(name + " lies outside the file", f.offset);
    }
    // Grown only here, where the file is known to hold that many values.
    out.resize(n);
    Fields fields(file, header);
    for (uint64_t i = 0; i < n; ++i, p += size) out[i].*member = fields.Integer(p, f, name.c_str());
  };
  load(offsets, std::string(kind) + "Offsets", &TiffChunk::offset);
  if (!compute) {
    load(bytes, std::string(kind) + "ByteCounts", &TiffChunk::bytes);
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
