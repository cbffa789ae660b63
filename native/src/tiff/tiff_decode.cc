// SPDX-License-Identifier: MIT
// Chunk decoding: straight into the plane where a chunk is a run of its rows, through scratch where
// it is not.
#include "tiff/tiff_decode.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "codec/packbits.h"
#include "codec/predictor.h"
#include "error.h"
#include "tiff/tiff_samples.h"

namespace tilecast {
namespace {

static_assert(std::endian::native == std::endian::little,
              "byte order is swapped for big-endian files only");

// Compressed chunks that lie close together are read at once, up to what stays in a level-2 cache
// while it is decoded.
constexpr uint64_t kBatchBytes = 1 << 20;
constexpr uint64_t kBatchGap = 32 * 1024;
// Rows that need work after reading are read in pieces that stay in the cache meanwhile.
constexpr uint64_t kRawBytes = 512 * 1024;
// Nothing is known about how far libtiff's codecs compress: a tile's scratch is bound to the size
// of the image, beyond this.
constexpr uint64_t kMaxPadding = 64 * 1024 * 1024;

}  // namespace

// What is decoded, with the facts that every chunk needs. Chunks are those that the wanted part
// touches, numbered from 0 in the order of the file's numbering.
struct TiffDecoder::Job {
  TiffFile& file;
  const TiffHeader& header;
  const TiffDirectory& directory;
  const Plane& dst;
  uint64_t y;  // of dst in the page
  uint64_t x;
  int sample;            // within a chunk's pixel
  uint64_t first_chunk;  // in the file's numbering: of the sample's
  uint64_t first_down;   // row of chunks that the first one is in
  uint64_t first_across;
  uint64_t chunks_wide;  // of each row of chunks
  uint64_t chunks;
  uint64_t row_bytes;  // of a decoded chunk
  size_t value_bytes;  // of a stored sample; 0 when samples are packed
  bool direct;         // decoded rows of a chunk are rows of dst
  bool swap;           // stored byte order is not ours (never for what libtiff decoded)
  bool invert;
  uint16_t predictor;

  uint64_t chunk_rows() const { return static_cast<uint64_t>(directory.page.chunk_height); }
  // In the file's numbering.
  uint64_t Number(uint64_t index) const {
    return first_chunk +
           (first_down + index / chunks_wide) * static_cast<uint64_t>(directory.chunks_across()) +
           first_across + index % chunks_wide;
  }
  // Row and column of the page that the chunk begins at.
  uint64_t first_row(uint64_t index) const {
    return (first_down + index / chunks_wide) * chunk_rows();
  }
  uint64_t first_column(uint64_t index) const {
    return (first_across + index % chunks_wide) * static_cast<uint64_t>(directory.page.chunk_width);
  }
  // Rows of the chunk that are part of the image.
  uint64_t image_rows(uint64_t index) const {
    return std::min(chunk_rows(), static_cast<uint64_t>(directory.page.height) - first_row(index));
  }
  // Of these, how many are needed: the last wanted row and those before it.
  uint64_t rows(uint64_t index) const {
    return std::min(image_rows(index), y + static_cast<uint64_t>(dst.height) - first_row(index));
  }
  // Of those, how many lie before the first wanted one.
  uint64_t skipped(uint64_t index) const {
    const uint64_t first = first_row(index);
    return first < y ? y - first : 0;
  }
  // Whether the chunk can be decoded in its place: all of it is wanted, and rows of it are rows of
  // dst.
  bool in_place(uint64_t index) const {
    return direct && skipped(index) == 0 && rows(index) == image_rows(index);
  }
  std::string Name(uint64_t index) const {
    return (directory.page.tiled ? "tile " : "strip ") + std::to_string(Number(index));
  }
  // Row `row` of the page.
  uint8_t* Row(uint64_t row) const {
    return reinterpret_cast<uint8_t*>(dst.data + static_cast<int64_t>(row - y) * dst.stride);
  }
};

void TiffDecoder::Decode(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory,
                         int sample, LibtiffDecoder* libtiff, int64_t y, int64_t x,
                         const Plane& dst) {
  const TiffPage& page = directory.page;
  const auto across = static_cast<uint64_t>(directory.chunks_across());
  const auto down = static_cast<uint64_t>(directory.chunks_down());
  // Each chunk has its entries in the file. (Also keeps the numbering of planar chunks inside 64
  // bits.)
  if (across > file.size() || down > file.size() / across) {
    file.Damaged("the file is too small for " + std::to_string(across) + " x " +
                     std::to_string(down) + " pieces of an image",
                 directory.offset);
  }
  const bool packed = directory.bits % 8 != 0;
  const bool widened = static_cast<size_t>(directory.bits) != 8 * DTypeSize(page.dtype);
  const int64_t first_down = y / page.chunk_height;
  const int64_t first_across = x / page.chunk_width;
  const int64_t chunks_high = (y + dst.height - 1) / page.chunk_height - first_down + 1;
  const int64_t chunks_wide = (x + dst.width - 1) / page.chunk_width - first_across + 1;
  Job job{file,
          header,
          directory,
          dst,
          static_cast<uint64_t>(y),
          static_cast<uint64_t>(x),
          page.planar ? 0 : sample,
          page.planar ? static_cast<uint64_t>(sample) * across * down : 0,
          static_cast<uint64_t>(first_down),
          static_cast<uint64_t>(first_across),
          static_cast<uint64_t>(chunks_wide),
          static_cast<uint64_t>(chunks_high * chunks_wide),
          directory.chunk_row_bytes(),
          packed ? size_t{0} : static_cast<size_t>(directory.bits) / 8,
          !widened && directory.chunk_samples() == 1 && page.chunk_width == page.width &&
              dst.width == page.width && dst.contiguous(),
          page.big_endian && directory.bits >= 16 && !packed && libtiff == nullptr,
          page.photometric == 0 && directory.sample_format == 1,
          libtiff == nullptr ? page.predictor : uint16_t{1}};
  if (libtiff != nullptr) {
    DecodeThroughLibtiff(job, *libtiff);
    return;
  }
  LoadChunks(job);
  if (page.compression == 1) {
    DecodeRaw(job);
  } else {
    DecodeCompressed(job);
  }
}

// Where the chunks are: all of the rows of chunks, read at once, and of these the wanted ones.
void TiffDecoder::LoadChunks(const Job& job) {
  const auto across = static_cast<uint64_t>(job.directory.chunks_across());
  const uint64_t first = job.Number(0);
  LoadTiffChunks(job.file, job.header, job.directory, first, job.Number(job.chunks - 1) - first + 1,
                 chunks_);
  if (job.chunks_wide == across) return;
  for (uint64_t i = 0; i < job.chunks; ++i) {
    chunks_[i] = chunks_[i / job.chunks_wide * across + i % job.chunks_wide];
  }
}

// Uncompressed rows can be read from the middle of a chunk, so memory stays small however large a
// strip is.
void TiffDecoder::DecodeRaw(const Job& job) {
  const bool work = job.swap || job.invert;
  for (uint64_t i = 0; i < job.chunks; ++i) {
    const uint64_t need = job.rows(i) * job.row_bytes;
    if (chunks_[i].bytes < need) {
      job.file.Damaged(job.Name(i) + " has " + std::to_string(chunks_[i].bytes) + " of " +
                           std::to_string(need) + " bytes",
                       chunks_[i].offset);
    }
    if (!job.file.Contains(chunks_[i].offset, need)) {
      job.file.Damaged(job.Name(i) + " of " + std::to_string(need) +
                           " bytes reaches past the end of the file, at " +
                           std::to_string(job.file.size()),
                       chunks_[i].offset);
    }
  }
  for (uint64_t i = 0; i < job.chunks;) {
    const uint64_t skipped = job.skipped(i);
    const uint64_t rows = job.rows(i);
    const uint64_t offset = chunks_[i].offset;
    if (job.direct && !work) {
      // Strips that follow each other in the file and in the plane are one read.
      const uint64_t from = offset + skipped * job.row_bytes;
      uint64_t bytes = (rows - skipped) * job.row_bytes;
      const uint64_t first = job.first_row(i) + skipped;
      for (++i; i < job.chunks && chunks_[i].offset == from + bytes; ++i) {
        // A full-height tile may be padded below the image; then its bytes do not follow.
        bytes += job.rows(i) * job.row_bytes;
      }
      job.file.Read(from, bytes, job.Row(first));
      continue;
    }
    const uint64_t step = std::max<uint64_t>(1, kRawBytes / job.row_bytes);
    for (uint64_t row = skipped; row < rows; row += step) {
      const uint64_t n = std::min(step, rows - row);
      const uint64_t at = offset + row * job.row_bytes;
      if (job.direct) {
        uint8_t* data = job.Row(job.first_row(i) + row);
        job.file.Read(at, n * job.row_bytes, data);
        Store(job, i, row, n, data, true, true);
      } else {
        // Chunks may share bytes, so what was read is not changed in place.
        auto* data = const_cast<uint8_t*>(job.file.ViewData(at, n * job.row_bytes));
        Store(job, i, row, n, data, false, false);
      }
    }
    ++i;
  }
}

void TiffDecoder::DecodeCompressed(const Job& job) {
  const TiffPage& page = job.directory.page;
  const uint64_t ratio = TiffMaxRatio(page.compression);
  for (uint64_t i = 0; i < job.chunks; ++i) {
    TiffChunk& chunk = chunks_[i];
    const uint64_t need = job.rows(i) * job.row_bytes;
    if (!job.file.Contains(chunk.offset, chunk.bytes)) {
      job.file.Damaged(job.Name(i) + " of " + std::to_string(chunk.bytes) +
                           " bytes reaches past the end of the file, at " +
                           std::to_string(job.file.size()),
                       chunk.offset);
    }
    // Nothing is allocated or written for sizes that this input can never fill.
    if (chunk.bytes < need / ratio) {
      job.file.Damaged(job.Name(i) + " (" + TiffCompressionName(page.compression) + ") has " +
                           std::to_string(chunk.bytes) + " bytes, too few for the " +
                           std::to_string(need) + " that it must decode to",
                       chunk.offset);
    }
    // No encoder doubles its input: what lies behind is not needed, whatever the file says.
    chunk.bytes = std::min(chunk.bytes, 2 * job.chunk_rows() * job.row_bytes + 64 * 1024);
  }

  const uint8_t* batch = nullptr;
  uint64_t batch_offset = 0;
  uint64_t batch_end = 0;  // index of the first chunk behind the batch
  for (uint64_t i = 0; i < job.chunks; ++i) {
    if (i >= batch_end) {
      batch_offset = chunks_[i].offset;
      uint64_t end = batch_offset + chunks_[i].bytes;
      for (batch_end = i + 1; batch_end < job.chunks; ++batch_end) {
        const TiffChunk& c = chunks_[batch_end];
        const uint64_t c_end = c.offset + c.bytes;
        if (c.offset < batch_offset || c.offset > end + kBatchGap ||
            c_end > batch_offset + kBatchBytes)
          break;
        end = std::max(end, c_end);
      }
      batch = job.file.ViewData(batch_offset, end - batch_offset);
    }
    const uint64_t rows = job.rows(i);
    const uint64_t need = rows * job.row_bytes;
    const bool in_place = job.in_place(i);
    uint8_t* data;
    uint64_t capacity = need;
    if (in_place) {
      data = job.Row(job.first_row(i));
    } else {
      // Tiles hold their full height, strips more than the wanted rows; with room for all of it the
      // decoders need no second go.
      const uint64_t all = (page.tiled ? job.chunk_rows() : job.image_rows(i)) * job.row_bytes;
      capacity = std::max(need, std::min(all, chunks_[i].bytes * ratio));
      data = scratch_.Ensure(capacity);
    }
    const size_t made = DecodeChunk(page.compression, batch + (chunks_[i].offset - batch_offset),
                                    chunks_[i].bytes, data, capacity);
    if (made < need) {
      job.file.Damaged(job.Name(i) + " (" + TiffCompressionName(page.compression) + ", " +
                           std::to_string(chunks_[i].bytes) + " bytes) decodes to " +
                           std::to_string(made) + " of " + std::to_string(need) + " bytes",
                       chunks_[i].offset);
    }
    const uint64_t skipped = job.skipped(i);
    Store(job, i, skipped, rows - skipped, data + skipped * job.row_bytes, true, in_place);
  }
}

void TiffDecoder::DecodeThroughLibtiff(const Job& job, LibtiffDecoder& libtiff) {
  const TiffPage& page = job.directory.page;
  if (libtiff.whole_image()) {
    if (page.dtype != DType::kU8 || job.directory.bits != 8 || page.samples != 3) {
      job.file.Unsupported("YCbCr of other than 3 samples of 8 bits");
    }
    const auto pixels = static_cast<uint64_t>(page.width) * static_cast<uint64_t>(page.height);
    uint8_t* rgba = scratch_.Ensure(pixels * 4);
    libtiff.DecodeImage(rgba);
    for (int64_t y = 0; y < job.dst.height; ++y) {
      const uint64_t pixel =
          (job.y + static_cast<uint64_t>(y)) * static_cast<uint64_t>(page.width) + job.x;
      PickSamples(rgba + pixel * 4 + job.sample, 1, 4, job.dst.data + y * job.dst.stride,
                  static_cast<size_t>(job.dst.width));
    }
    return;
  }
  for (uint64_t i = 0; i < job.chunks; ++i) {
    const uint64_t rows = job.rows(i);
    const uint64_t skipped = job.skipped(i);
    const uint64_t bytes = (page.tiled ? job.chunk_rows() : job.image_rows(i)) * job.row_bytes;
    // Padded tiles do not fit the plane.
    const bool direct = job.in_place(i) && bytes == rows * job.row_bytes;
    const uint64_t plane = static_cast<uint64_t>(page.width) * static_cast<uint64_t>(page.height) *
                           DTypeSize(page.dtype) * static_cast<uint64_t>(page.samples);
    if (!direct && bytes > std::max(kMaxPadding, 4 * plane)) {
      job.file.Damaged(job.Name(i) + " of " + std::to_string(bytes) +
                       " bytes is far larger than the image");
    }
    uint8_t* data = direct ? job.Row(job.first_row(i)) : scratch_.Ensure(bytes);
    libtiff.Decode(job.Number(i), bytes, data);
    Store(job, i, skipped, rows - skipped, data + skipped * job.row_bytes, true, direct);
  }
}

size_t TiffDecoder::DecodeChunk(uint16_t compression, const uint8_t* src, size_t size, uint8_t* dst,
                                size_t capacity) {
  switch (compression) {
    case 5:
      return lzw_.Decode(src, size, dst, capacity);
    case 32773:
      return PackBitsDecode(src, size, dst, capacity);
    case 50000:
      return zstd_.Decode(src, size, dst, capacity);
    default:
      return zlib_.Decode(src, size, dst, capacity);
  }
}

// Makes `rows` decoded rows of chunk `index`, from `first_row` of it, into pixels of the plane.
// `in_place`: `data` is the plane itself.
void TiffDecoder::Store(const Job& job, uint64_t index, uint64_t first_row, uint64_t rows,
                        uint8_t* data, bool mutable_data, bool in_place) {
  const TiffPage& page = job.directory.page;
  const auto chunk_width = static_cast<size_t>(page.chunk_width);
  const auto samples = static_cast<size_t>(job.directory.chunk_samples());
  // Columns of the page that are wanted and in the chunk.
  const uint64_t left = job.first_column(index);
  const uint64_t from = std::max(left, job.x);
  const size_t columns =
      std::min(left + chunk_width, job.x + static_cast<uint64_t>(job.dst.width)) - from;
  const size_t first_sample = (from - left) * samples + static_cast<size_t>(job.sample);
  const uint64_t top = job.first_row(index) + first_row;
  const size_t pixel = DTypeSize(page.dtype);
  bool swap = job.swap;

  // Predictors and halves work on whole rows before samples are picked; only compressed data, which
  // is ours to change, has them.
  const bool half = job.directory.bits == 16 && page.dtype == DType::kF32;
  if (half && swap && !mutable_data) {
    data = static_cast<uint8_t*>(
        std::memcpy(scratch_.Ensure(rows * job.row_bytes), data, rows * job.row_bytes));
  }
  if (job.predictor == 3 || (swap && (job.predictor == 2 || half))) {
    for (uint64_t y = 0; y < rows; ++y) {
      uint8_t* row = data + y * job.row_bytes;
      if (job.predictor == 3) {
        UndoFloatingPoint(row, job.value_bytes, chunk_width, samples, row_.Ensure(job.row_bytes));
      } else {
        SwapBytes(row, job.value_bytes, chunk_width * samples);
      }
    }
    swap = false;
  }
  if (job.predictor == 2) {
    for (uint64_t y = 0; y < rows; ++y) {
      UndoHorizontal(data + y * job.row_bytes, job.value_bytes, chunk_width, samples);
    }
  }
  const bool unpack = half || job.value_bytes == 0;
  if (in_place && !swap && !job.invert) return;
  for (uint64_t y = 0; y < rows; ++y) {
    std::byte* out = reinterpret_cast<std::byte*>(job.Row(top + y)) + (from - job.x) * pixel;
    const uint8_t* row = data + y * job.row_bytes;
    if (unpack) {
      UnpackSamples(row, job.directory.bits, first_sample, samples, page.dtype, out, columns);
    } else if (!in_place) {
      PickSamples(row + first_sample * pixel, pixel, samples, out, columns);
    }
    if (swap) SwapBytes(out, pixel, columns);
    if (job.invert) InvertSamples(out, page.dtype, job.directory.bits, columns);
  }
}

}  // namespace tilecast
