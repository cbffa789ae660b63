// SPDX-License-Identifier: MIT
// ZarrPlaneReader: what PlaneWriter wrote comes back; windows, fill, shards in shards, kept chunks;
// damaged files are typed errors. Arrays of other writers are judged in vitest.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "blosc_builder.h"
#include "codec/crc32c.h"
#include "error.h"
#include "scratch_folder.h"
#include "zarr/plane_reader.h"
#include "zarr/plane_writer.h"

namespace tilecast {
namespace {

constexpr int64_t kHeight = 70, kWidth = 101;

std::vector<uint16_t> Image(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint16_t> out(static_cast<size_t>(kHeight * kWidth));
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint16_t>(1 + i / 7 + random() % 8);
  return out;
}

void Write(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

ZarrArray Written(const std::string& dir, const ZarrEncoding& e, std::vector<ByteCodec> codecs) {
  const int64_t h = std::min(e.chunk, kHeight), w = std::min(e.chunk, kWidth);
  ZarrArray a;
  a.dir = dir;
  a.key_prefix = e.format == 3 ? "c" : "";
  a.separator = e.separator;
  a.dtype = DType::kU16;
  a.shape = {3, kHeight, kWidth};
  a.chunk = {1, h, w};
  a.codecs = std::move(codecs);
  if (e.format == 3 && e.sharded) {
    a.shards = {{{1, h, w}, true, true}};
    a.chunk = {1, (kHeight + h - 1) / h * h, (kWidth + w - 1) / w * w};
  }
  a.Check();
  return a;
}

// Of an array of 4 x 8 x 12 bytes: shards of 4 x 8 x 12, in them shards of 2 x 4 x 12, in them
// chunks of 1 x 2 x 4. `build` encodes a chunk; an empty one is left out.
Bytes NestedShard(const std::function<Bytes(int64_t z, int64_t y, int64_t x)>& build, bool at_end) {
  const auto shard = [&](const std::vector<Bytes>& parts) {
    Bytes body;
    Bytes index;
    const size_t before = at_end ? 0 : parts.size() * 16 + 4;
    for (const Bytes& part : parts) {
      const uint64_t entry[2] = {part.empty() ? ~uint64_t{0} : before + body.size(),
                                 part.empty() ? ~uint64_t{0} : part.size()};
      const auto* p = reinterpret_cast<const uint8_t*>(entry);
      index.insert(index.end(), p, p + 16);
      body.insert(body.end(), part.begin(), part.end());
    }
    Append32(index, Crc32c(index.data(), index.size()));
    Bytes out = at_end ? body : index;
    const Bytes& rest = at_end ? index : body;
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  };
  std::vector<Bytes> outer;
  for (int64_t oz = 0; oz < 2; ++oz) {
    for (int64_t oy = 0; oy < 2; ++oy) {
      std::vector<Bytes> inner;
      for (int64_t z = 0; z < 2; ++z) {
        for (int64_t y = 0; y < 2; ++y) {
          for (int64_t x = 0; x < 3; ++x) inner.push_back(build(oz * 2 + z, oy * 4 + y * 2, x * 4));
        }
      }
      outer.push_back(shard(inner));
    }
  }
  return shard(outer);
}

}  // namespace

TEST_CASE("planes that PlaneWriter wrote come back, in every encoding, whole and in regions") {
  const ScratchFolder scratch;
  PlaneWriter writer;
  ZarrPlaneReader reader;
  std::mt19937 random(5);
  const std::pair<ChunkCodec, std::vector<ByteCodec>> codecs[] = {
      {ChunkCodec::kNone, {}},
      {ChunkCodec::kBloscLz4, {ByteCodec::kBlosc}},
      {ChunkCodec::kBloscZstd, {ByteCodec::kBlosc}},
      {ChunkCodec::kZstd, {ByteCodec::kZstd}}};
  int number = 0;
  for (const auto& [codec, chain] : codecs) {
    for (const auto& [format, sharded] : {std::pair{3, true}, {3, false}, {2, false}}) {
      for (const int64_t chunk : {16, 32, 512}) {
        CAPTURE(static_cast<int>(codec));
        CAPTURE(format);
        CAPTURE(sharded);
        CAPTURE(chunk);
        const ZarrEncoding e{format, sharded, codec, 3, chunk, sharded ? '.' : '/'};
        const ZarrArray array = Written(scratch.path() + "/" + std::to_string(number++), e, chain);
        for (int64_t z = 0; z < 2; ++z) {  // plane 2 is never written
          std::vector<uint16_t> image = Image(static_cast<unsigned>(z));
          for (int64_t y = 0; y < 40; ++y) {  // a chunk of zeros, which is left out
            for (int64_t x = 0; x < 40; ++x) image[static_cast<size_t>(y * kWidth + x)] = 0;
          }
          const Plane plane = PackedPlane(image.data(), DType::kU16, kHeight, kWidth);
          writer.Write(plane, {array.dir, std::to_string(z), kHeight, kWidth}, e);
          for (int i = 0; i < 8; ++i) {
            const int64_t y = i == 0 ? 0 : static_cast<int64_t>(random() % kHeight);
            const int64_t x = i == 0 ? 0 : static_cast<int64_t>(random() % kWidth);
            const int64_t h = i == 0 ? kHeight : 1 + static_cast<int64_t>(random()) % (kHeight - y);
            const int64_t w = i == 0 ? kWidth : 1 + static_cast<int64_t>(random()) % (kWidth - x);
            // A stride of its own: nothing beside the rows is touched.
            std::vector<uint16_t> out(static_cast<size_t>(h * (w + 5)), 0xeeee);
            Plane dst = PackedPlane(out.data(), DType::kU16, h, w);
            dst.stride = (w + 5) * 2;
            const std::array<int64_t, 1> index{z};
            reader.Read(array, index, y, x, dst);
            bool equal = true;
            for (int64_t r = 0; r < h; ++r) {
              for (int64_t c = 0; c < w + 5; ++c) {
                const uint16_t expected =
                    c < w ? image[static_cast<size_t>((y + r) * kWidth + x + c)] : 0xeeee;
                equal = equal && out[static_cast<size_t>(r * (w + 5) + c)] == expected;
              }
            }
            CHECK(equal);
          }
        }
        std::vector<uint16_t> out(static_cast<size_t>(kHeight * kWidth), 1);
        const std::array<int64_t, 1> index{2};
        reader.Read(array, index, 0, 0, PackedPlane(out.data(), DType::kU16, kHeight, kWidth));
        CHECK(std::all_of(out.begin(), out.end(), [](uint16_t v) { return v == 0; }));
        CHECK(StatPlane(array, index).bytes == 0);
      }
    }
  }
}

TEST_CASE("shards in shards, with chunks left out, index first and last") {
  const ScratchFolder scratch;
  ZarrPlaneReader reader;
  const auto pixel = [](int64_t z, int64_t y, int64_t x) {
    return static_cast<uint8_t>(100 * (z % 2) + 12 * y + x);
  };
  for (const bool at_end : {true, false}) {
    for (const bool packed : {true, false}) {
      ZarrArray a;
      a.dir = scratch.path() + "/" + std::to_string(at_end) + std::to_string(packed);
      a.key_prefix = "c";
      a.shape = {4, 7, 11};
      a.chunk = {4, 8, 12};
      a.shards = {{{2, 4, 12}, at_end, true}, {{1, 2, 4}, at_end, true}};
      a.fill = 9;
      if (packed) a.codecs = {ByteCodec::kZstd};
      a.Check();
      Write(a.dir + "/c/0/0/0", NestedShard(
                                    [&](int64_t z, int64_t y, int64_t x) {
                                      if (z == 1 && y == 2) return Bytes{};
                                      Bytes chunk;
                                      for (int64_t r = 0; r < 2; ++r) {
                                        for (int64_t c = 0; c < 4; ++c) {
                                          chunk.push_back(pixel(z, y + r, x + c));
                                        }
                                      }
                                      return packed ? Zstd(chunk) : chunk;
                                    },
                                    at_end));
      for (int64_t z = 0; z < 4; ++z) {
        Bytes out(7 * 11);
        const std::array<int64_t, 1> index{z};
        reader.Read(a, index, 0, 0, PackedPlane(out.data(), DType::kU8, 7, 11));
        for (int64_t y = 0; y < 7; ++y) {
          for (int64_t x = 0; x < 11; ++x) {
            const uint8_t expected = z == 1 && y / 2 == 1 ? 9 : pixel(z, y, x);
            CHECK(out[static_cast<size_t>(y * 11 + x)] == expected);
          }
        }
      }
    }
  }
}

TEST_CASE(
    "chunks of several planes are decoded once while they fit, and again once their file changes") {
  const ScratchFolder scratch;
  ZarrArray a;
  a.dir = scratch.path();
  a.shape = {6, 4, 4};
  a.chunk = {6, 4, 4};
  a.codecs = {ByteCodec::kZstd};
  a.Check();
  const auto write = [&](uint8_t first) {
    Bytes data(6 * 16);
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(first + i / 16);
    Write(a.dir + "/0/0/0", Zstd(data));
  };
  for (const size_t budget : {size_t{1} << 20, size_t{0}}) {
    ZarrPlaneReader reader({budget});
    Bytes out(16);
    const auto read = [&](int64_t z) {
      const std::array<int64_t, 1> index{z};
      reader.Read(a, index, 0, 0, PackedPlane(out.data(), DType::kU8, 4, 4));
      return out[5];
    };
    write(1);
    CHECK(read(0) == 1);
    CHECK(reader.bytes_read() > 0);
    CHECK(read(5) == 6);
    CHECK((reader.bytes_read() == 0) == (budget > 0));
    std::filesystem::remove(a.dir +
                            "/0/0/0");  // another file of the same name, not the same one rewritten
    write(101);
    CHECK(read(3) == 104);
  }
}

TEST_CASE("fill values of every dtype, and big-endian pixels") {
  const ScratchFolder scratch;
  ZarrPlaneReader reader;
  ZarrArray a;
  a.dir = scratch.path();
  a.shape = {3, 5};
  a.chunk = {3, 5};
  const auto first = [&](DType dtype, double fill, auto zero) {
    a.dtype = dtype;
    a.fill = fill;
    std::vector<decltype(zero)> out(15, zero);
    reader.Read(a, {}, 0, 0, PackedPlane(out.data(), dtype, 3, 5));
    // Of a file's pixels only the last is asked for.
    const bool filled = !std::filesystem::exists(a.dir + "/0");
    CHECK((!filled ||
           std::all_of(out.begin(), out.end(), [&](auto v) { return v == out[0] || v != v; })));
    return out[14];
  };
  CHECK(first(DType::kU8, 255, uint8_t{}) == 255);
  CHECK(first(DType::kI8, -128, int8_t{}) == -128);
  CHECK(first(DType::kU16, 65535, uint16_t{}) == 65535);
  CHECK(first(DType::kI32, -5, int32_t{}) == -5);
  CHECK(first(DType::kU32, 4294967295.0, uint32_t{}) == 4294967295u);
  CHECK(first(DType::kF32, 0.5, float{}) == 0.5f);
  CHECK(std::isnan(first(DType::kF64, std::nan(""), double{})));
  Bytes bytes;
  for (int i = 0; i < 15; ++i) bytes.insert(bytes.end(), {1, static_cast<uint8_t>(i)});
  Write(a.dir + "/0/0", bytes);
  a.big_endian = true;
  CHECK(first(DType::kU16, 0, uint16_t{}) == 0x010e);
}

TEST_CASE("damaged chunk files and shards are typed errors or pixels, never more") {
  const ScratchFolder scratch;
  PlaneWriter writer;
  ZarrPlaneReader reader;
  std::mt19937_64 random(17);
  const auto below = [&](uint64_t n) { return static_cast<size_t>(random() % n); };
  int failures = 0;
  int reads = 0;
  const std::pair<ChunkCodec, std::vector<ByteCodec>> codecs[] = {
      {ChunkCodec::kNone, {}},
      {ChunkCodec::kBloscLz4, {ByteCodec::kBlosc}},
      {ChunkCodec::kBloscZstd, {ByteCodec::kBlosc}},
      {ChunkCodec::kZstd, {ByteCodec::kZstd}}};
  for (const auto& [codec, chain] : codecs) {
    for (const bool sharded : {true, false}) {
      const ZarrEncoding e{3, sharded, codec, 3, 32, '.'};
      const std::string dir =
          scratch.path() + "/" + std::to_string(static_cast<int>(codec)) + std::to_string(sharded);
      const ZarrArray array = Written(dir, e, chain);
      std::vector<uint16_t> image = Image(1);
      writer.Write(PackedPlane(image.data(), DType::kU16, kHeight, kWidth),
                   {dir, "0", kHeight, kWidth}, e);
      const std::string path = dir + "/c.0.0.0";
      std::ifstream in(path, std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      const Bytes original(text.begin(), text.end());
      const size_t index_bytes = sharded ? 3 * 4 * 16 + 4 : 0;
      for (int i = 0; i < 400; ++i) {
        Bytes bytes = original;
        if (below(4) == 0) bytes.resize(below(bytes.size()));
        for (size_t k = below(3) + 1; k > 0 && bytes.size() > index_bytes; --k) {
          const size_t at = sharded && below(3) != 0 ? bytes.size() - 1 - below(index_bytes)
                                                     : below(bytes.size());
          bytes[at] = static_cast<uint8_t>(below(3) == 0 ? 0xff : random());
        }
        // A checksum that fits lets damaged entries through.
        if (sharded && below(4) != 0 && bytes.size() >= index_bytes) {
          const size_t at = bytes.size() - index_bytes;
          Set32(bytes, bytes.size() - 4, Crc32c(bytes.data() + at, index_bytes - 4));
        }
        Write(path, bytes);
        ++reads;
        std::vector<uint16_t> out(static_cast<size_t>(kHeight * kWidth));
        try {
          const std::array<int64_t, 1> index{0};
          reader.Read(array, index, 0, 0, PackedPlane(out.data(), DType::kU16, kHeight, kWidth));
        } catch (const Error& error) {
          ++failures;
          CHECK((error.code() == Code::kZarrDamaged || error.code() == Code::kZarrUnsupported));
          CHECK(error.path() == path);
        }
      }
    }
  }
  CHECK(failures > reads / 4);
  CHECK(failures < reads);
}

TEST_CASE("descriptions that no array has are refused") {
  ZarrArray a;
  a.dir = "x";
  a.shape = {2, 8, 8};
  a.chunk = {1, 8, 8};
  CHECK_NOTHROW(a.Check());
  const auto code = [](ZarrArray b, auto&& change) {
    change(b);
    try {
      b.Check();
    } catch (const Error& e) {
      return e.code();
    }
    return Code::kInternal;
  };
  CHECK(code(a, [](ZarrArray& b) {
          b.shape = {8};
          b.chunk = {8};
        }) == Code::kZarrUnsupported);
  CHECK(code(a, [](ZarrArray& b) { b.shape[0] = -1; }) == Code::kZarrDamaged);
  CHECK(code(a, [](ZarrArray& b) { b.chunk[1] = 0; }) == Code::kZarrDamaged);
  CHECK(code(a, [](ZarrArray& b) { b.chunk.pop_back(); }) == Code::kZarrDamaged);
  CHECK(code(a, [](ZarrArray& b) { b.chunk = {1, 1 << 20, 1 << 20}; }) == Code::kZarrUnsupported);
  CHECK(code(a, [](ZarrArray& b) { b.shards = {{{1, 3, 8}}}; }) == Code::kZarrDamaged);
  // An index of more entries than a file can have is refused before memory is asked for.
  const ScratchFolder scratch;
  ZarrArray huge = a;
  huge.dir = scratch.path();
  huge.shape = huge.chunk = {int64_t{1} << 40, int64_t{1} << 20, 8};
  huge.shards = {{{1, 1, 8}}};
  huge.Check();
  Write(huge.dir + "/0/0/0", Bytes(1000));
  Bytes out(8);
  ZarrPlaneReader reader;
  const std::array<int64_t, 1> index{0};
  CHECK_THROWS_WITH_AS(reader.Read(huge, index, 0, 0, PackedPlane(out.data(), DType::kU8, 1, 8)),
                       (huge.dir + "/0/0/0, byte 0: the shard is shorter than its index").c_str(),
                       Error);
}

}  // namespace tilecast
