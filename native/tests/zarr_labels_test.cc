// SPDX-License-Identifier: MIT
// Labels written from their runs: what is read back is what painting them gives, in every encoding.
#include <doctest/doctest.h>
#include <lz4.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "ops/label.h"
#include "ops/resample.h"
#include "scratch_folder.h"
#include "zarr/lz4_runs.h"
#include "zarr/plane_reader.h"
#include "zarr/plane_writer.h"

namespace tilecast {
namespace {

// Discs and single pixels; labels of up to `bits` bits.
std::vector<int32_t> Painted(int64_t height, int64_t width, int count, int bits, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> out(static_cast<size_t>(height * width));
  for (int i = 0; i < count; ++i) {
    const auto cy = static_cast<int64_t>(random() % static_cast<uint64_t>(height));
    const auto cx = static_cast<int64_t>(random() % static_cast<uint64_t>(width));
    const auto radius = static_cast<int64_t>(random() % 12);
    const auto label = static_cast<int32_t>(random() % ((uint64_t{1} << bits) - 1) + 1);
    for (int64_t y = std::max<int64_t>(0, cy - radius); y < std::min(height, cy + radius + 1);
         ++y) {
      for (int64_t x = std::max<int64_t>(0, cx - radius); x < std::min(width, cx + radius + 1);
           ++x) {
        if ((y - cy) * (y - cy) + (x - cx) * (x - cx) <= radius * radius)
          out[static_cast<size_t>(y * width + x)] = label;
      }
    }
  }
  return out;
}

ZarrArray ArrayOf(const std::string& dir, const ZarrEncoding& e, int64_t height, int64_t width) {
  ZarrArray a;
  a.dir = dir;
  a.key_prefix = e.format == 3 ? "c" : "";
  a.separator = e.separator;
  a.dtype = DType::kI32;
  a.shape = {1, height, width};
  const int64_t h = std::min(e.chunk, height), w = std::min(e.chunk, width);
  a.chunk = {1, h, w};
  if (e.codec == ChunkCodec::kBloscLz4 || e.codec == ChunkCodec::kBloscZstd)
    a.codecs = {ByteCodec::kBlosc};
  if (e.codec == ChunkCodec::kZstd) a.codecs = {ByteCodec::kZstd};
  if (e.format == 3 && e.sharded) {
    a.shards = {{{1, h, w}, true, true}};
    a.chunk = {1, (height + h - 1) / h * h, (width + w - 1) / w * w};
  }
  a.Check();
  return a;
}

}  // namespace

TEST_CASE("an LZ4 block of runs is what LZ4 decodes") {
  std::mt19937 random(1);
  int compressed = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    const size_t size = 1 + random() % 3000;
    const unsigned longest = 1u << random() % 12;
    std::vector<std::byte> out(static_cast<size_t>(LZ4_compressBound(static_cast<int>(size))));
    Lz4RunWriter writer(size, out.data());
    while (bytes.size() < size) {
      const auto value = static_cast<uint8_t>(random() % 3);
      const size_t count = std::min<size_t>(random() % (longest + 1), size - bytes.size());
      writer.Add(value, count);
      bytes.append(count, static_cast<char>(value));
    }
    const size_t length = writer.Finish();
    REQUIRE(length <= out.size());
    compressed += length < size ? 1 : 0;
    std::string back(size, 'x');
    REQUIRE(LZ4_decompress_safe(reinterpret_cast<const char*>(out.data()), back.data(),
                                static_cast<int>(length),
                                static_cast<int>(size)) == static_cast<int>(size));
    REQUIRE(back == bytes);
  }
  CHECK(compressed > 1000);
}

TEST_CASE("labels written from runs read back as they would be painted") {
  const ScratchFolder folder;
  struct Shape {
    int64_t height, width;
    int count, bits;
  };
  int cases = 0;
  PlaneWriter writer;
  ZarrPlaneReader reader({0});
  for (const Shape& shape : {Shape{1, 1, 1, 3}, Shape{70, 101, 30, 8}, Shape{257, 600, 300, 17},
                             Shape{513, 511, 3000, 30}, Shape{300, 40, 0, 8}}) {
    std::vector<int32_t> labels =
        Painted(shape.height, shape.width, shape.count, shape.bits, static_cast<unsigned>(cases));
    // A pixel a run, where compression has nothing to find.
    if (shape.bits == 30) {
      for (size_t i = 0; i < labels.size(); i += 2) labels[i] = static_cast<int32_t>(i * 77 + 1);
    }
    const Plane plane = PackedPlane(labels.data(), DType::kI32, shape.height, shape.width);
    Objects objects;
    RunsFromLabels(plane, objects);
    for (const ChunkCodec codec :
         {ChunkCodec::kNone, ChunkCodec::kBloscLz4, ChunkCodec::kBloscZstd, ChunkCodec::kZstd}) {
      for (const bool sharded : {true, false}) {
        for (const int64_t chunk : {64, 512}) {
          const ZarrEncoding e{3, sharded, codec, 5, chunk, '.'};
          const std::string dir = folder.path() + "/" + std::to_string(cases++);
          const int64_t written = writer.Write(objects, {dir, "0", shape.height, shape.width}, e);
          CHECK((written > 0) == (shape.count > 0));
          std::vector<int32_t> back(labels.size(), -1);
          reader.Read(ArrayOf(dir, e, shape.height, shape.width), std::vector<int64_t>{0}, 0, 0,
                      PackedPlane(back.data(), DType::kI32, shape.height, shape.width));
          REQUIRE(back == labels);
        }
      }
    }
  }
  CHECK(cases == 80);
}

TEST_CASE("halving objects is halving their image") {
  for (const auto& [height, width] :
       {std::pair<int64_t, int64_t>{1, 1}, {2, 3}, {65, 130}, {64, 7}}) {
    std::vector<int32_t> labels = Painted(height, width, 20, 8, 3);
    const int64_t h = HalfSize(height), w = HalfSize(width);
    std::vector<int32_t> expected(static_cast<size_t>(h * w)), got(expected.size(), -1);
    const Plane plane = PackedPlane(labels.data(), DType::kI32, height, width);
    HalveStride(plane, PackedPlane(expected.data(), DType::kI32, h, w));
    Objects objects, half;
    RunsFromLabels(plane, objects);
    HalveObjects(objects, half);
    PaintLabels(half, PackedPlane(got.data(), DType::kI32, h, w));
    CHECK(got == expected);
  }
}

}  // namespace tilecast
