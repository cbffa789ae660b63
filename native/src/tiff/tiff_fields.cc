// SPDX-License-Identifier: MIT
// Reading of TIFF headers, directory entries and field values in either byte order and offset size.
#include "tiff/tiff_fields.h"

#include <algorithm>
#include <string>

#include "error.h"

namespace tilecast {
namespace {

struct Tag {
  uint16_t number;
  const char* name;
};
// In the order of TiffTag.
constexpr std::array<Tag, kTiffTagCount> kTags = {{
    {254, "NewSubfileType"},  {256, "ImageWidth"},       {257, "ImageLength"},
    {258, "BitsPerSample"},   {259, "Compression"},      {262, "PhotometricInterpretation"},
    {266, "FillOrder"},       {270, "ImageDescription"}, {273, "StripOffsets"},
    {277, "SamplesPerPixel"}, {278, "RowsPerStrip"},     {279, "StripByteCounts"},
    {282, "XResolution"},     {283, "YResolution"},      {284, "PlanarConfiguration"},
    {296, "ResolutionUnit"},  {317, "Predictor"},        {322, "TileWidth"},
    {323, "TileLength"},      {324, "TileOffsets"},      {325, "TileByteCounts"},
    {330, "SubIFDs"},         {339, "SampleFormat"},
}};

// Classic TIFF cannot hold more entries; no BigTIFF writer makes more.
constexpr uint64_t kMaxEntries = 65535;

template <class T>
T Load(const uint8_t* p, bool big_endian) {
  T v = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    v = static_cast<T>(
        v | static_cast<T>(static_cast<T>(p[i]) << (8 * (big_endian ? sizeof(T) - 1 - i : i))));
  }
  return v;
}

uint64_t LoadOffset(const uint8_t* p, const TiffHeader& header) {
  return header.big_tiff ? Load<uint64_t>(p, header.big_endian)
                         : Load<uint32_t>(p, header.big_endian);
}

struct Entries {
  uint64_t count;
  uint64_t first;  // offset of the first entry
  uint64_t size;   // of an entry
  uint64_t end() const { return first + count * size; }
};

Entries ReadEntries(TiffFile& file, const TiffHeader& header, uint64_t offset) {
  Entries e{};
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
  const uint64_t size = header.big_tiff ? 8 : 4;
  if (!file.Contains(e.end(), size)) {
    // Files cut right behind the last entry are common enough, and all their pixels are there. An
    // entry less is damage.
    file.View(e.first, e.count * e.size);
    return 0;
  }
  return LoadOffset(file.View(e.end(), size), header);
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

uint64_t TiffTypeSize(uint16_t type) {
  constexpr uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
  return type < std::size(sizes) ? sizes[type] : 0;
}

void TiffFields::Read(uint64_t offset) {
  const Entries e = ReadEntries(file_, header_, offset);
  fields_.fill({});
  const uint8_t* p = file_.View(e.first, e.count * e.size);
  for (uint64_t i = 0; i < e.count; ++i, p += e.size) {
    const uint16_t number = Load<uint16_t>(p, header_.big_endian);
    const auto* tag = std::find_if(kTags.begin(), kTags.end(),
                                   [number](const Tag& t) { return t.number == number; });
    if (tag == kTags.end()) continue;
    TiffField& field = fields_[static_cast<size_t>(tag - kTags.begin())];
    if (field.present()) continue;  // a tag twice: the first counts, as in libtiff
    const uint16_t type = Load<uint16_t>(p + 2, header_.big_endian);
    const uint64_t size = TiffTypeSize(type);
    if (size == 0) continue;  // readers skip types that they don't know (TIFF 6.0, page 16)
    const uint64_t value = header_.big_tiff ? 12 : 8;
    field.type = type;
    field.count = LoadOffset(p + 4, header_);
    // What fits into the entry's offset lies there itself.
    const bool here = field.count <= (header_.big_tiff ? 8 : 4) / size;
    field.offset = here ? e.first + i * e.size + value : LoadOffset(p + value, header_);
  }
  next_ = ReadNext(file_, header_, e);
}

uint64_t TiffFields::Integer(const TiffFile& file, const TiffHeader& header, const TiffField& field,
                             const uint8_t* p, const char* name) {
  const bool big = header.big_endian;
  int64_t v = 0;
  switch (field.type) {
    case 1:
    case 7:
      return *p;
    case 3:
      return Load<uint16_t>(p, big);
    case 4:
    case 13:
      return Load<uint32_t>(p, big);
    case 16:
    case 18:
      return Load<uint64_t>(p, big);
    // Signed types are wrong for all the fields read here, but some writers use them.
    case 6:
      v = *p < 128 ? *p : -1;
      break;
    case 8:
      v = static_cast<int16_t>(Load<uint16_t>(p, big));
      break;
    case 9:
      v = static_cast<int32_t>(Load<uint32_t>(p, big));
      break;
    case 17:
      v = static_cast<int64_t>(Load<uint64_t>(p, big));
      break;
    default:
      file.Damaged(
          std::string(name) + " is not an integer (field type " + std::to_string(field.type) + ")",
          field.offset);
  }
  if (v < 0) file.Damaged(std::string(name) + " is negative", field.offset);
  return static_cast<uint64_t>(v);
}

uint64_t TiffFields::At(TiffTag tag, uint64_t index) {
  const TiffField& f = (*this)[tag];
  const char* name = kTags[static_cast<size_t>(tag)].name;
  if (index >= f.count) file_.Damaged(std::string(name) + " is empty", f.offset);
  const uint64_t size = TiffTypeSize(f.type);
  return Integer(file_, header_, f, file_.View(f.offset + index * size, size), name);
}

uint64_t TiffFields::Get(TiffTag tag, uint64_t fallback) {
  return Has(tag) ? At(tag, 0) : fallback;
}

uint64_t TiffFields::Shared(TiffTag tag, uint64_t fallback, uint64_t samples) {
  if (!Has(tag)) return fallback;
  const uint64_t first = At(tag, 0);
  const uint64_t n = std::min((*this)[tag].count, samples);
  for (uint64_t i = 1; i < n; ++i) {
    if (At(tag, i) != first) {
      file_.Unsupported(std::string("samples of one pixel differ in ") +
                        kTags[static_cast<size_t>(tag)].name);
    }
  }
  return first;
}

double TiffFields::Rational(TiffTag tag) {
  const TiffField& f = (*this)[tag];
  if (f.type != 5 || f.count == 0 || !file_.Contains(f.offset, 8)) return 0;
  const uint8_t* p = file_.View(f.offset, 8);
  const double numerator = Load<uint32_t>(p, header_.big_endian);
  const double denominator = Load<uint32_t>(p + 4, header_.big_endian);
  return denominator > 0 ? numerator / denominator : 0;
}

}  // namespace tilecast
