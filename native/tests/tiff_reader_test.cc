// SPDX-License-Identifier: MIT
// TiffReader on files made here: what it refuses and how, and what real writers do that no
// specification allows.
#include <doctest/doctest.h>

#include <libdeflate.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "error.h"
#include "scratch_folder.h"
#include "tiff/tiff_reader.h"
#include "tiff/tiff_scan.h"
#include "tiff_fixture.h"

namespace tilecast {
namespace {

std::string Words(const std::vector<uint16_t>& values, bool big_endian = false) {
  std::string s;
  for (const uint16_t v : values) {
    s += static_cast<char>(big_endian ? v >> 8 : v);
    s += static_cast<char>(big_endian ? v : v >> 8);
  }
  return s;
}

std::string Deflate(const std::string& data) {
  auto* c = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_zlib_compress_bound(c, data.size()), '\0');
  out.resize(libdeflate_zlib_compress(c, data.data(), data.size(), out.data(), out.size()));
  libdeflate_free_compressor(c);
  return out;
}

template <class T>
std::vector<T> ReadAs(TiffReader& reader, int page = 0, int sample = 0) {
  const TiffPage& p = reader.page(page);
  REQUIRE(p.dtype == DTypeOf<T>::value);
  std::vector<T> pixels(static_cast<size_t>(p.width * p.height));
  reader.ReadPlane(page, sample, PackedPlane(pixels.data(), p.dtype, p.height, p.width));
  return pixels;
}

// Runs f, which must throw an Error of `code`; returns it.
Error Thrown(Code code, const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    INFO(e.what());
    REQUIRE(e.code() == code);
    return e;
  }
  FAIL("nothing was thrown");
  return Error(Code::kInternal, "");
}

// 3 x 2 pixels, one strip a row.
TiffFixture SmallFile(bool big_endian = false, bool big_tiff = false) {
  TiffFixture w(big_endian, big_tiff);
  w.Grey(3, 2, 16, 1, 1, {Words({1, 2, 3}, big_endian), Words({4, 5, 600}, big_endian)});
  return w;
}

const std::vector<uint16_t> kSmallPixels = {1, 2, 3, 4, 5, 600};

}  // namespace

TEST_CASE("reads both byte orders, classic and BigTIFF") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  for (const bool big_endian : {false, true}) {
    for (const bool big_tiff : {false, true}) {
      CAPTURE(big_endian);
      CAPTURE(big_tiff);
      TiffFixture w = SmallFile(big_endian, big_tiff);
      w.Page();
      w.Save(path);
      reader.Open(path);
      CHECK(reader.page_count() == 1);
      CHECK(reader.page(0).big_endian == big_endian);
      CHECK(reader.page(0).chunk_height == 1);
      CHECK(ReadAs<uint16_t>(reader) == kSmallPixels);
      CHECK(reader.file_bytes() == static_cast<int64_t>(w.bytes().size()));
    }
  }
}

TEST_CASE("gives the pixel size in micrometres when the unit is known") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  struct {
    uint64_t unit;
    double x, y;
  } const cases[] = {{2, 254.0, 127.0}, {3, 100.0, 50.0}, {1, 0, 0}};
  for (const auto& c : cases) {
    TiffFixture w = SmallFile();
    w.Set(282, 5, {100, 1});
    w.SetCount(282, 1);
    w.Set(283, 5, {200, 1});
    w.SetCount(283, 1);
    w.Set(296, 3, {c.unit});
    w.Page();
    w.Save(path);
    reader.Open(path);
    CHECK(reader.page(0).pixel_size_x_um == doctest::Approx(c.x));
    CHECK(reader.page(0).pixel_size_y_um == doctest::Approx(c.y));
  }
  TiffFixture w = SmallFile();
  w.Set(282, 5, {100, 0});  // a denominator of zero is no size
  w.SetCount(282, 1);
  w.Page();
  w.Save(path);
  reader.Open(path);
  CHECK(reader.page(0).pixel_size_x_um == 0);
}

TEST_CASE("reads the description up to its end, and lives without one that lies outside the file") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  TiffFixture w = SmallFile();
  const std::string text = "<MetaData>\xc2\xb5m</MetaData>";
  std::vector<uint64_t> bytes(text.begin(), text.end());
  for (uint64_t& b : bytes) b &= 0xff;
  bytes.push_back(0);
  w.Set(270, 2, bytes);
  w.Page();
  w.Save(path);
  reader.Open(path);
  CHECK(reader.layout(0).description.empty());
  CHECK(reader.page(0).description == text);

  w = SmallFile();
  w.Set(270, 2, {'l', 'o', 'n', 'g', 'e', 'r'});
  w.SetCount(270, 1'000'000);
  w.Page();
  w.Save(path);
  reader.Open(path);
  CHECK(reader.page(0).description.empty());
  CHECK(ReadAs<uint16_t>(reader) == kSmallPixels);
}

TEST_CASE("strip byte counts may be missing from uncompressed files only") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  TiffFixture w = SmallFile();
  w.Remove(279);
  w.Page();
  w.Save(path);
  reader.Open(path);
  CHECK(ReadAs<uint16_t>(reader) == kSmallPixels);

  w = SmallFile();
  w.Set(259, 3, {8});
  w.Remove(279);
  w.Page();
  w.Save(path);
  reader.Open(path);
  const Error e = Thrown(Code::kTiffDamaged, [&] { ReadAs<uint16_t>(reader); });
  CHECK(std::string(e.what()).find("StripByteCounts is missing") != std::string::npos);
}

TEST_CASE("a strip that is too short names its page and where it lies") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  TiffFixture w;
  const std::string good = Deflate(Words({1, 2, 3}));
  const std::string shorter = Deflate(Words({4, 5}));
  w.Grey(3, 2, 16, 1, 8, {good, good});
  w.Page();
  w.Grey(3, 2, 16, 1, 8, {good, shorter});
  const uint64_t end = w.bytes().size();
  w.Page();
  w.Save(path);
  reader.Open(path);
  CHECK(ReadAs<uint16_t>(reader, 0) == std::vector<uint16_t>{1, 2, 3, 1, 2, 3});
  const Error e = Thrown(Code::kTiffDamaged, [&] { ReadAs<uint16_t>(reader, 1); });
  CHECK(e.path() == path);
  CHECK(e.page() == 1);
  const auto offset = static_cast<int64_t>(end - (shorter.size() + 1) / 2 * 2);
  CHECK(e.offset() == offset);
  CHECK(std::string(e.what()) == path + ", page 1, byte " + std::to_string(offset) +
                                     ": strip 1 (deflate, " + std::to_string(shorter.size()) +
                                     " bytes) decodes to 4 of 6 bytes");
}

TEST_CASE("a strip that is longer than its rows is read to the end of the image") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  TiffFixture w;
  // The last strip is padded to its full height, and bytes follow the stream.
  w.Grey(3, 3, 16, 2, 8,
         {Deflate(Words({1, 2, 3, 4, 5, 6})), Deflate(Words({7, 8, 9, 0, 0, 0})) + "padding"});
  w.Page();
  w.Save(path);
  reader.Open(path);
  CHECK(ReadAs<uint16_t>(reader) == std::vector<uint16_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("strips may lie in any order and far apart") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  for (const uint16_t compression : {1, 8}) {
    CAPTURE(compression);
    TiffFixture w;
    std::vector<uint16_t> pixels;
    std::vector<std::string> strips;
    for (uint16_t y = 0; y < 40; ++y) {
      std::vector<uint16_t> row(30);
      for (size_t x = 0; x < row.size(); ++x) row[x] = static_cast<uint16_t>(y * 1000 + x * x);
      pixels.insert(pixels.end(), row.begin(), row.end());
      strips.push_back(compression == 8 ? Deflate(Words(row)) : Words(row));
    }
    w.Grey(30, 40, 16, 1, compression, strips);
    // The same strips again: odd ones descending, with gaps of up to 2 MB, even ones ascending.
    std::vector<uint64_t> offsets(40), counts(40);
    for (size_t i = 40; i-- > 0;) {
      if (i % 2 == 0) continue;
      w.Data(std::string(i % 8 == 1 ? 2'000'000 : 40'000 * (i % 3), 'g'));
      offsets[i] = w.Data(strips[i]);
    }
    for (size_t i = 0; i < 40; ++i) {
      counts[i] = strips[i].size();
      if (i % 2 == 0) offsets[i] = w.Data(strips[i]);
    }
    w.Set(273, 4, offsets);
    w.Set(279, 4, counts);
    w.Page();
    w.Save(path);
    reader.Open(path);
    CHECK(ReadAs<uint16_t>(reader) == pixels);
  }
}

TEST_CASE("a chain of pages that runs in a circle is damaged, and its pages can be read") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  TiffFixture w = SmallFile();
  const uint64_t first = w.Page();
  w.Page();
  w.Link(first);
  w.Save(path);
  reader.Open(path);
  CHECK(ReadAs<uint16_t>(reader, 1) == kSmallPixels);
  const Error e = Thrown(Code::kTiffDamaged, [&] { reader.page_count(); });
  CHECK(std::string(e.what()).find("circle") != std::string::npos);
}

TEST_CASE("claims of absurd size cost neither memory nor time") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  const auto damaged = [&](const std::function<void(TiffFixture&)>& change, bool big_tiff = true) {
    TiffFixture w = SmallFile(false, big_tiff);
    change(w);
    w.Page();
    w.Save(path);
    Thrown(Code::kTiffDamaged, [&] {
      reader.Open(path);
      const TiffPage& p = reader.page(0);
      // No such plane exists; the reader must refuse before it touches it.
      std::byte nothing[1];
      reader.ReadPlane(0, 0, PackedPlane(nothing, p.dtype, p.height, p.width));
    });
  };
  SUBCASE("sides") {
    damaged([](TiffFixture& w) { w.Set(256, 16, {uint64_t{1} << 40}); });
    damaged([](TiffFixture& w) { w.Set(257, 16, {0}); });
    damaged([](TiffFixture& w) { w.Set(256, 4, {0x7fffffff}), w.Set(257, 4, {0x7fffffff}); });
    damaged([](TiffFixture& w) { w.Set(257, 4, {0x7fffffff}); });
    damaged([](TiffFixture& w) {
      w.Set(257, 4, {0x7fffffff}), w.Set(278, 4, {0x7fffffff}), w.Set(259, 3, {50000});
    });
  }
  SUBCASE("samples") {
    damaged([](TiffFixture& w) {
      w.Set(277, 3, {65535}), w.Set(256, 4, {0x7fffffff}), w.Set(257, 4, {0x7fffffff});
    });
    damaged([](TiffFixture& w) { w.Set(277, 3, {0}); });
    // One strip of 2^79 bytes, which 64 bits do not count.
    for (const uint16_t compression : {1, 5, 8, 32773, 50000}) {
      damaged([=](TiffFixture& w) {
        w.Set(259, 3, {compression});
        w.Set(277, 3, {65535});
        w.Set(256, 4, {0x7fffffff});
        w.Set(257, 4, {0x7fffffff});
        w.Set(278, 4, {0x7fffffff});
      });
    }
  }
  SUBCASE("strips") {
    damaged([](TiffFixture& w) { w.Set(278, 3, {0}); });
    damaged([](TiffFixture& w) { w.SetCount(273, uint64_t{1} << 61); });
    damaged([](TiffFixture& w) { w.SetCount(273, 1); });
    damaged([](TiffFixture& w) { w.SetCount(279, ~uint64_t{0}); });
    damaged([](TiffFixture& w) { w.Set(273, 16, {~uint64_t{0}, ~uint64_t{0} - 2}); });
    damaged([](TiffFixture& w) { w.Set(279, 16, {~uint64_t{0}, 1}), w.Set(259, 3, {5}); });
    damaged([](TiffFixture& w) { w.Set(273, 16, {9'000'000, 9'000'000}); });
  }
  SUBCASE("tiles") {
    damaged([](TiffFixture& w) { w.Set(322, 4, {0x7fffffff}), w.Set(323, 4, {0x7fffffff}); });
    damaged([](TiffFixture& w) { w.Set(322, 4, {0}), w.Set(323, 4, {16}); });
    damaged([](TiffFixture& w) {
      w.Set(322, 4, {1}), w.Set(323, 4, {1}), w.Set(256, 4, {0x7fffffff});
    });
  }
}

TEST_CASE("files that are no TIFF say so") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  const auto message = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return std::string(Thrown(Code::kTiffDamaged, [&] { reader.Open(path); }).what());
  };
  CHECK(message("") == path + ": the file is empty");
  CHECK(message("II*") == path + ": not a TIFF: only 3 bytes");
  CHECK(message("\x89PNG\r\n\x1a\n...") ==
        path + ", byte 0: not a TIFF: it starts with neither II nor MM");
  CHECK(message(std::string("II\x2c\0\0\0\0\0", 8)) ==
        path + ", byte 2: not a TIFF: version 44, expected 42 or 43");
  CHECK(message(std::string("II*\0\0\0\0\0", 8)) ==
        path + ": the file has no page: its writer did not finish");
  CHECK(message(std::string("II*\0\xff\xff\0\0", 8)).find("behind the end of the file") !=
        std::string::npos);
}

TEST_CASE("folders, FIFOs and missing files are refused by the system's name for it") {
  const ScratchFolder folder;
  TiffReader reader;
  const std::string fifo = folder.path() + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(std::string(Thrown(Code::kIo, [&] { reader.Open(fifo); }).what()) ==
        fifo + ": is not a regular file");
  CHECK(std::string(Thrown(Code::kIo, [&] { reader.Open(folder.path()); }).what()) ==
        folder.path() + ": is a directory, not a file");
  const std::string missing = folder.path() + "/missing.tif";
  CHECK(std::string(Thrown(Code::kIo, [&] { reader.Open(missing); }).what()) ==
        missing + ": open failed: No such file or directory");
}

TEST_CASE("a file that shrinks while it is open is damaged") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffFixture w;
  const std::string rows(200'000, 'x');
  w.Grey(1000, 200, 8, 200, 1, {rows});
  w.Page();
  w.Save(path);
  TiffReader reader;
  reader.Open(path);
  REQUIRE(::truncate(path.c_str(), 50'000) == 0);
  const Error e = Thrown(Code::kTiffDamaged, [&] { ReadAs<uint8_t>(reader); });
  CHECK(std::string(e.what()).find("became shorter") != std::string::npos);
}

TEST_CASE("wrong destinations, pages and samples are refused") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffFixture w = SmallFile();
  w.Page();
  w.Save(path);
  TiffReader reader;
  reader.Open(path);
  uint16_t pixels[12];
  const Error e = Thrown(Code::kOpShape,
                         [&] { reader.ReadPlane(0, 0, PackedPlane(pixels, DType::kU8, 2, 3)); });
  CHECK(std::string(e.what()) ==
        path + ", page 0: the destination is 2 x 3 uint8, the page 2 x 3 uint16");
  Thrown(Code::kOpShape, [&] { reader.ReadPlane(0, 0, PackedPlane(pixels, DType::kU16, 3, 2)); });
  Thrown(Code::kInvalidArgument,
         [&] { reader.ReadPlane(0, 1, PackedPlane(pixels, DType::kU16, 2, 3)); });
  Thrown(Code::kInvalidArgument, [&] { reader.page(1); });
  Thrown(Code::kInvalidArgument, [&] { reader.page(-1); });
  reader.Close();
  Thrown(Code::kInvalidArgument, [&] { reader.page(0); });
}

TEST_CASE("pixel types and compressions that cannot be read are named") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  TiffFixture w = SmallFile();
  w.Set(258, 3, {64});
  w.Page();
  w.Save(path);
  Error e = Thrown(Code::kTiffUnsupported, [&] { reader.Open(path); });
  CHECK(std::string(e.what()).find("64 bits (unsigned)") != std::string::npos);

  w = SmallFile();
  w.Set(259, 3, {34712});
  w.Page();
  w.Save(path);
  reader.Open(path);
  CHECK(!reader.page(0).fast_path);
  e = Thrown(Code::kTiffUnsupported, [&] { ReadAs<uint16_t>(reader); });
  CHECK(std::string(e.what()).find("jpeg2000 compression") != std::string::npos);
}

TEST_CASE("strips that share bytes are read alike in either byte order") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffReader reader;
  for (const bool big_endian : {false, true}) {
    TiffFixture w(big_endian);
    const std::string row = Words({1, 2, 300}, big_endian);
    w.Grey(3, 2, 16, 1, 1, {row});
    w.Set(273, 4, {8, 8});
    w.Set(279, 4, {row.size(), row.size()});
    w.Page();
    w.Save(path);
    reader.Open(path);
    CHECK(ReadAs<uint16_t>(reader) == std::vector<uint16_t>{1, 2, 300, 1, 2, 300});
  }
}

TEST_CASE("a scan gives each file its own result") {
  const ScratchFolder folder;
  std::vector<std::string> paths;
  for (size_t i = 0; i < 40; ++i) {
    paths.push_back(folder.path() + "/" + std::to_string(i) + ".tif");
    TiffFixture w;
    w.Grey(i + 1, 1, 8, 1, 1, {std::string(i + 1, 'x')});
    w.Set(270, 2, {'d', 0});
    w.Page();
    w.Page();
    if (i % 4 == 3) w.bytes().resize(20);
    w.Save(paths.back());
  }
  paths.push_back(folder.path() + "/missing.tif");
  for (const int threads : {1, 3, 100}) {
    const std::vector<TiffScanResult> results = ScanTiffs(paths, {true, true, threads});
    REQUIRE(results.size() == paths.size());
    for (size_t i = 0; i < 40; ++i) {
      if (i % 4 == 3) {
        REQUIRE(results[i].error);
        CHECK(results[i].error->code() == Code::kTiffDamaged);
        CHECK(results[i].error->path() == paths[i]);
        continue;
      }
      REQUIRE(!results[i].error);
      CHECK(results[i].page.width == static_cast<int64_t>(i + 1));
      CHECK(results[i].pages == 2);
      CHECK(results[i].page.description == "d");
      CHECK(results[i].bytes > 0);
      CHECK(results[i].mtime_ms > 1e12);
    }
    CHECK(results[40].error->code() == Code::kIo);
  }
  CHECK(ScanTiffs(paths, {false, false, 2})[0].pages == -1);
  CHECK(ScanTiffs({}, {true, true, 2}).empty());
}

}  // namespace tilecast
