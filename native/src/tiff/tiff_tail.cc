// SPDX-License-Identifier: MIT
// Serialisation of directories, classic and BigTIFF, little-endian.
#include "tiff/tiff_tail.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tilecast {
namespace {

enum Type : uint16_t {
  kAscii = 2,
  kShort = 3,
  kLong = 4,
  kRational = 5,
  kIfd = 13,
  kLong8 = 16,
  kIfd8 = 18
};

constexpr size_t Size(uint16_t type) {
  return type == kAscii ? 1 : type == kShort ? 2 : type == kLong || type == kIfd ? 4 : 8;
}

// `values` are stored with the size of the type; a rational is its denominator above its numerator.
struct Field {
  uint16_t tag;
  uint16_t type;
  std::vector<uint64_t> values;
};

// Pixels a centimetre, to nine digits.
uint64_t PixelsPerCentimetre(double pixel_size_um) {
  const double value = 1e4 / pixel_size_um;
  uint64_t denominator = 1;
  while (denominator < 1'000'000'000 &&
         value * static_cast<double>(denominator) * 10 < 4294967295.0) {
    denominator *= 10;
  }
  const double numerator = std::round(value * static_cast<double>(denominator));
  return denominator << 32 | static_cast<uint64_t>(std::clamp(numerator, 1.0, 4294967295.0));
}

class Tail {
 public:
  Tail(uint64_t start, bool big) : start_(start), big_(big) {}

  // Appends a directory; its tags ascend. Returns its offset.
  uint64_t Directory(const std::vector<Field>& fields) {
    Align();
    const uint64_t at = Here();
    const size_t pointer = big_ ? 8 : 4;
    Put(fields.size(), big_ ? 8 : 2);
    // Values that do not fit their entries follow the directory, in its order.
    uint64_t outside = at + (big_ ? 16 : 6) + fields.size() * (big_ ? 20 : 12);
    for (const Field& f : fields) {
      const size_t bytes = f.values.size() * Size(f.type);
      Put(f.tag, 2);
      Put(f.type, 2);
      Put(f.values.size(), pointer);
      if (bytes > pointer) {
        outside += outside % 2;
        Put(outside, pointer);
        outside += bytes;
      } else {
        Values(f);
        Put(0, pointer - bytes);
      }
    }
    link_ = bytes_.size();
    Put(0, pointer);
    for (const Field& f : fields) {
      if (f.values.size() * Size(f.type) <= pointer) continue;
      Align();
      Values(f);
    }
    return at;
  }

  // Where the last directory says what follows it.
  size_t link() const { return link_; }
  void Patch(size_t at, uint64_t value) {
    for (size_t i = 0; i < (big_ ? 8u : 4u); ++i)
      bytes_[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  uint64_t Here() const { return start_ + bytes_.size(); }
  void Align() {
    if (Here() % 2 != 0) bytes_.push_back(0);
  }
  void Put(uint64_t value, size_t n) {
    for (size_t i = 0; i < n; ++i)
      bytes_.push_back(i < 8 ? static_cast<uint8_t>(value >> (8 * i)) : 0);
  }
  void Values(const Field& f) {
    for (const uint64_t v : f.values) Put(v, Size(f.type));
  }

  uint64_t start_;
  bool big_;
  size_t link_ = 0;
  std::vector<uint8_t> bytes_;
};

std::vector<Field> FieldsOf(const TiffWrittenImage& image, const TiffPageText* text, bool reduced,
                            std::vector<uint64_t> sub_ifds, bool big) {
  std::vector<uint64_t> offsets, counts;
  offsets.reserve(image.chunks.size());
  counts.reserve(image.chunks.size());
  for (const TiffChunk& c : image.chunks) {
    offsets.push_back(c.offset);
    counts.push_back(c.bytes);
  }
  const bool long_counts =
      big && std::ranges::any_of(counts, [](uint64_t n) { return n > 0xffffffff; });
  const uint16_t offset_type = big ? kLong8 : kLong;
  const uint16_t count_type = long_counts ? kLong8 : kLong;
  const auto number = [](int64_t n) { return std::vector<uint64_t>{static_cast<uint64_t>(n)}; };
  constexpr int compressions[] = {1, 8, 50000};

  std::vector<Field> fields;
  const auto add = [&](uint16_t tag, uint16_t type, std::vector<uint64_t> values) {
    fields.push_back({tag, type, std::move(values)});
  };
  add(254, kLong, number(reduced ? 1 : 0));
  add(256, kLong, number(image.width));
  add(257, kLong, number(image.height));
  add(258, kShort, number(static_cast<int64_t>(DTypeSize(image.dtype)) * 8));
  add(259, kShort, number(compressions[static_cast<int>(image.codec)]));
  add(262, kShort, {1});  // 0 is black
  if (text != nullptr && !text->description.empty()) {
    const std::string& d = text->description;
    std::vector<uint64_t> bytes(d.size() + 1);
    std::ranges::transform(d, bytes.begin(), [](char c) { return static_cast<uint8_t>(c); });
    add(270, kAscii, std::move(bytes));
  }
  if (!image.tiled) add(273, offset_type, offsets);
  add(277, kShort, {1});
  if (!image.tiled) {
    add(278, kLong, number(image.chunk_height));
    add(279, count_type, counts);
  }
  const bool sized = text != nullptr && text->pixel_size_x_um > 0 && text->pixel_size_y_um > 0;
  if (sized) {
    add(282, kRational, {PixelsPerCentimetre(text->pixel_size_x_um)});
    add(283, kRational, {PixelsPerCentimetre(text->pixel_size_y_um)});
  }
  add(284, kShort, {1});
  if (sized) add(296, kShort, {3});
  if (image.predictor != 1) add(317, kShort, number(image.predictor));
  if (image.tiled) {
    add(322, kLong, number(image.chunk_width));
    add(323, kLong, number(image.chunk_height));
    add(324, offset_type, std::move(offsets));
    add(325, count_type, std::move(counts));
  }
  if (!sub_ifds.empty()) add(330, big ? kIfd8 : kIfd, std::move(sub_ifds));
  const bool is_signed =
      image.dtype == DType::kI8 || image.dtype == DType::kI16 || image.dtype == DType::kI32;
  add(339, kShort, number(IsFloat(image.dtype) ? 3 : is_signed ? 2 : 1));
  return fields;
}

}  // namespace

TiffTail MakeTiffTail(const std::vector<TiffWrittenPage>& pages, uint64_t end, bool big_tiff) {
  Tail tail(end, big_tiff);
  uint64_t first = 0;
  size_t link = 0;
  for (const TiffWrittenPage& page : pages) {
    std::vector<uint64_t> sub_ifds;
    for (size_t i = 1; i < page.levels.size(); ++i) {
      sub_ifds.push_back(tail.Directory(FieldsOf(page.levels[i], nullptr, true, {}, big_tiff)));
    }
    const uint64_t at =
        tail.Directory(FieldsOf(page.levels[0], &page.text, false, std::move(sub_ifds), big_tiff));
    if (first == 0) {
      first = at;
    } else {
      tail.Patch(link, at);
    }
    link = tail.link();
  }
  TiffTail out;
  out.bytes = tail.Take();
  uint8_t* const h = out.header;
  h[0] = h[1] = 'I';
  h[2] = big_tiff ? 43 : 42;
  if (big_tiff) h[4] = 8;
  for (size_t i = 0; i < (big_tiff ? 8u : 4u); ++i) {
    h[(big_tiff ? 8 : 4) + i] = static_cast<uint8_t>(first >> (8 * i));
  }
  return out;
}

}  // namespace tilecast
