// SPDX-License-Identifier: MIT
// Reads the files that scripts/make-tiff-corpus.py wrote with tifffile, demands its pixels exactly,
// and then damages every file in many ways.
//
// TILECAST_TIFF_CORPUS names the folder; scripts/test.mjs makes it. TILECAST_TIFF_FUZZ multiplies
// the number of mutations.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "error.h"
#include "scratch_folder.h"
#include "tiff/tiff_libtiff.h"
#include "tiff/tiff_reader.h"

namespace tilecast {
namespace {

struct Sample {
  std::string name, dtype, path;
  int pages = 0, samples = 0;
  int64_t width = 0, height = 0;
};

const char* Folder() {
  const char* folder = std::getenv("TILECAST_TIFF_CORPUS");
  if (folder == nullptr)
    MESSAGE("TILECAST_TIFF_CORPUS is not set: the corpus written by tifffile is left out");
  return folder;
}

std::vector<Sample> Manifest(const std::string& folder) {
  std::ifstream in(folder + "/manifest.tsv");
  REQUIRE(in.good());
  std::vector<Sample> all;
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    Sample s;
    cells >> s.name >> s.pages >> s.samples >> s.dtype >> s.width >> s.height >> s.path;
    REQUIRE(!cells.fail());
    all.push_back(s);
  }
  REQUIRE(all.size() > 300);
  return all;
}

std::vector<char> Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("reads every file of the corpus as tifffile does") {
  const char* folder = Folder();
  if (folder == nullptr) return;
  TiffReader reader;  // one for all, as a worker has
  for (const Sample& s : Manifest(folder)) {
    CAPTURE(s.name);
    if (s.path == "libtiff")
      REQUIRE_MESSAGE(!LibtiffVersion().empty(), "install libtiff to run this test");
    reader.Open(folder + ("/" + s.name));
    REQUIRE(reader.page_count() == s.pages);
    const std::vector<char> expected =
        Bytes(folder + std::string("/").append(s.name, 0, s.name.size() - 4).append(".raw"));
    size_t at = 0;
    for (int page = 0; page < s.pages; ++page) {
      const TiffPage& p = reader.page(page);
      CHECK(p.width == s.width);
      CHECK(p.height == s.height);
      CHECK(p.samples == s.samples);
      CHECK(DTypeName(p.dtype) == s.dtype);
      CHECK(p.fast_path == (s.path == "fast"));
      for (int sample = 0; sample < s.samples; ++sample) {
        // Once packed and once with padded rows: the two go through different code.
        for (const int64_t padding : {0, 16}) {
          const int64_t row = p.width * static_cast<int64_t>(DTypeSize(p.dtype));
          std::vector<char> pixels(static_cast<size_t>((row + padding) * p.height), char(0x5a));
          const Plane plane{reinterpret_cast<std::byte*>(pixels.data()), p.dtype, p.height, p.width,
                            row + padding};
          reader.ReadPlane(page, sample, plane);
          REQUIRE(at + static_cast<size_t>(row * p.height) <= expected.size());
          bool equal = true;
          bool untouched = true;
          for (int64_t y = 0; y < p.height; ++y) {
            const char* got = pixels.data() + y * (row + padding);
            equal = equal &&
                    std::memcmp(got, expected.data() + at + y * row, static_cast<size_t>(row)) == 0;
            untouched = untouched && std::all_of(got + row, got + row + padding,
                                                 [](char c) { return c == 0x5a; });
          }
          CHECK_MESSAGE(equal, "page " << page << ", sample " << sample << ", padding " << padding);
          CHECK_MESSAGE(untouched, "bytes between the rows were written");
        }
        at += static_cast<size_t>(p.width * p.height) * DTypeSize(p.dtype);
      }
    }
    CHECK(at == expected.size());
  }
}

namespace {

// Reads whatever of the file can be read; only a typed Error may come out, and only of the kinds
// that say something about a file. Returns whether anything failed.
bool ReadAll(TiffReader& reader, const std::string& path) {
  // A field that claims a huge image is the caller's to refuse (a pool's slot is too small): no
  // test needs that much memory.
  constexpr int64_t kMaxPixels = 4 << 20;
  bool failed = false;
  const auto attempt = [&](auto&& f) {
    try {
      f();
    } catch (const Error& e) {
      failed = true;
      const bool expected = e.code() == Code::kTiffDamaged || e.code() == Code::kTiffUnsupported;
      CHECK_MESSAGE(expected, e.what());
      CHECK(e.path() == path);
    }
  };
  int pages = 0;
  attempt([&] {
    reader.Open(path);
    pages = 1;
    pages = reader.page_count();
  });
  std::vector<char> pixels;
  for (int page = 0; page < std::min(pages, 8); ++page) {
    attempt([&] {
      const TiffPage& p = reader.page(page);
      if (p.width > kMaxPixels / p.height) return;
      pixels.resize(static_cast<size_t>(p.width * p.height) * DTypeSize(p.dtype));
      for (int sample = 0; sample < std::min(p.samples, 2); ++sample) {
        reader.ReadPlane(page, sample, PackedPlane(pixels.data(), p.dtype, p.height, p.width));
      }
    });
  }
  return failed;
}

// One file that takes every damaged form in turn; kept open, as creating tens of thousands of files
// would be most of the test's time.
class DamagedFile {
 public:
  explicit DamagedFile(const std::string& path)
      : path_(path), fd_(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
    REQUIRE(fd_ >= 0);
  }
  ~DamagedFile() { ::close(fd_); }
  DamagedFile(const DamagedFile&) = delete;
  DamagedFile& operator=(const DamagedFile&) = delete;
  void Become(const char* bytes, size_t n) {
    REQUIRE(::ftruncate(fd_, static_cast<off_t>(n)) == 0);
    REQUIRE(::pwrite(fd_, bytes, n, 0) == static_cast<ssize_t>(n));
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_;
};

size_t DirectoryOffset(const std::vector<char>& b) {
  const bool big_endian = b[0] == 'M';
  const bool big_tiff = (big_endian ? b[3] : b[2]) == 43;
  const size_t n = big_tiff ? 8 : 4;
  uint64_t offset = 0;
  for (size_t i = 0; i < n; ++i) {
    offset = offset << 8 | static_cast<uint8_t>(b[n + (big_endian ? i : n - 1 - i)]);
  }
  return std::min<uint64_t>(offset, b.size() - 1);
}

}  // namespace

TEST_CASE("a damaged file of the corpus is a typed error or an image, never more") {
  const char* folder = Folder();
  if (folder == nullptr) return;
  const char* factor_text = std::getenv("TILECAST_TIFF_FUZZ");
  const int factor = factor_text == nullptr ? 1 : std::atoi(factor_text);
  const ScratchFolder scratch;
  DamagedFile damaged(scratch.path() + "/damaged.tif");
  TiffReader reader;
  std::mt19937_64 random(7);
  const auto below = [&](uint64_t n) { return static_cast<size_t>(random() % n); };
  int failures = 0;
  int reads = 0;
  for (const Sample& s : Manifest(folder)) {
    CAPTURE(s.name);
    const std::vector<char> original = Bytes(folder + ("/" + s.name));
    if (original.size() > 200'000)
      continue;  // structure is what is damaged here, and small files have it all
    const bool through_libtiff = s.path == "libtiff";
    // The short form: twenty damaged forms of each file, some 14 000 in all, fewer where libtiff
    // decodes.
    const int truncations = (through_libtiff ? 2 : 4) * factor;
    const int mutations = (through_libtiff ? 6 : 16) * factor;
    for (int i = 0; i < truncations; ++i) {
      damaged.Become(original.data(), below(original.size()));
      failures += ReadAll(reader, damaged.path());
      ++reads;
    }
    const size_t directory = DirectoryOffset(original);
    for (int i = 0; i < mutations; ++i) {
      std::vector<char> bytes = original;
      const size_t edits = 1 + below(4);
      for (size_t e = 0; e < edits; ++e) {
        // Two in three edits hit the header or the directory, which steer everything else.
        const size_t kind = below(6);
        const size_t at = kind == 0  ? below(16)
                          : kind < 4 ? std::min(directory + below(260), bytes.size() - 1)
                                     : below(bytes.size());
        constexpr uint8_t interesting[] = {0, 1, 2, 3, 4, 5, 8, 16, 0x7f, 0x80, 0xfe, 0xff};
        switch (below(4)) {
          case 0:
            bytes[at] = static_cast<char>(random());
            break;
          case 1:
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
            break;
          case 2:
            bytes[at] = static_cast<char>(interesting[below(std::size(interesting))]);
            break;
          default:
            for (size_t k = at; k < std::min(at + 4, bytes.size()); ++k)
              bytes[k] = static_cast<char>(0xff);
        }
      }
      damaged.Become(bytes.data(), bytes.size());
      failures += ReadAll(reader, damaged.path());
      ++reads;
    }
  }
  // The mutations must bite, and must not all be caught at the door.
  CHECK(failures > reads / 4);
  CHECK(failures < reads);
}

}  // namespace tilecast
