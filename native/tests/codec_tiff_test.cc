// SPDX-License-Identifier: MIT
// Byte codecs against encoders written here from the specification: every length, every split, and
// input that is not theirs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "codec/lzw.h"
#include "codec/packbits.h"
#include "codec/predictor.h"

namespace tilecast {
namespace {

using Bytes = std::vector<uint8_t>;

// The encoder of TIFF 6.0 section 13, with a map of strings; old-style as libtiff's LZW_COMPAT
// decodes it.
Bytes LzwEncode(const Bytes& data, bool old_style, bool clear_when_full = true) {
  Bytes out;
  uint64_t buffer = 0;
  int filled = 0;
  const auto put = [&](uint32_t code, int bits) {
    if (old_style) {
      buffer |= uint64_t{code} << filled;
    } else {
      buffer = buffer << bits | code;
    }
    filled += bits;
    while (filled >= 8) {
      if (old_style) {
        out.push_back(static_cast<uint8_t>(buffer));
        buffer >>= 8;
      } else {
        out.push_back(static_cast<uint8_t>(buffer >> (filled - 8)));
      }
      filled -= 8;
    }
  };
  std::map<std::string, uint32_t> table;
  uint32_t next = 0;
  int bits = 9;
  const auto clear = [&] {
    put(256, bits);
    table.clear();
    for (int i = 0; i < 256; ++i)
      table[std::string(1, static_cast<char>(i))] = static_cast<uint32_t>(i);
    next = 258;
    bits = 9;
  };
  clear();
  std::string omega;
  // The decoder's table is one string behind the encoder's; widths follow the decoder's.
  for (const uint8_t byte : data) {
    const std::string longer = omega + static_cast<char>(byte);
    if (table.contains(longer)) {
      omega = longer;
      continue;
    }
    put(table[omega], bits);
    if (next < 4096) table[longer] = next++;
    const uint32_t limit = old_style ? (1u << bits) : (1u << bits) - 1;
    if (next > limit && bits < 12) ++bits;
    if (next >= 4094 && clear_when_full) clear();
    omega = std::string(1, static_cast<char>(byte));
  }
  if (!omega.empty()) {
    put(table[omega], bits);
    ++next;
    const uint32_t limit = old_style ? (1u << bits) : (1u << bits) - 1;
    if (next > limit && bits < 12) ++bits;
  }
  put(257, bits);
  if (filled > 0) put(0, 8 - filled);
  return out;
}

Bytes PackBitsEncode(const Bytes& data) {
  Bytes out;
  for (size_t i = 0; i < data.size();) {
    size_t run = 1;
    while (i + run < data.size() && run < 128 && data[i + run] == data[i]) ++run;
    if (run > 1) {
      out.push_back(static_cast<uint8_t>(257 - run));
      out.push_back(data[i]);
      i += run;
      continue;
    }
    size_t n = 1;
    while (i + n < data.size() && n < 128 && data[i + n] != data[i + n - 1]) ++n;
    out.push_back(static_cast<uint8_t>(n - 1));
    out.insert(out.end(), data.begin() + static_cast<std::ptrdiff_t>(i),
               data.begin() + static_cast<std::ptrdiff_t>(i + n));
    i += n;
  }
  return out;
}

// Data of every character: constant, short period, few symbols, noise.
std::vector<Bytes> Samples() {
  std::mt19937 random(3);
  std::vector<Bytes> all;
  for (const size_t n :
       {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 127, 128, 129, 255, 1000, 4095, 20'000, 200'000}) {
    for (const unsigned symbols : {1u, 2u, 3u, 17u, 256u}) {
      Bytes b(n);
      for (uint8_t& v : b) v = static_cast<uint8_t>(random() % symbols);
      all.push_back(b);
    }
    Bytes period(n);
    for (size_t i = 0; i < n; ++i) period[i] = static_cast<uint8_t>(i % 37);
    all.push_back(period);
  }
  return all;
}

// Exactly sized heap blocks, so that a sanitizer sees one byte too far.
template <class F>
void CheckDecode(const Bytes& encoded, const Bytes& expected, size_t capacity, F&& decode) {
  const std::unique_ptr<uint8_t[]> in(new uint8_t[encoded.size()]);
  std::copy(encoded.begin(), encoded.end(), in.get());
  const std::unique_ptr<uint8_t[]> out(new uint8_t[capacity]);
  const size_t made = decode(in.get(), encoded.size(), out.get(), capacity);
  const size_t want = std::min(capacity, expected.size());
  CHECK(made == want);
  CHECK(std::equal(expected.begin(),
                   expected.begin() + static_cast<std::ptrdiff_t>(std::min(made, want)),
                   out.get()));
}

}  // namespace

TEST_CASE("LZW decodes what the specification's encoder writes, in both bit orders") {
  const auto lzw = std::make_unique<LzwDecoder>();
  const auto decode = [&](const uint8_t* s, size_t n, uint8_t* d, size_t c) {
    return lzw->Decode(s, n, d, c);
  };
  for (const Bytes& data : Samples()) {
    for (const bool old_style : {false, true}) {
      for (const bool clear : {true, false}) {
        CAPTURE(data.size());
        CAPTURE(old_style);
        CAPTURE(clear);
        const Bytes encoded = LzwEncode(data, old_style, clear);
        CheckDecode(encoded, data, data.size(), decode);
        CheckDecode(encoded, data, data.size() + 100, decode);  // the end code ends it
        CheckDecode(encoded, data, data.size() / 2, decode);
        CheckDecode(encoded, data, data.size() * 9 / 10, decode);
      }
    }
  }
}

TEST_CASE("PackBits decodes what it should, to any capacity") {
  for (const Bytes& data : Samples()) {
    CAPTURE(data.size());
    const Bytes encoded = PackBitsEncode(data);
    for (const size_t capacity :
         {data.size(), data.size() + 200, data.size() / 2, data.size() * 9 / 10}) {
      CheckDecode(encoded, data, capacity, PackBitsDecode);
    }
  }
  // The example of TIFF 6.0 section 9 (Apple's), and a no-op in between.
  const Bytes encoded = {0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0x80, 0xfd,
                         0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa};
  const Bytes expected = {0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00,
                          0x2a, 0x22, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa};
  CheckDecode(encoded, expected, expected.size(), PackBitsDecode);
}

TEST_CASE("damaged LZW and PackBits end early and stay inside their buffers") {
  const auto lzw = std::make_unique<LzwDecoder>();
  std::mt19937 random(11);
  Bytes data(3000);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<uint8_t>(i < 1500 ? random() % 4 : 0);
  const Bytes streams[] = {LzwEncode(data, false), LzwEncode(data, true), PackBitsEncode(data)};
  for (int round = 0; round < 6000; ++round) {
    Bytes b = streams[random() % 3];
    for (unsigned e = 0; e <= random() % 4; ++e)
      b[random() % b.size()] = static_cast<uint8_t>(random());
    b.resize(random() % (b.size() + 1));
    const size_t capacity = random() % 5000;
    const std::unique_ptr<uint8_t[]> in(new uint8_t[b.size()]);
    std::copy(b.begin(), b.end(), in.get());
    const std::unique_ptr<uint8_t[]> out(new uint8_t[capacity]);
    REQUIRE(lzw->Decode(in.get(), b.size(), out.get(), capacity) <= capacity);
    REQUIRE(PackBitsDecode(in.get(), b.size(), out.get(), capacity) <= capacity);
  }
}

TEST_CASE("predictors are undone for every size, width and number of samples") {
  std::mt19937 random(5);
  for (const size_t size : {1, 2, 4, 8}) {
    for (const size_t samples : {1, 2, 3, 4, 5}) {
      for (const size_t width : {1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 100}) {
        CAPTURE(size);
        CAPTURE(samples);
        CAPTURE(width);
        Bytes row(size * samples * width);
        for (uint8_t& v : row) v = static_cast<uint8_t>(random());
        const auto value = [&](const Bytes& b, size_t i) {
          uint64_t v = 0;
          std::memcpy(&v, b.data() + i * size, size);
          return v;
        };
        // Predictor 2, by the definition.
        Bytes stored = row;
        for (size_t i = samples; i < samples * width; ++i) {
          const uint64_t difference = value(row, i) - value(row, i - samples);
          std::memcpy(stored.data() + i * size, &difference, size);
        }
        UndoHorizontal(stored.data(), size, width, samples);
        CHECK(stored == row);
        if (size == 1) continue;
        // Predictor 3, by the definition: byte planes, most significant first, then byte
        // differences.
        const size_t count = samples * width;
        Bytes planes(row.size());
        for (size_t i = 0; i < count; ++i) {
          for (size_t b = 0; b < size; ++b) planes[b * count + i] = row[i * size + size - 1 - b];
        }
        for (size_t i = planes.size() - 1; i >= samples; --i) {
          planes[i] = static_cast<uint8_t>(planes[i] - planes[i - samples]);
        }
        Bytes scratch(row.size());
        UndoFloatingPoint(planes.data(), size, width, samples, scratch.data());
        CHECK(planes == row);
        // Swapping twice is nothing, once reverses.
        Bytes swapped = row;
        SwapBytes(swapped.data(), size, count);
        CHECK(swapped[0] == row[size - 1]);
        CHECK(swapped[swapped.size() - 1] == row[row.size() - size]);
        SwapBytes(swapped.data(), size, count);
        CHECK(swapped == row);
      }
    }
  }
}

}  // namespace tilecast
