// SPDX-License-Identifier: MIT
// A tiny TIFF writer for tests: any fields, right or wrong, in any byte order, classic or BigTIFF.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace tilecast {

class TiffFixture {
 public:
  struct Field {
    uint16_t type;
    uint64_t count;
    std::vector<uint64_t> values;  // each stored with the type's size
  };

  explicit TiffFixture(bool big_endian = false, bool big_tiff = false)
      : big_endian_(big_endian), big_tiff_(big_tiff) {
    bytes_ = big_endian ? std::string("MM") : std::string("II");
    Put(big_tiff ? 43 : 42, 2);
    if (big_tiff) {
      Put(8, 2);
      Put(0, 2);
    }
    link_ = bytes_.size();
    Put(0, OffsetSize());
  }

  // Appends pixel data; returns where it lies.
  uint64_t Data(const std::string& data) {
    const uint64_t at = bytes_.size();
    bytes_ += data;
    if (bytes_.size() % 2 != 0) bytes_ += '\0';
    return at;
  }

  void Set(uint16_t tag, uint16_t type, std::vector<uint64_t> values) {
    const uint64_t n = values.size();
    fields_[tag] = {type, n, std::move(values)};
  }
  void SetCount(uint16_t tag, uint64_t count) { fields_[tag].count = count; }
  void Remove(uint16_t tag) { fields_.erase(tag); }

  // A grey image of `bits` in strips of `rows` rows; strips hold the given bytes.
  void Grey(uint64_t width, uint64_t height, uint16_t bits, uint64_t rows, uint16_t compression,
            const std::vector<std::string>& strips) {
    std::vector<uint64_t> offsets, counts;
    for (const std::string& s : strips) {
      offsets.push_back(Data(s));
      counts.push_back(s.size());
    }
    Set(256, 4, {width});
    Set(257, 4, {height});
    Set(258, 3, {bits});
    Set(259, 3, {compression});
    Set(262, 3, {1});
    Set(273, 4, offsets);
    Set(277, 3, {1});
    Set(278, 4, {rows});
    Set(279, 4, counts);
  }

  // Writes the fields set so far as the next directory of the chain; returns its offset.
  uint64_t Page() {
    std::map<uint16_t, uint64_t> outside;
    for (const auto& [tag, f] : fields_) {
      if (f.values.size() * Size(f.type) > OffsetSize()) {
        outside[tag] = bytes_.size();
        for (const uint64_t v : f.values) Put(v, Size(f.type));
      }
    }
    if (bytes_.size() % 2 != 0) bytes_ += '\0';
    const uint64_t at = bytes_.size();
    Patch(link_, at);
    Put(fields_.size(), big_tiff_ ? 8 : 2);
    for (const auto& [tag, f] : fields_) {
      Put(tag, 2);
      Put(f.type, 2);
      Put(f.count, OffsetSize());
      if (outside.contains(tag)) {
        Put(outside[tag], OffsetSize());
      } else {
        const size_t end = bytes_.size() + OffsetSize();
        for (const uint64_t v : f.values) Put(v, Size(f.type));
        bytes_.resize(end);
      }
    }
    link_ = bytes_.size();
    Put(0, OffsetSize());
    return at;
  }
  // Lets the last page's chain go on at `offset`.
  void Link(uint64_t offset) { Patch(link_, offset); }

  std::string& bytes() { return bytes_; }
  void Save(const std::string& path) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes_;
  }

 private:
  size_t OffsetSize() const { return big_tiff_ ? 8 : 4; }
  static size_t Size(uint16_t type) {
    switch (type) {
      case 3:
      case 8:
        return 2;
      case 4:
      case 9:
      case 11:
      case 13:
        return 4;
      case 12:
      case 16:
      case 17:
      case 18:
        return 8;
      case 5:
        return 4;  // given as numerator, denominator
      default:
        return 1;
    }
  }
  void Put(uint64_t v, size_t n) {
    for (size_t i = 0; i < n; ++i)
      bytes_ += static_cast<char>(v >> (8 * (big_endian_ ? n - 1 - i : i)));
  }
  void Patch(size_t at, uint64_t v) {
    std::string rest = bytes_.substr(at + OffsetSize());
    bytes_.resize(at);
    Put(v, OffsetSize());
    bytes_ += rest;
  }

  bool big_endian_;
  bool big_tiff_;
  std::string bytes_;
  size_t link_;
  std::map<uint16_t, Field> fields_;
};

}  // namespace tilecast
