// SPDX-License-Identifier: MIT
// The codecs of Zarr chunks: Blosc frames of every kind, checksums, chains; and what damaged ones
// do.
#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>

#include "blosc_builder.h"
#include "codec/blosc.h"
#include "codec/blosclz.h"
#include "codec/crc32c.h"
#include "codec/unshuffle.h"
#include "error.h"
#include "zarr/chunk_decoder.h"

namespace tilecast {
namespace {

// A slope with noise in its low bytes and runs of zeros: something for every codec.
Bytes Pixels(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  Bytes out(n);
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<uint8_t>(i / 600 % 5 == 0 ? 0 : (i % 2 == 0 ? random() % 16 : i / 256));
  }
  return out;
}

RowWindow All(Bytes& dst) {
  return {dst.data(), dst.size(), 1, dst.size(), 0, dst.size()};
}

// A copy of exactly its size, so that a sanitizer sees one byte too far.
std::unique_ptr<uint8_t[]> Exact(const Bytes& bytes) {
  std::unique_ptr<uint8_t[]> out(new uint8_t[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), out.get());
  return out;
}

std::vector<FrameOptions> Frames() {
  std::vector<FrameOptions> all;
  for (const FrameCodec codec :
       {FrameCodec::kBloscLz, FrameCodec::kLz4, FrameCodec::kZlib, FrameCodec::kZstd}) {
    for (const FrameShuffle shuffle :
         {FrameShuffle::kNone, FrameShuffle::kBytes, FrameShuffle::kBits}) {
      for (const size_t type : {1, 2, 3, 4, 8, 16, 200}) {
        for (const bool split : {false, true}) {
          if (split && type > 16) continue;
          all.push_back({codec, shuffle, type, (split ? 4096 : 1000) / type * type, split, false});
        }
      }
    }
  }
  all.push_back({FrameCodec::kLz4, FrameShuffle::kBytes, 2, 4096, false, true});
  return all;
}

}  // namespace

TEST_CASE("crc32c gives RFC 3720's values, at any length and alignment") {
  const Bytes zeros(32, 0), ones(32, 0xff);
  CHECK(Crc32c(zeros.data(), 32) == 0x8a9136aa);
  CHECK(Crc32c(ones.data(), 32) == 0x62a8ab43);
  CHECK(Crc32c("123456789", 9) == 0xe3069283);
  CHECK(Crc32c("", 0) == 0);
  const Bytes data = Pixels(100, 1);
  for (size_t from = 0; from < 9; ++from) {
    for (size_t n = 0; n < 40; ++n) {
      uint32_t c = ~0u;
      for (size_t i = 0; i < n; ++i) {
        c ^= data[from + i];
        for (int k = 0; k < 8; ++k) c = (c >> 1) ^ (0x82f63b78u & (~(c & 1) + 1));
      }
      CHECK(Crc32c(data.data() + from, n) == ~c);
    }
  }
}

TEST_CASE("unshuffling undoes a plain shuffle, for every size and count") {
  for (const size_t type : {1, 2, 3, 4, 5, 8, 16}) {
    for (const size_t count : {0, 1, 7, 8, 15, 16, 31, 33, 64, 136, 1000}) {
      CAPTURE(type);
      CAPTURE(count);
      const Bytes data = Pixels(type * count, static_cast<unsigned>(type + count));
      const auto bytes = Exact(ShuffleBlock(data, FrameShuffle::kBytes, type));
      std::vector<const uint8_t*> planes(type);
      for (size_t k = 0; k < type; ++k) planes[k] = bytes.get() + k * count;
      for (const size_t first : {size_t{0}, count / 3, count / 2}) {
        Bytes out((count - first) * type, 0xee);
        Unshuffle(planes.data(), first, count - first, type, out.data());
        CHECK(
            std::equal(out.begin(), out.end(), data.begin() + static_cast<int64_t>(first * type)));
      }
      if (count % 8 != 0) continue;
      const auto bits = Exact(ShuffleBlock(data, FrameShuffle::kBits, type));
      Bytes out(type * count);
      BitPlanesToBytes(bits.get(), count, type, out.data());
      CHECK(out == ShuffleBlock(data, FrameShuffle::kBytes, type));
    }
  }
}

TEST_CASE("BloscLZ: literals, runs, overlaps, near and far matches") {
  Bytes out(20'000);
  const auto decode = [&](const Bytes& in, size_t capacity) {
    const auto exact = Exact(in);
    return BloscLzDecode(exact.get(), in.size(), out.data(), capacity);
  };
  // "abc", then 3 + 2 bytes at distance 3: "abcabcab".
  CHECK(decode({2, 'a', 'b', 'c', 3 << 5, 2}, 100) == 8);
  CHECK(std::string(out.begin(), out.begin() + 8) == "abcabcab");
  // 9000 literals, then 4 bytes at distance 8500 = 8191 + 308 + 1.
  Bytes far;
  for (int i = 0; i < 9000; i += 30) {
    far.push_back(29);
    for (int k = 0; k < 30; ++k) far.push_back(static_cast<uint8_t>((i + k) % 251));
  }
  far.insert(far.end(), {(2 << 5) + 31, 255, 308 >> 8, 308 & 255});
  REQUIRE(decode(far, 20'000) == 9004);
  for (size_t i = 0; i < 4; ++i) CHECK(out[9000 + i] == out[500 + i]);
  // Damaged: a match before the start, literals and matches that do not fit, ends in the middle.
  CHECK(decode({0, 'a', 1 << 5, 1}, 100) == 0);
  CHECK(decode({2, 'a', 'b', 'c'}, 2) == 0);
  CHECK(decode({0, 'a', 1 << 5, 0}, 3) == 0);
  CHECK(decode({2, 'a', 'b'}, 100) == 0);
  CHECK(decode({0, 'a', 7 << 5, 255}, 100) == 0);
  CHECK(decode({0, 'a', 1 << 5}, 100) == 0);
  CHECK(decode({}, 100) == 0);
}

TEST_CASE(
    "Blosc frames of every codec, shuffle, pixel and split are decoded, whole and in windows") {
  BloscDecoder decoder;
  std::mt19937 random(3);
  for (const FrameOptions& o : Frames()) {
    CAPTURE(static_cast<int>(o.codec));
    CAPTURE(static_cast<int>(o.shuffle));
    CAPTURE(o.type);
    CAPTURE(o.split);
    for (const size_t bytes : {96 * 100, 96 * 97}) {
      const Bytes data = Pixels(bytes, static_cast<unsigned>(o.type));
      const Bytes frame = BloscFrame(data, o);
      const auto exact = Exact(frame);
      for (const size_t pixel : {1, 2, 4}) {
        Bytes out(bytes, 0xee);
        decoder.Decode(exact.get(), frame.size(), bytes, pixel, All(out));
        CHECK(out == data);
        // Rows of 96 bytes, some of their columns, to rows further apart.
        for (int i = 0; i < 4; ++i) {
          const size_t rows = 1 + random() % 90;
          const size_t top = random() % (bytes / 96 - rows + 1);
          const size_t left = random() % (96 / pixel) * pixel;
          const size_t span = (1 + random() % ((96 - left) / pixel)) * pixel;
          Bytes image(rows * 100, 0xee);
          decoder.Decode(exact.get(), frame.size(), bytes, pixel,
                         {image.data(), 100, rows, span, top * 96 + left, 96});
          Bytes expected(rows * 100, 0xee);
          for (size_t r = 0; r < rows; ++r) {
            std::memcpy(&expected[r * 100], &data[(top + r) * 96 + left], span);
          }
          CHECK(image == expected);
        }
      }
    }
  }
}

TEST_CASE("a Blosc frame that is not what it should be is a typed error") {
  BloscDecoder decoder;
  const Bytes data = Pixels(4096, 5);
  Bytes out(4096);
  const auto code = [&](const Bytes& frame, size_t expected = 4096) {
    const auto exact = Exact(frame);
    try {
      out.resize(expected);
      decoder.Decode(exact.get(), frame.size(), expected, 2, All(out));
    } catch (const Error& e) {
      return std::string(CodeName(e.code())) + " " + e.what();
    }
    return std::string("read");
  };
  const Bytes frame = BloscFrame(data, {});
  CHECK(code(frame) == "read");
  CHECK(code(frame, 4094) ==
        "ERR_ZARR_DAMAGED the Blosc frame holds 4096 bytes, and a chunk has 4094");
  CHECK(code({}) == "ERR_ZARR_DAMAGED the Blosc frame is damaged: it is shorter than its header");
  const auto changed = [&](size_t at, std::initializer_list<uint8_t> bytes) {
    Bytes copy = frame;
    std::copy(bytes.begin(), bytes.end(), copy.begin() + static_cast<int64_t>(at));
    return copy;
  };
  CHECK(code(changed(0, {5})) ==
        "ERR_ZARR_UNSUPPORTED Blosc frame of version 5; only version 2 is read");
  CHECK(code(changed(2, {0x51})) == "ERR_ZARR_UNSUPPORTED Blosc with Snappy is not read");
  CHECK(code(changed(2, {0xf1})) == "ERR_ZARR_UNSUPPORTED Blosc with compressor 7 is not read");
  CHECK(code(changed(3, {0})) ==
        "ERR_ZARR_DAMAGED the Blosc frame is damaged: its pixels have no size");
  CHECK(code(changed(8, {0, 0, 0, 0})) ==
        "ERR_ZARR_DAMAGED the Blosc frame is damaged: its blocks have an impossible size");
  CHECK(code(changed(8, {1, 0, 0, 0})) ==
        "ERR_ZARR_DAMAGED the Blosc frame is damaged: it is truncated");
  CHECK(code(changed(16, {0xff, 0xff, 0xff, 0x7f})) ==
        "ERR_ZARR_DAMAGED the Blosc frame is damaged: a block lies outside");
  CHECK(code(changed(20, {0xff, 0xff, 0xff, 0xff})) ==
        "ERR_ZARR_DAMAGED the Blosc frame is damaged: a block lies outside");
}

TEST_CASE("chains of codecs are undone from the last to the first") {
  ChunkDecoder decoder;
  const Bytes data = Pixels(6000, 9);
  const auto with_crc = [](Bytes in) {
    const uint32_t crc = Crc32c(in.data(), in.size());
    Append32(in, crc);
    return in;
  };
  const auto with_size = [](const Bytes& in) {
    Bytes out;
    Append32(out, in.size());
    const Bytes packed = Lz4(in);
    out.insert(out.end(), packed.begin(), packed.end());
    return out;
  };
  const auto gunzip_twice = [&](const Bytes& in) {  // two members
    Bytes first = Deflate(Bytes(in.begin(), in.begin() + 2500), true);
    const Bytes second = Deflate(Bytes(in.begin() + 2500, in.end()), true);
    first.insert(first.end(), second.begin(), second.end());
    return first;
  };
  using enum ByteCodec;
  const std::pair<std::vector<ByteCodec>, Bytes> chains[] = {
      {{}, data},
      {{kCrc32c}, with_crc(data)},
      {{kZstd}, Zstd(data)},
      {{kZlib}, Deflate(data, false)},
      {{kGzip}, gunzip_twice(data)},
      {{kLz4}, with_size(data)},
      {{kBlosc}, BloscFrame(data, {})},
      {{kBlosc, kCrc32c}, with_crc(BloscFrame(data, {}))},
      {{kCrc32c, kZstd}, Zstd(with_crc(data))},
      {{kGzip, kBlosc, kZstd, kCrc32c},
       with_crc(Zstd(BloscFrame(Deflate(data, true), {FrameCodec::kLz4, FrameShuffle::kNone, 1})))},
  };
  for (const auto& [codecs, encoded] : chains) {
    CAPTURE(codecs.size());
    const auto exact = Exact(encoded);
    Bytes out(data.size());
    decoder.Decode(codecs, exact.get(), encoded.size(), data.size(), 2, All(out));
    CHECK(out == data);
    // One byte more or less is no chunk of this array.
    for (const size_t other : {data.size() - 1, data.size() + 1}) {
      Bytes room(other);
      CHECK_THROWS_AS(decoder.Decode(codecs, exact.get(), encoded.size(), other, 1, All(room)),
                      Error);
    }
  }
}

TEST_CASE("damaged frames and streams are typed errors or pixels, never more") {
  BloscDecoder blosc;
  ChunkDecoder chunks;
  std::mt19937_64 random(11);
  const auto below = [&](uint64_t n) { return static_cast<size_t>(random() % n); };
  const char* factor_text = std::getenv("TILECAST_ZARR_FUZZ");
  const int forms = 60 * (factor_text == nullptr ? 1 : std::atoi(factor_text));
  int failures = 0;
  int reads = 0;
  const auto attempt = [&](auto&& decode) {
    ++reads;
    try {
      decode();
    } catch (const Error& e) {
      ++failures;
      CHECK((e.code() == Code::kZarrDamaged || e.code() == Code::kZarrUnsupported));
    }
  };
  const auto damage = [&](Bytes bytes) {
    if (below(4) == 0) bytes.resize(below(bytes.size()));
    for (size_t e = below(4) + 1; e > 0 && !bytes.empty(); --e) {
      // Half of the edits hit the header and the starts of blocks, which steer everything else.
      const size_t at =
          below(2) == 0 ? below(std::min<size_t>(40, bytes.size())) : below(bytes.size());
      bytes[at] = static_cast<uint8_t>(below(3) == 0 ? 0xff : random());
    }
    return bytes;
  };
  for (const FrameOptions& o : Frames()) {
    const Bytes data = Pixels(9216, 1);
    const Bytes frame = BloscFrame(data, o);
    Bytes out(data.size());
    for (int i = 0; i < forms; ++i) {
      const Bytes bytes = damage(frame);
      const auto exact = Exact(bytes);
      attempt([&] { blosc.Decode(exact.get(), bytes.size(), out.size(), 2, All(out)); });
      Bytes part(50 * 40);
      attempt([&] {
        blosc.Decode(exact.get(), bytes.size(), out.size(), 2,
                     {part.data(), 40, 50, 40, 96 * 20 + 10, 96});
      });
    }
  }
  const Bytes data = Pixels(9216, 2);
  Bytes lz4;
  Append32(lz4, data.size());
  for (const uint8_t b : Lz4(data)) lz4.push_back(b);
  using enum ByteCodec;
  const std::pair<ByteCodec, Bytes> streams[] = {{kZstd, Zstd(data)},
                                                 {kZlib, Deflate(data, false)},
                                                 {kGzip, Deflate(data, true)},
                                                 {kLz4, lz4}};
  for (const auto& [codec, encoded] : streams) {
    for (int i = 0; i < forms * 10; ++i) {
      const Bytes bytes = damage(encoded);
      const auto exact = Exact(bytes);
      Bytes out(data.size());
      attempt([&] { chunks.Decode({codec}, exact.get(), bytes.size(), out.size(), 2, All(out)); });
    }
  }
  CHECK(failures > reads / 4);
  CHECK(failures < reads);
}

}  // namespace tilecast
