// SPDX-License-Identifier: MIT
// Writes and measures TIFF files; see tiff.h.
#include "bench/tiff.h"

#include <libdeflate.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "bench/lzw_encoder.h"
#include "bench/rate.h"
#include "bench/scene.h"
#include "codec/inflate.h"
#include "codec/lzw.h"
#include "error.h"
#include "tiff/tiff_directory.h"
#include "tiff/tiff_file.h"
#include "tiff/tiff_reader.h"

namespace tilecast::bench {
namespace {

constexpr int64_t kStripRows = 32;
constexpr uint16_t kNone = 1, kLzw = 5, kDeflate = 8, kZstd = 50000;

uint16_t TiffNumber(const std::string& compression) {
  if (compression == "none") return kNone;
  if (compression == "lzw") return kLzw;
  if (compression == "deflate") return kDeflate;
  if (compression == "zstd") return kZstd;
  throw Error(Code::kInvalidArgument, "compression must be none, lzw, deflate or zstd");
}

std::vector<uint8_t> Compress(uint16_t compression, const std::vector<uint8_t>& raw) {
  std::vector<uint8_t> out;
  if (compression == kNone) return raw;
  if (compression == kLzw) return EncodeLzw(raw);
  size_t size = 0;
  if (compression == kDeflate) {
    const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> context(
        libdeflate_alloc_compressor(6), &libdeflate_free_compressor);
    out.resize(libdeflate_zlib_compress_bound(context.get(), raw.size()));
    size = libdeflate_zlib_compress(context.get(), raw.data(), raw.size(), out.data(), out.size());
  } else {
    out.resize(ZSTD_compressBound(raw.size()));
    size = ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 3);
    if (ZSTD_isError(size) != 0) size = 0;
  }
  if (size == 0) throw Error(Code::kInternal, "a strip cannot be compressed");
  out.resize(size);
  return out;
}

// Rows y0 <= y < y1 as a strip holds them before its codec; little-endian, as the hosts we run on.
std::vector<uint8_t> RawStrip(const Plane& image, int64_t y0, int64_t y1, bool differences) {
  std::vector<uint8_t> raw(static_cast<size_t>((y1 - y0) * image.row_bytes()));
  uint8_t* to = raw.data();
  for (int64_t y = y0; y < y1; ++y, to += image.row_bytes()) {
    const auto* row = image.row<uint16_t>(y);
    for (int64_t x = 0; x < image.width; ++x) {
      const auto value = static_cast<uint16_t>(differences && x > 0 ? row[x] - row[x - 1] : row[x]);
      std::memcpy(to + 2 * x, &value, 2);
    }
  }
  return raw;
}

void Put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

struct Strips {
  uint16_t compression = kNone;
  std::vector<std::vector<uint8_t>> encoded;
  std::vector<size_t> decoded_bytes;
  double pixels = 0;
};

Strips LoadStrips(const std::string& path) {
  TiffFile file;
  file.Open(path);
  const TiffHeader header = ParseTiffHeader(file);
  TiffDirectory directory;
  ParseTiffDirectory(file, header, header.first, directory);
  std::vector<TiffChunk> chunks;
  const int64_t across = directory.chunks_across();
  LoadTiffChunks(file, header, directory, 0,
                 static_cast<uint64_t>(directory.chunks_down() * across), chunks);
  Strips out;
  out.compression = directory.page.compression;
  out.pixels = static_cast<double>(directory.page.width * directory.page.height);
  for (size_t i = 0; i < chunks.size(); ++i) {
    const uint8_t* data = file.ViewData(chunks[i].offset, chunks[i].bytes);
    out.encoded.emplace_back(data, data + chunks[i].bytes);
    // The last strip ends with the image; tiles are stored in full.
    const int64_t rows = directory.page.tiled
                             ? directory.page.chunk_height
                             : std::min(directory.page.chunk_height,
                                        directory.page.height -
                                            static_cast<int64_t>(i) * directory.page.chunk_height);
    out.decoded_bytes.push_back(static_cast<size_t>(rows) * directory.chunk_row_bytes());
  }
  return out;
}

struct Decoders {
  ZlibDecoder zlib;
  ZstdDecoder zstd;
  LzwDecoder lzw;
  std::vector<uint8_t> out;

  void Decode(uint16_t compression, const std::vector<uint8_t>& strip, size_t bytes) {
    out.resize(std::max(out.size(), bytes));
    size_t made = 0;
    if (compression == kDeflate) {
      made = zlib.Decode(strip.data(), strip.size(), out.data(), bytes);
    } else if (compression == kZstd) {
      made = zstd.Decode(strip.data(), strip.size(), out.data(), bytes);
    } else {
      made = lzw.Decode(strip.data(), strip.size(), out.data(), bytes);
    }
    if (made != bytes) throw Error(Code::kInternal, "a strip of the test image is damaged");
  }
};

}  // namespace

uint64_t WriteTestTiff(const std::string& path, const std::string& compression, int64_t side) {
  const uint16_t number = TiffNumber(compression);
  const OwnedPlane image = Nuclei(side);
  std::string file("II\x2a\0\0\0\0\0", 8);
  std::vector<uint64_t> offsets, counts;
  for (int64_t y = 0; y < side; y += kStripRows) {
    const std::vector<uint8_t> strip = Compress(
        number, RawStrip(image.plane(), y, std::min(side, y + kStripRows), number != kNone));
    offsets.push_back(file.size());
    counts.push_back(strip.size());
    file.append(reinterpret_cast<const char*>(strip.data()), strip.size());
    if (file.size() % 2 != 0) file += '\0';
  }
  auto table = [&file](const std::vector<uint64_t>& values) -> uint64_t {
    if (values.size() == 1) return values[0];  // stored in the field itself
    const uint64_t at = file.size();
    for (const uint64_t v : values) Put(file, v, 4);
    return at;
  };
  const uint64_t offsets_at = table(offsets);
  const uint64_t counts_at = table(counts);
  const uint64_t n = offsets.size();
  const uint64_t directory = file.size();
  for (int i = 0; i < 4; ++i)
    file[size_t{4} + static_cast<size_t>(i)] = static_cast<char>(directory >> (8 * i));
  struct Field {
    uint16_t tag, type;
    uint64_t count, value;
  };
  constexpr uint16_t kShort = 3, kLong = 4;
  const Field fields[] = {{256, kLong, 1, static_cast<uint64_t>(side)},
                          {257, kLong, 1, static_cast<uint64_t>(side)},
                          {258, kShort, 1, 16},
                          {259, kShort, 1, number},
                          {262, kShort, 1, 1},
                          {273, kLong, n, offsets_at},
                          {277, kShort, 1, 1},
                          {278, kLong, 1, kStripRows},
                          {279, kLong, n, counts_at},
                          {317, kShort, 1, static_cast<uint64_t>(number == kNone ? 1 : 2)}};
  Put(file, std::size(fields), 2);
  for (const Field& f : fields) {
    Put(file, f.tag, 2);
    Put(file, f.type, 2);
    Put(file, f.count, 4);
    Put(file, f.value, 4);
  }
  Put(file, 0, 4);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(file.data(), static_cast<std::streamsize>(file.size()));
  out.close();
  if (!out) throw IoError("cannot write", path, errno);

  // A file that is not read back as it was painted would make every figure meaningless.
  TiffReader reader;
  reader.Open(path);
  const OwnedPlane back(DType::kU16, side, side);
  reader.ReadPlane(0, 0, back.plane());
  if (std::memcmp(back.plane().data, image.plane().data,
                  static_cast<size_t>(image.plane().bytes())) != 0) {
    throw Error(Code::kInternal, "the test image does not read back", path);
  }
  return file.size();
}

double MeasureTiffRead(const std::string& path, int threads, double seconds) {
  return MeasureRate(threads, seconds, [&](int) -> Work {
    auto reader = std::make_shared<TiffReader>();
    reader->Open(path);
    const TiffPage& page = reader->layout(0);
    auto image = std::make_shared<OwnedPlane>(page.dtype, page.height, page.width);
    return [&path, reader, image] {
      reader->Open(path);
      reader->ReadPlane(0, 0, image->plane());
      return static_cast<double>(image->plane().pixels());
    };
  });
}

double MeasureTiffCodec(const std::string& path, int threads, double seconds) {
  const Strips strips = LoadStrips(path);
  if (strips.compression == kNone) {
    throw Error(Code::kInvalidArgument, "an uncompressed file has no codec to measure", path);
  }
  return MeasureRate(threads, seconds, [&](int) -> Work {
    auto decoders = std::make_shared<Decoders>();
    return [&strips, decoders] {
      for (size_t i = 0; i < strips.encoded.size(); ++i) {
        decoders->Decode(strips.compression, strips.encoded[i], strips.decoded_bytes[i]);
      }
      return strips.pixels;
    };
  });
}

}  // namespace tilecast::bench
