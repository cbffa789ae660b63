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

uint64_t MaxRatio(uint16_t compression) {
  switch (compression) {
    case 5:
      return kLzwMaxRatio;
    case 32773:
      return kPackBitsMaxRatio;
    case 50000:
      return kZstdMaxRatio;
    default:
      return kDeflateMaxRatio;
  }
}

}  // namespace

// What is decoded, with the facts that every chunk needs.
struct TiffDecoder::Job {
  TiffFile& file;
  const TiffHeader& header;
  const TiffDirectory& directory;
  const Plane& dst;
  int sample;            // within a chunk's pixel
  uint64_t first_chunk;  // in the file's numbering
  uint64_t chunks;
  uint64_t row_bytes;  // of a decoded chunk
  size_t value_bytes;  // of a stored sample; 0 when samples are packed
  bool direct;         // a decoded chunk is a run of rows of dst
  bool swap;           // stored byte order is not ours (never for what libtiff decoded)
  bool invert;
  uint16_t predictor;

  uint64_t chunk_rows() const { return static_cast<uint64_t>(directory.page.chunk_height); }
  uint64_t first_row(uint64_t index) const {
    return index / static_cast<uint64_t>(directory.chunks_across()) * chunk_rows();
  }
  // Rows of a chunk that are part of the image.
  uint64_t image_rows(uint64_t index) const {
    return std::min(chunk_rows(), static_cast<uint64_t>(dst.height) - first_row(index));
  }
  std::string Name(uint64_t index) const {
    return (directory.page.tiled ? "tile " : "strip ") + std::to_string(first_chunk + index);
  }
  uint8_t* Row(uint64_t y) const {
    return reinterpret_cast<uint8_t*>(dst.data + static_cast<int64_t>(y) * dst.stride);
  }
};

void TiffDecoder::Decode(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory,
                         int sample, LibtiffDecoder* libtiff, const Plane& dst) {
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
  Job job{file,
          header,
          directory,
          dst,
          page.planar ? 0 : sample,
          page.planar ? static_cast<uint64_t>(sample) * across * down : 0,
          across * down,
          directory.chunk_row_bytes(),
          packed ? size_t{0} : static_cast<size_t>(directory.bits) / 8,
          !widened && directory.chunk_samples() == 1 && page.chunk_width == page.width &&
              dst.contiguous(),
          page.big_endian && directory.bits >= 16 && !packed && libtiff == nullptr,
          page.photometric == 0 && directory.sample_format == 1,
          libtiff == nullptr ? page.predictor : uint16_t{1}};
  if (libtiff != nullptr) {
    DecodeThroughLibtiff(job, *libtiff);
    return;
  }
  LoadTiffChunks(file, header, directory, job.first_chunk, job.chunks, chunks_);
  if (page.compression == 1) {
    DecodeRaw(job);
  } else {
    DecodeCompressed(job);
  }
}

// Uncompressed rows can be read from the middle of a chunk, so memory stays small however large a
// strip is.
void TiffDecoder::DecodeRaw(const Job& job) {
  const bool work = job.swap || job.invert;
  for (uint64_t i = 0; i < job.chunks; ++i) {
    const uint64_t rows = job.image_rows(i);
    const uint64_t need = rows * job.row_bytes;
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
    uint64_t rows = job.image_rows(i);
    const uint64_t offset = chunks_[i].offset;
    if (job.direct && !work) {
      // Strips that follow each other in the file and in the plane are one read.
      uint64_t bytes = rows * job.row_bytes;
      const uint64_t first = job.first_row(i);
      for (++i; i < job.chunks && chunks_[i].offset == offset + bytes; ++i) {
        // A full-height tile may be padded below the image; then its bytes do not follow.
        bytes += job.image_rows(i) * job.row_bytes;
      }
      job.file.Read(offset, bytes, job.Row(first));
      continue;
    }
    const uint64_t step = std::max<uint64_t>(1, kRawBytes / job.row_bytes);
    for (uint64_t row = 0; row < rows; row += step) {
      const uint64_t n = std::min(step, rows - row);
      const uint64_t at = offset + row * job.row_bytes;
      if (job.direct) {
        uint8_t* data = job.Row(job.first_row(i) + row);
        job.file.Read(at, n * job.row_bytes, data);
        Store(job, i, row, n, data, true);
      } else {
        // Chunks may share bytes, so what was read is not changed in place.
        auto* data = const_cast<uint8_t*>(job.file.ViewData(at, n * job.row_bytes));
        Store(job, i, row, n, data, false);
      }
    }
    ++i;
  }
}

void TiffDecoder::DecodeCompressed(const Job& job) {
  const TiffPage& page = job.directory.page;
  const uint64_t ratio = MaxRatio(page.compression);
  for (uint64_t i = 0; i < job.chunks; ++i) {
    TiffChunk& chunk = chunks_[i];
    const uint64_t need = job.image_rows(i) * job.row_bytes;
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
    const uint64_t rows = job.image_rows(i);
    const uint64_t need = rows * job.row_bytes;
    uint8_t* data;
    uint64_t capacity = need;
    if (job.direct) {
      data = job.Row(job.first_row(i));
    } else {
      // Tiles hold their full height; with room for it the decoders need no second go.
      if (page.tiled)
        capacity =
            std::max(need, std::min(job.chunk_rows() * job.row_bytes, chunks_[i].bytes * ratio));
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
    Store(job, i, 0, rows, data, true);
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
    for (int64_t y = 0; y < page.height; ++y) {
      PickSamples(rgba + static_cast<uint64_t>(y * page.width) * 4 + job.sample, 1, 4,
                  job.dst.data + y * job.dst.stride, static_cast<size_t>(page.width));
    }
    return;
  }
  for (uint64_t i = 0; i < job.chunks; ++i) {
    const uint64_t rows = job.image_rows(i);
    const uint64_t bytes = (page.tiled ? job.chunk_rows() : rows) * job.row_bytes;
    // Padded tiles do not fit the plane.
    const bool direct = job.direct && bytes == rows * job.row_bytes;
    const uint64_t plane =
        static_cast<uint64_t>(job.dst.bytes()) * static_cast<uint64_t>(page.samples);
    if (!direct && bytes > std::max(kMaxPadding, 4 * plane)) {
      job.file.Damaged(job.Name(i) + " of " + std::to_string(bytes) +
                       " bytes is far larger than the image");
    }
    uint8_t* data = direct ? job.Row(job.first_row(i)) : scratch_.Ensure(bytes);
    libtiff.Decode(job.first_chunk + i, bytes, data);
    if (job.direct && !direct) {
      std::memcpy(job.Row(job.first_row(i)), data, rows * job.row_bytes);
      data = job.Row(job.first_row(i));
    }
    Store(job, i, 0, rows, data, true);
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
// `data` is the plane itself when the job is direct.
void TiffDecoder::Store(const Job& job, uint64_t index, uint64_t first_row, uint64_t rows,
                        uint8_t* data, bool mutable_data) {
  const TiffPage& page = job.directory.page;
  const auto chunk_width = static_cast<size_t>(page.chunk_width);
  const auto samples = static_cast<size_t>(job.directory.chunk_samples());
  const auto across = static_cast<uint64_t>(job.directory.chunks_across());
  const auto left = static_cast<size_t>(index % across) * chunk_width;
  const size_t columns = std::min(chunk_width, static_cast<size_t>(page.width) - left);
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
  if (job.direct && !swap && !job.invert) return;
  for (uint64_t y = 0; y < rows; ++y) {
    std::byte* out = reinterpret_cast<std::byte*>(job.Row(top + y)) + left * pixel;
    const uint8_t* row = data + y * job.row_bytes;
    if (unpack) {
      UnpackSamples(row, job.directory.bits, static_cast<size_t>(job.sample), samples, page.dtype,
                    out, columns);
    } else if (!job.direct) {
      PickSamples(row + static_cast<size_t>(job.sample) * pixel, pixel, samples, out, columns);
    }
    if (swap) SwapBytes(out, pixel, columns);
    if (job.invert) InvertSamples(out, page.dtype, job.directory.bits, columns);
  }
}

}  // namespace tilecast
