// SPDX-License-Identifier: MIT
// PlaneWriter: where chunks and shards land, what an index says, what is left out and removed.
// Codecs are judged by c-blosc in vitest.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "error.h"
#include "scratch_folder.h"
#include "zarr/plane_writer.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

namespace {

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

uint64_t U64(const std::string& s, size_t at) {
  uint64_t v = 0;
  std::memcpy(&v, s.data() + at, 8);
  return v;
}

// Bitwise CRC-32C, apart from the table in the code under test.
uint32_t Crc(const std::string& s) {
  uint32_t c = ~0u;
  for (const char ch : s) {
    c ^= static_cast<uint8_t>(ch);
    for (int k = 0; k < 8; ++k) c = (c >> 1) ^ (0x82f63b78u & (~(c & 1) + 1));
  }
  return ~c;
}

std::vector<uint16_t> Ramp(int64_t n) {
  std::vector<uint16_t> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), uint16_t{1});
  return v;
}

}  // namespace

TEST_CASE(
    "a shard holds its chunks in order, zero-padded at the edge, and an index with its checksum") {
  const ScratchFolder folder;
  std::vector<uint16_t> pixels = Ramp(int64_t{5} * 7);
  PlaneWriter writer;
  const ZarrEncoding encoding{3, true, ChunkCodec::kNone, 0, 4, '.'};
  const PlaneTarget target{folder.path() + "/a/0", "1", 5, 7};
  const int64_t written =
      writer.Write(PackedPlane(pixels.data(), DType::kU16, 5, 7), target, encoding);
  const std::string shard = Slurp(folder.path() + "/a/0/c.1.0.0");
  REQUIRE(shard.size() == 4 * 32 + 4 * 16 + 4);
  CHECK(written == static_cast<int64_t>(shard.size()));
  const size_t index = shard.size() - 68;
  for (size_t chunk = 0; chunk < 4; ++chunk) {
    CHECK(U64(shard, index + chunk * 16) == chunk * 32);
    CHECK(U64(shard, index + chunk * 16 + 8) == 32);
  }
  uint32_t crc = 0;
  std::memcpy(&crc, shard.data() + shard.size() - 4, 4);
  CHECK(crc == Crc(shard.substr(index, 64)));
  // Chunk (1, 1) has one row of three pixels; the rest is zero.
  uint16_t last[16];
  std::memcpy(last, shard.data() + 96, 32);
  CHECK(last[0] == 33);
  CHECK(last[2] == 35);
  CHECK(last[3] == 0);
  CHECK(last[4] == 0);
}

TEST_CASE("chunks that are zero throughout are left out, and a file from before is removed") {
  const ScratchFolder folder;
  PlaneWriter writer;
  std::vector<uint16_t> pixels(64, 0);
  const Plane plane = PackedPlane(pixels.data(), DType::kU16, 8, 8);
  for (const bool sharded : {true, false}) {
    const ZarrEncoding encoding{3, sharded, ChunkCodec::kBloscLz4, 5, 4, sharded ? '.' : '/'};
    const PlaneTarget target{folder.path() + (sharded ? "/s" : "/c"), "", 8, 8};
    const std::string file = target.dir + (sharded ? "/c.0.0" : "/c/1/0");
    pixels[40] = 9;  // chunk (1, 0)
    CHECK(writer.Write(plane, target, encoding) > 0);
    CHECK(std::filesystem::exists(file));
    if (!sharded) CHECK_FALSE(std::filesystem::exists(target.dir + "/c/0/0"));
    if (sharded) {
      const std::string shard = Slurp(file);
      CHECK(U64(shard, shard.size() - 68) == ~uint64_t{0});
    }
    pixels[40] = 0;
    CHECK(writer.Write(plane, target, encoding) == 0);
    CHECK_FALSE(std::filesystem::exists(file));
  }
}

TEST_CASE("erasing removes every chunk of a plane and tolerates their absence") {
  const ScratchFolder folder;
  PlaneWriter writer;
  std::vector<uint16_t> pixels = Ramp(64);
  for (const int format : {2, 3}) {
    const ZarrEncoding encoding{format, false, ChunkCodec::kZstd, 1, 4, '/'};
    const PlaneTarget target{folder.path() + "/f" + std::to_string(format), "0/2", 8, 8};
    writer.Write(PackedPlane(pixels.data(), DType::kU16, 8, 8), target, encoding);
    const std::string base = target.dir + (format == 3 ? "/c" : "") + "/0/2/";
    CHECK(std::filesystem::exists(base + "0/0"));
    CHECK(std::filesystem::exists(base + "1/1"));
    PlaneWriter::Erase(target, encoding);
    CHECK_FALSE(std::filesystem::exists(base + "0/0"));
    CHECK_FALSE(std::filesystem::exists(base + "1/1"));
    PlaneWriter::Erase(target, encoding);
  }
}

TEST_CASE("a plane smaller than its array leaves the rest at the fill value") {
  const ScratchFolder folder;
  std::vector<float> pixels(6, 2.5f);
  PlaneWriter writer;
  const ZarrEncoding encoding{3, true, ChunkCodec::kNone, 0, 4, '.'};
  writer.Write(PackedPlane(pixels.data(), DType::kF32, 2, 3), {folder.path() + "/a", "", 8, 8},
               encoding);
  const std::string shard = Slurp(folder.path() + "/a/c.0.0");
  REQUIRE(shard.size() == 64 + 64 + 4);  // one chunk of four
  CHECK(U64(shard, 64 + 16) == ~uint64_t{0});
  float row[4];
  std::memcpy(row, shard.data() + 16, 16);
  CHECK(row[2] == 2.5f);
  CHECK(row[3] == 0.0f);
}

TEST_CASE("a folder that cannot be made is a typed error with its path") {
  const ScratchFolder folder;
  std::ofstream(folder.path() + "/file") << "x";
  std::vector<uint16_t> pixels = Ramp(16);
  PlaneWriter writer;
  try {
    writer.Write(PackedPlane(pixels.data(), DType::kU16, 4, 4),
                 {folder.path() + "/file/0", "", 4, 4}, ZarrEncoding{});
    FAIL("expected an error");
  } catch (const Error& e) {
    CHECK(e.code() == Code::kIo);
    CHECK(e.path().starts_with(folder.path() + "/file"));
  }
}

TEST_CASE("incompressible pixels become a stored Blosc frame of bounded size") {
  const ScratchFolder folder;
  std::vector<uint16_t> pixels(256 * 256);
  uint32_t seed = 1;
  for (uint16_t& p : pixels) {
    seed = seed * 1664525 + 1013904223;
    p = static_cast<uint16_t>(seed >> 16);
  }
  PlaneWriter writer;
  const ZarrEncoding encoding{3, false, ChunkCodec::kBloscLz4, 5, 256, '/'};
  writer.Write(PackedPlane(pixels.data(), DType::kU16, 256, 256),
               {folder.path() + "/a", "", 256, 256}, encoding);
  const std::string frame = Slurp(folder.path() + "/a/c/0/0");
  CHECK(frame.size() <= pixels.size() * 2 + 16);
  CHECK(static_cast<int>(frame[0]) == 2);
  CHECK(static_cast<int>(frame[3]) == 2);
}
