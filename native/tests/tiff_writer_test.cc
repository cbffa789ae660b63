// SPDX-License-Identifier: MIT
// TiffWriter and TiffReader::ReadRegion: what is written is read back, whole and in parts, and a
// file is there whole or not at all.
#include "tiff/tiff_writer.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "error.h"
#include "exec/tiff_pyramid.h"
#include "scratch_folder.h"
#include "tiff/tiff_reader.h"

namespace tilecast {
namespace {

struct Image {
  std::vector<std::byte> bytes;
  Plane plane;
};

// Smooth with noise, so that codecs and predictors have something to do; floats of every kind are
// among them.
Image MakeImage(DType dtype, int64_t height, int64_t width, int64_t extra_stride = 0,
                unsigned seed = 1) {
  Image image;
  const auto size = static_cast<int64_t>(DTypeSize(dtype));
  const int64_t stride = (width + extra_stride) * size;
  image.bytes.resize(static_cast<size_t>(stride * height));
  image.plane = {image.bytes.data(), dtype, height, width, stride};
  std::mt19937 random(seed);
  Visit(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const double v = 1000 + 500 * std::sin(static_cast<double>(x + y) / 9) +
                         static_cast<double>(random() % 16);
        if constexpr (std::is_floating_point_v<T>) {
          image.plane.row<T>(y)[x] = static_cast<T>(random() % 97 == 0 ? -1 / v : v / 7);
        } else {
          image.plane.row<T>(y)[x] = static_cast<T>(static_cast<int64_t>(v * 77));
        }
      }
    }
  });
  return image;
}

std::vector<std::byte> Packed(const Plane& p, int64_t y, int64_t x, int64_t height, int64_t width) {
  const auto size = static_cast<int64_t>(DTypeSize(p.dtype));
  std::vector<std::byte> out(static_cast<size_t>(height * width * size));
  for (int64_t r = 0; r < height; ++r) {
    std::memcpy(out.data() + r * width * size, p.data + (y + r) * p.stride + x * size,
                static_cast<size_t>(width * size));
  }
  return out;
}

std::vector<std::byte> Region(TiffReader& reader, int page, int level, int64_t y, int64_t x,
                              int64_t height, int64_t width) {
  const DType dtype = reader.level(page, level).dtype;
  std::vector<std::byte> out(static_cast<size_t>(height * width) * DTypeSize(dtype));
  reader.ReadRegion(page, level, 0, y, x, PackedPlane(out.data(), dtype, height, width));
  return out;
}

std::vector<std::byte> Whole(TiffReader& reader, int page = 0) {
  const TiffPage& p = reader.page(page);
  std::vector<std::byte> out(static_cast<size_t>(p.height * p.width) * DTypeSize(p.dtype));
  reader.ReadPlane(page, 0, PackedPlane(out.data(), p.dtype, p.height, p.width));
  return out;
}

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

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

size_t Entries(const std::string& folder) {
  size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}

constexpr std::pair<TiffCodec, int> kCodecs[] = {{TiffCodec::kNone, 0},
                                                 {TiffCodec::kDeflate, 6},
                                                 {TiffCodec::kDeflate, 1},
                                                 {TiffCodec::kZstd, 3}};

}  // namespace

TEST_CASE("every dtype, codec, predictor, layout and size of offsets is read back as it was") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffWriter writer;
  TiffReader reader;
  for (int t = 0; t < kDTypeCount; ++t) {
    const auto dtype = static_cast<DType>(t);
    const Image first = MakeImage(dtype, 77, 133, 5);
    const Image second = MakeImage(dtype, 40, 64);
    for (const auto& [codec, level] : kCodecs) {
      for (const bool predictor : {false, true}) {
        for (const auto& [tile, rows] : {std::pair{64, 0}, {256, 0}, {0, 7}, {0, 0}}) {
          for (const bool big : {false, true}) {
            CAPTURE(DTypeName(dtype));
            CAPTURE(static_cast<int>(codec));
            CAPTURE(predictor);
            CAPTURE(tile);
            CAPTURE(rows);
            CAPTURE(big);
            TiffEncoding e;
            e.codec = codec;
            e.level = level;
            e.predictor = predictor;
            e.tile = tile;
            e.strip_rows = rows;
            if (big) e.classic_bytes = 0;
            writer.Open(path, e);
            writer.WritePage({&first.plane, 1}, {"text <\xc2\xb5>", 0.65, 0.325}, 2);
            writer.WritePage({&second.plane, 1}, {}, 1);
            const int64_t bytes = writer.Finish();

            reader.Open(path);
            CHECK(reader.file_bytes() == bytes);
            REQUIRE(reader.page_count() == 2);
            const TiffPage page = reader.page(0);
            CHECK(page.tiled == (tile > 0));
            CHECK(page.dtype == dtype);
            CHECK(page.description == "text <\xc2\xb5>");
            CHECK(page.pixel_size_x_um == doctest::Approx(0.65).epsilon(1e-8));
            CHECK(page.pixel_size_y_um == doctest::Approx(0.325).epsilon(1e-8));
            CHECK(page.predictor == (!predictor || codec == TiffCodec::kNone ? 1
                                     : IsFloat(dtype)                        ? 3
                                                                             : 2));
            CHECK(Whole(reader) == Packed(first.plane, 0, 0, 77, 133));
            CHECK(Whole(reader, 1) == Packed(second.plane, 0, 0, 40, 64));
            CHECK(Region(reader, 0, 0, 13, 50, 41, 70) == Packed(first.plane, 13, 50, 41, 70));
            CHECK(Region(reader, 0, 0, 5, 0, 60, 133) == Packed(first.plane, 5, 0, 60, 133));
            CHECK(Contents(path)[2] == (big ? 43 : 42));
          }
        }
      }
    }
  }
}

TEST_CASE("any region of any layout is what a crop of the plane is") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffWriter writer;
  TiffReader reader;
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const auto below = [&](int64_t n) {
      return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
    };
    const int64_t height = 1 + below(200);
    const int64_t width = 1 + below(200);
    const Image image = MakeImage(static_cast<DType>(below(kDTypeCount)), height, width, below(3));
    TiffEncoding e;
    std::tie(e.codec, e.level) = kCodecs[below(4)];
    e.predictor = below(2) != 0;
    e.tile = 16 * below(5);
    e.strip_rows = below(30);
    writer.Open(path, e);
    writer.WritePage({&image.plane, 1}, {});
    writer.Finish();
    reader.Open(path);
    for (int i = 0; i < 12; ++i) {
      const int64_t y = below(height), x = below(width);
      const int64_t h = 1 + below(height - y), w = 1 + below(width - x);
      REQUIRE(Region(reader, 0, 0, y, x, h, w) == Packed(image.plane, y, x, h, w));
    }
    // Into rows that lie apart: what is between them stays.
    Image into = MakeImage(image.plane.dtype, height, width, 4, 9);
    const Image before = MakeImage(image.plane.dtype, height, width, 4, 9);
    reader.ReadRegion(0, 0, 0, 0, 0, into.plane);
    CHECK(Packed(into.plane, 0, 0, height, width) == Packed(image.plane, 0, 0, height, width));
    Plane gap = into.plane, gap_before = before.plane;
    for (Plane* p : {&gap, &gap_before}) p->data += p->row_bytes();
    CHECK(Packed(gap, 0, 0, height - 1, 4) == Packed(gap_before, 0, 0, height - 1, 4));
  }
}

TEST_CASE("a region costs its chunks, not the image") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffWriter writer;
  TiffReader reader;
  const Image image = MakeImage(DType::kU16, 2048, 2048);
  constexpr int64_t kImage = 2048 * 2048 * 2;
  constexpr int64_t kHeaders = 128 * 1024;
  for (const int64_t tile : {256, 0}) {
    CAPTURE(tile);
    TiffEncoding e;
    e.codec = TiffCodec::kNone;
    e.tile = tile;
    e.strip_rows = 64;
    writer.Open(path, e);
    writer.WritePage({&image.plane, 1}, {});
    writer.Finish();
    reader.Open(path);
    CHECK(Region(reader, 0, 0, 300, 300, 100, 100) == Packed(image.plane, 300, 300, 100, 100));
    // One tile, or a hundred rows.
    CHECK(reader.bytes_read() <= kHeaders + (tile > 0 ? 256 * 256 * 2 : 100 * 2048 * 2));
    CHECK(reader.bytes_read() < kImage / 8);
    const int64_t before = reader.bytes_read();
    CHECK(Region(reader, 0, 0, 500, 500, 30, 30) == Packed(image.plane, 500, 500, 30, 30));
    // Four tiles, where they meet.
    CHECK(reader.bytes_read() - before <=
          kHeaders + (tile > 0 ? 4 * 256 * 256 * 2 : 30 * 2048 * 2));
  }
}

TEST_CASE(
    "a region that is not inside its image, a level or a page that is not there are refused") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffWriter writer;
  const Image image = MakeImage(DType::kU8, 20, 30);
  writer.Open(path, {});
  writer.WritePage({&image.plane, 1}, {});
  writer.Finish();
  TiffReader reader;
  reader.Open(path);
  std::vector<uint8_t> pixels(600);
  const auto read = [&](int level, int64_t y, int64_t x, int64_t h, int64_t w,
                        DType dtype = DType::kU8) {
    reader.ReadRegion(0, level, 0, y, x, PackedPlane(pixels.data(), dtype, h, w));
  };
  CHECK(std::string(Thrown(Code::kOpShape, [&] { read(0, 11, 0, 10, 10); }).what()) ==
        path +
            ", page 0: the region is 10 x 10 uint8 at row 11, column 0, the image 20 x 30 uint8");
  Thrown(Code::kOpShape, [&] { read(0, 0, 21, 10, 10); });
  Thrown(Code::kOpShape, [&] { read(0, -1, 0, 10, 10); });
  Thrown(Code::kOpShape, [&] { read(0, 0, 0, 0, 10); });
  Thrown(Code::kOpShape, [&] { read(0, int64_t{1} << 62, 0, 10, 10); });
  Thrown(Code::kOpShape, [&] { read(0, 0, 0, 10, 10, DType::kI8); });
  CHECK(std::string(Thrown(Code::kInvalidArgument, [&] { read(1, 0, 0, 10, 10); }).what()) ==
        path + ", page 0: there is no level 1: the page has 1");
  Thrown(Code::kInvalidArgument,
         [&] { reader.ReadRegion(0, 0, 1, 0, 0, PackedPlane(pixels.data(), DType::kU8, 10, 10)); });
  read(0, 10, 20, 10, 10);
}

TEST_CASE("pyramids lie in SubIFDs, each level the halves of the one before") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  TiffWriter writer;
  RawBuffer scratch;
  CHECK(PyramidLevels(300, 1025, 256) == 4);
  CHECK(PyramidLevels(200, 256, 256) == 1);
  TiffReader reader;
  for (const bool big : {false, true}) {
    TiffEncoding e;
    if (big) e.classic_bytes = 0;
    e.tile = 64;
    const Image first = MakeImage(DType::kU16, 300, 201, 0, 3);
    const Image second = MakeImage(DType::kU16, 300, 201, 0, 4);
    writer.Open(path, e);
    WritePyramid(writer, first.plane, 3, {}, 2, scratch);
    WritePyramid(writer, second.plane, 100, {}, 2, scratch);
    writer.Finish();
    reader.Open(path);
    CHECK(reader.page_count() == 2);
    REQUIRE(reader.levels(0) == 3);
    CHECK(reader.level(0, 1).height == 150);
    CHECK(reader.level(0, 1).width == 101);
    CHECK(reader.level(0, 1).thumbnail);
    CHECK_FALSE(reader.level(0, 0).thumbnail);
    CHECK(reader.levels(1) == PyramidLevels(300, 201, 1));
    // A page's first level is its plane, the second the means of four.
    CHECK(Region(reader, 1, 0, 7, 7, 200, 100) == Packed(second.plane, 7, 7, 200, 100));
    const std::vector<std::byte> half = Region(reader, 1, 1, 10, 20, 1, 1);
    double mean = 0;
    for (int i = 0; i < 4; ++i) mean += second.plane.row<uint16_t>(20 + i / 2)[40 + i % 2] / 4.0;
    uint16_t got;
    std::memcpy(&got, half.data(), 2);
    CHECK(got == doctest::Approx(mean).epsilon(1e-3));
    CHECK(reader.levels(0) == 3);
  }
}

TEST_CASE("a file is the same however many threads wrote it") {
  const ScratchFolder folder;
  const Image image = MakeImage(DType::kU16, 1500, 1400);
  std::string first;
  TiffWriter writer;
  for (const int threads : {1, 2, 5}) {
    const std::string path = folder.path() + "/" + std::to_string(threads) + ".tif";
    TiffEncoding e;
    e.level = 1;
    writer.Open(path, e);
    writer.WritePage({&image.plane, 1}, {}, threads);
    writer.WritePage({&image.plane, 1}, {}, threads);
    writer.Finish();
    if (first.empty()) first = Contents(path);
    CHECK(Contents(path) == first);
  }
}

TEST_CASE("a file becomes a BigTIFF where a classic one would be too large") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  const Image image = MakeImage(DType::kU8, 100, 100);
  TiffWriter writer;
  TiffEncoding e;
  e.codec = TiffCodec::kNone;
  e.tile = 0;
  const auto write = [&] {
    writer.Open(path, e);
    writer.WritePage({&image.plane, 1}, {});
    return static_cast<uint64_t>(writer.Finish());
  };
  e.classic_bytes = write();
  CHECK(Contents(path)[2] == 42);
  CHECK(write() == e.classic_bytes);
  CHECK(Contents(path)[2] == 42);
  --e.classic_bytes;
  write();
  CHECK(Contents(path)[2] == 43);
}

TEST_CASE("an old file stays until the new one is complete") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  std::ofstream(path) << "old";
  const Image image = MakeImage(DType::kU16, 500, 500);
  SUBCASE("when the writer is abandoned") {
    {
      TiffWriter writer;
      writer.Open(path, {});
      writer.WritePage({&image.plane, 1}, {});
      CHECK(Contents(path) == "old");
    }
    CHECK(Contents(path) == "old");
    CHECK(Entries(folder.path()) == 1);
  }
  SUBCASE("when its process is killed") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      TiffWriter writer;
      writer.Open(path, {});
      writer.WritePage({&image.plane, 1}, {});
      writer.WritePage({&image.plane, 1}, {});
      ::kill(::getpid(), SIGKILL);
      ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(Contents(path) == "old");
  }
  SUBCASE("when the disk is full, and says so") {
    // A limit of the process instead of a full disk: writes beyond it fail.
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{4096, 4096};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      TiffWriter writer;
      try {
        writer.Open(path, {});
        writer.WritePage({&image.plane, 1}, {}, 3);
        writer.Finish();
      } catch (const Error& e) {
        ::_exit(e.code() == Code::kIo && e.path() == path ? 42 : 1);
      }
      ::_exit(2);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 42);
    CHECK(Contents(path) == "old");
    CHECK(Entries(folder.path()) == 1);
  }
  TiffWriter writer;
  TiffEncoding e;
  e.sync = true;
  writer.Open(path, e);
  writer.WritePage({&image.plane, 1}, {});
  const int64_t bytes = writer.Finish();
  CHECK(Contents(path).size() == static_cast<size_t>(bytes));
  CHECK(Entries(folder.path()) == 1);
}

TEST_CASE("what cannot be written is refused with its reason") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.tif";
  const Image image = MakeImage(DType::kU16, 50, 50);
  TiffWriter writer;
  Thrown(Code::kInvalidArgument, [&] { writer.WritePage({&image.plane, 1}, {}); });
  Thrown(Code::kInvalidArgument, [&] { writer.Finish(); });
  CHECK(Thrown(Code::kIo, [&] { writer.Open(folder.path() + "/no/a.tif", {}); }).path() ==
        folder.path() + "/no/a.tif");
  CHECK(std::string(Thrown(Code::kIo, [&] { writer.Open(folder.path(), {}); }).what()) ==
        folder.path() + ": is a directory, not a file");
  TiffEncoding e;
  e.tile = 100;
  CHECK(std::string(Thrown(Code::kInvalidArgument, [&] { writer.Open(path, e); }).what()) ==
        "tile must be a multiple of 16 up to 32768, or 0 for strips, got 100");
  e = {};
  e.level = 13;
  CHECK(std::string(Thrown(Code::kInvalidArgument, [&] { writer.Open(path, e); }).what()) ==
        "level must be 0 to 12, got 13");
  writer.Open(path, {});
  CHECK(Thrown(Code::kInvalidArgument, [&] { writer.Finish(); }).path() == path);
  const Plane twice[] = {image.plane, image.plane};
  Thrown(Code::kOpShape, [&] { writer.WritePage(twice, {}); });
  Plane empty = image.plane;
  empty.height = 0;
  Thrown(Code::kOpShape, [&] { writer.WritePage({&empty, 1}, {}); });
  writer.Abandon();
  CHECK(Entries(folder.path()) == 0);
}

}  // namespace tilecast
