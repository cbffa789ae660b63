// SPDX-License-Identifier: MIT
// Files of which parts are here: what a reader finds, what it asks for, and that asking ends.
#include "file_parts.h"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "error.h"
#include "image.h"
#include "tiff/tiff_reader.h"

namespace tilecast {
namespace {

constexpr uint64_t kBlock = 64;

// An uncompressed image of 40 x 30 bytes in strips of one row, far behind its directory.
std::string Tiff() {
  std::string file("II*\0\x08\0\0\0", 8);
  const auto put = [&](uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file.push_back(static_cast<char>(value >> (8 * i)));
  };
  constexpr uint32_t kRows = 30, kPixels = 20000;
  const uint32_t arrays = 8 + 2 + 9 * 12 + 4;
  const auto entry = [&](int tag, int type, uint32_t count, uint32_t value) {
    put(static_cast<uint64_t>(tag), 2);
    put(static_cast<uint64_t>(type), 2);
    put(count, 4);
    put(value, 4);
  };
  put(9, 2);
  entry(256, 4, 1, 40);
  entry(257, 4, 1, kRows);
  entry(258, 3, 1, 8);
  entry(259, 3, 1, 1);
  entry(262, 3, 1, 1);
  entry(273, 4, kRows, arrays);
  entry(277, 3, 1, 1);
  entry(278, 4, 1, 1);
  entry(279, 4, kRows, arrays + 4 * kRows);
  put(0, 4);
  for (uint32_t i = 0; i < kRows; ++i) put(kPixels + i * 50, 4);
  for (uint32_t i = 0; i < kRows; ++i) put(40, 4);
  file.resize(kPixels + kRows * 50);
  for (uint32_t i = 0; i < kRows * 50; ++i) file[kPixels + i] = static_cast<char>(i % 251);
  return file;
}

// Blocks of a file, fetched when they are asked for.
struct Fetcher {
  explicit Fetcher(const std::string& f) : file(f) {
    parts.name = "https://example.org/a.tif";
    parts.size = f.size();
  }
  void Fetch(FileRange range) {
    for (uint64_t i = range.offset / kBlock; i * kBlock < range.offset + range.bytes; ++i) {
      const uint64_t at = i * kBlock;
      blocks[i] = file.substr(at, kBlock);
    }
    parts.parts.clear();
    for (const auto& [i, block] : blocks) {
      parts.parts.push_back(
          {i * kBlock, reinterpret_cast<const uint8_t*>(block.data()), block.size()});
    }
  }
  const std::string& file;
  std::map<uint64_t, std::string> blocks;
  FileParts parts;
};

}  // namespace

TEST_CASE("parts are read across their borders, and gaps are seen") {
  const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 6, 7};
  const FileParts file{"f", 100, {{10, bytes, 4}, {14, bytes + 4, 2}, {20, bytes + 6, 2}}};
  CHECK(file.Has({10, 6}));
  CHECK(file.Has({12, 3}));
  CHECK(file.Has({20, 2}));
  CHECK(file.Has({50, 0}));
  CHECK(!file.Has({10, 7}));
  CHECK(!file.Has({9, 1}));
  CHECK(!file.Has({16, 1}));
  CHECK(!file.Has({20, 3}));
  uint8_t out[8] = {};
  CHECK(file.Read(12, 8, out) == 2);
  CHECK(out[0] == 2);
  CHECK(out[1] == 3);
  CHECK(file.Read(16, 1, out) == 0);
  CHECK(file.Read(0, 1, out) == 0);
}

TEST_CASE("a TIFF is read from the ranges that the reader asks for, and no others") {
  const std::string file = Tiff();
  Fetcher fetcher(file);
  TiffReader reader;
  std::vector<std::byte> pixels(40 * 30);
  int rounds = 0;
  for (bool done = false; !done;) {
    REQUIRE(++rounds < 20);
    try {
      reader.Open(fetcher.parts);
      std::vector<FileRange> wanted;
      for (const FileRange& range : reader.PixelRanges(0, 0, 0, 0, 0, 30, 40)) {
        if (!fetcher.parts.Has(range)) wanted.push_back(range);
      }
      for (const FileRange& range : wanted) fetcher.Fetch(range);
      if (!wanted.empty()) continue;
      reader.ReadPlane(0, 0, PackedPlane(pixels.data(), DType::kU8, 30, 40));
      CHECK(reader.missing().bytes == 0);
      done = true;
    } catch (const Error& e) {
      CHECK(e.code() == Code::kIo);
      CHECK(e.path() == fetcher.parts.name);
      const FileRange missing = reader.missing();
      REQUIRE(missing.bytes > 0);
      REQUIRE(!fetcher.parts.Has(missing));
      fetcher.Fetch(missing);
    }
  }
  reader.Close();
  for (int row = 0; row < 30; ++row) {
    CHECK(std::memcmp(pixels.data() + row * 40, file.data() + 20000 + row * 50, 40) == 0);
  }
  // The head (16 KiB) and the pixels; of the nothing between them, no block but those at their
  // edges.
  CHECK(fetcher.blocks.size() < (16 * 1024 + 30 * 50) / kBlock + 4);
}

TEST_CASE("a file that became readable again is not missing anything") {
  const std::string file = Tiff();
  Fetcher fetcher(file);
  TiffReader reader;
  CHECK_THROWS_AS(reader.Open(fetcher.parts), Error);
  CHECK(reader.missing().bytes > 0);
  fetcher.Fetch({0, file.size()});
  reader.Open(fetcher.parts);
  CHECK(reader.missing().bytes == 0);
  CHECK(reader.page_count() == 1);
}

}  // namespace tilecast
