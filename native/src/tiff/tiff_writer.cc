// SPDX-License-Identifier: MIT
// TiffWriter: chunks encoded by threads in batches, appended in their order.
#include "tiff/tiff_writer.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "codec/raw_buffer.h"
#include "error.h"
#include "tiff/atomic_file.h"
#include "tiff/tiff_tail.h"

namespace tilecast {
namespace {

// Pixels that are encoded before they are written, by each thread: a write is then large enough to
// cost little, and its buffer still in the cache.
constexpr int64_t kBatchBytes = 1 << 20;
constexpr int64_t kStripBytes = 256 * 1024;
constexpr int64_t kMaxSide = std::numeric_limits<int32_t>::max();
// Starting a thread costs more than encoding less.
constexpr int64_t kBytesPerThread = 512 * 1024;

int64_t CeilDiv(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

std::string Size(const Plane& p) {
  return std::to_string(p.height) + " x " + std::to_string(p.width);
}

}  // namespace

struct TiffWriter::Impl {
  // Of one thread.
  struct Lane {
    TiffEncoder encoder;
    RawBuffer out;
    std::vector<TiffChunk> chunks;  // of a batch; offsets within it
  };

  AtomicFile file;
  TiffEncoding encoding;
  uint64_t end = 0;  // of what is written
  std::vector<TiffWrittenPage> pages;
  std::vector<std::unique_ptr<Lane>> lanes;

  TiffWrittenImage Layout(const Plane& plane) const {
    TiffWrittenImage image;
    image.dtype = plane.dtype;
    image.width = plane.width;
    image.height = plane.height;
    image.codec = encoding.codec;
    image.predictor = !encoding.predictor || encoding.codec == TiffCodec::kNone ? 1
                      : IsFloat(plane.dtype)                                    ? 3
                                                                                : 2;
    image.tiled = encoding.tile > 0;
    if (image.tiled) {
      image.chunk_width = std::min(encoding.tile, CeilDiv(plane.width, 16) * 16);
      image.chunk_height = std::min(encoding.tile, CeilDiv(plane.height, 16) * 16);
    } else {
      const int64_t rows = encoding.strip_rows > 0
                               ? encoding.strip_rows
                               : std::max<int64_t>(1, kStripBytes / plane.row_bytes());
      image.chunk_width = plane.width;
      image.chunk_height = std::min(rows, plane.height);
    }
    const int64_t count =
        CeilDiv(plane.width, image.chunk_width) * CeilDiv(plane.height, image.chunk_height);
    image.chunks.resize(static_cast<size_t>(count));
    return image;
  }

  // Rows that follow each other in memory are strips as they are.
  void WriteRows(const Plane& plane, TiffWrittenImage& image) {
    uint64_t at = end;
    for (size_t i = 0; i < image.chunks.size(); ++i) {
      const int64_t rows =
          std::min(image.chunk_height, plane.height - static_cast<int64_t>(i) * image.chunk_height);
      image.chunks[i] = {at, static_cast<uint64_t>(rows * plane.row_bytes())};
      at += image.chunks[i].bytes;
    }
    file.Write(end, plane.data, static_cast<size_t>(plane.bytes()));
    end = at + at % 2;
  }

  // What the threads of one image share.
  struct Work {
    const Plane& plane;
    TiffWrittenImage& image;
    int64_t across;
    size_t batch;  // chunks
    std::atomic<size_t> next{0};
    std::mutex mutex;
    std::condition_variable turn_came;
    size_t turn = 0;  // the batch that is placed next
    std::exception_ptr failure;
  };

  void Encode(Work& work, Lane& lane) {
    TiffWrittenImage& image = work.image;
    lane.encoder.Begin(image.codec, encoding.level, image.predictor);
    const auto size = static_cast<int64_t>(DTypeSize(image.dtype));
    const auto bound =
        lane.encoder.Bound(static_cast<size_t>(image.chunk_width * image.chunk_height * size)) + 1;
    for (;;) {
      const size_t batch = work.next.fetch_add(1, std::memory_order_relaxed);
      const size_t first = batch * work.batch;
      if (first >= image.chunks.size()) return;
      const size_t n = std::min(work.batch, image.chunks.size() - first);
      uint8_t* const out = lane.out.Ensure(n * bound);
      lane.chunks.clear();
      uint64_t used = 0;
      for (size_t i = first; i < first + n; ++i) {
        const int64_t y = static_cast<int64_t>(i) / work.across * image.chunk_height;
        const int64_t x = static_cast<int64_t>(i) % work.across * image.chunk_width;
        Plane part = work.plane;
        part.data += y * part.stride + x * size;
        part.height = std::min(image.chunk_height, part.height - y);
        part.width = std::min(image.chunk_width, part.width - x);
        const int64_t height = image.tiled ? image.chunk_height : part.height;
        const size_t made = lane.encoder.Encode(part, height, image.chunk_width, out + used);
        lane.chunks.push_back({used, made});
        used += made;
        if (used % 2 != 0) out[used++] = 0;
      }
      uint64_t at;
      {
        // Batches get their places in their order, so that a file is the same however many threads
        // made it. The one before is being encoded by another thread, and takes about as long.
        std::unique_lock lock(work.mutex);
        work.turn_came.wait(lock, [&] { return work.turn == batch || work.failure; });
        if (work.failure) return;
        at = end;
        end += used;
        ++work.turn;
      }
      work.turn_came.notify_all();
      for (size_t k = 0; k < n; ++k) {
        image.chunks[first + k] = {at + lane.chunks[k].offset, lane.chunks[k].bytes};
      }
      file.Write(at, out, static_cast<size_t>(used));
    }
  }

  void WriteImage(const Plane& plane, TiffWrittenImage& image, int threads) {
    if (!image.tiled && image.codec == TiffCodec::kNone && plane.contiguous()) {
      WriteRows(plane, image);
      return;
    }
    const int64_t chunk_bytes =
        image.chunk_width * image.chunk_height * static_cast<int64_t>(DTypeSize(image.dtype));
    Work work{plane, image, CeilDiv(plane.width, image.chunk_width),
              static_cast<size_t>(std::clamp<int64_t>(kBatchBytes / chunk_bytes, 1, 1024))};
    const auto most = std::min<int64_t>(
        CeilDiv(static_cast<int64_t>(image.chunks.size()), static_cast<int64_t>(work.batch)),
        CeilDiv(plane.bytes(), kBytesPerThread));
    const auto count = static_cast<size_t>(std::clamp<int64_t>(threads, 1, most));
    while (lanes.size() < count) lanes.push_back(std::make_unique<Lane>());
    const auto run = [&](size_t lane) noexcept {
      try {
        Encode(work, *lanes[lane]);
      } catch (...) {
        const std::lock_guard lock(work.mutex);
        if (!work.failure) work.failure = std::current_exception();
        work.turn_came.notify_all();
      }
    };
    std::vector<std::thread> helpers;
    helpers.reserve(count - 1);
    for (size_t i = 1; i < count; ++i) {
      try {
        helpers.emplace_back(run, i);
      } catch (const std::system_error&) {
        break;  // the system has no more threads: those that run, and this one, do the work
      }
    }
    run(0);
    for (std::thread& t : helpers) t.join();
    if (work.failure) std::rethrow_exception(work.failure);
  }
};

TiffWriter::TiffWriter() : impl_(std::make_unique<Impl>()) {}
TiffWriter::~TiffWriter() = default;

void TiffWriter::Open(const std::string& path, const TiffEncoding& e) {
  Abandon();
  const auto wrong = [](const std::string& what) { throw Error(Code::kInvalidArgument, what); };
  const int least = e.codec == TiffCodec::kZstd ? 1 : 0;
  const int most = e.codec == TiffCodec::kZstd ? 22 : 12;
  if (e.codec != TiffCodec::kNone && (e.level < least || e.level > most)) {
    wrong("level must be " + std::to_string(least) + " to " + std::to_string(most) + ", got " +
          std::to_string(e.level));
  }
  if (e.tile < 0 || e.tile > 1 << 15 || e.tile % 16 != 0) {
    wrong("tile must be a multiple of 16 up to 32768, or 0 for strips, got " +
          std::to_string(e.tile));
  }
  if (e.strip_rows < 0 || e.strip_rows > kMaxSide) {
    wrong("strip rows must be at least 0, got " + std::to_string(e.strip_rows));
  }
  impl_->file.Open(path, e.temporary);
  impl_->encoding = e;
  impl_->end = kTiffHeaderBytes;
}

void TiffWriter::WritePage(std::span<const Plane> levels, const TiffPageText& text, int threads) {
  Impl& self = *impl_;
  if (!self.file.open()) throw Error(Code::kInvalidArgument, "no file is open for writing");
  if (levels.empty())
    throw Error(Code::kInvalidArgument, "a page needs an image", self.file.path());
  for (size_t i = 0; i < levels.size(); ++i) {
    const Plane& p = levels[i];
    if (p.data == nullptr || p.width < 1 || p.height < 1 || p.width > kMaxSide ||
        p.height > kMaxSide || p.stride < p.row_bytes()) {
      throw Error(Code::kOpShape, "an image of " + Size(p) + " pixels cannot be written",
                  self.file.path());
    }
    if (i > 0 && (p.dtype != levels[0].dtype || p.width > levels[i - 1].width ||
                  p.height > levels[i - 1].height || p.pixels() >= levels[i - 1].pixels())) {
      throw Error(Code::kOpShape,
                  "level " + std::to_string(i) + " of a page is " + Size(p) + " " +
                      std::string(DTypeName(p.dtype)) + ", the level before it " +
                      Size(levels[i - 1]) + " " + std::string(DTypeName(levels[i - 1].dtype)),
                  self.file.path());
    }
  }
  try {
    TiffWrittenPage& page = self.pages.emplace_back();
    page.text = text;
    for (const Plane& level : levels) {
      self.WriteImage(level, page.levels.emplace_back(self.Layout(level)), threads);
    }
  } catch (...) {
    Abandon();
    throw;
  }
}

int64_t TiffWriter::Finish() {
  Impl& self = *impl_;
  if (!self.file.open()) throw Error(Code::kInvalidArgument, "no file is open for writing");
  if (self.pages.empty()) {
    throw Error(Code::kInvalidArgument, "a TIFF has at least one page", self.file.path());
  }
  try {
    TiffTail tail = MakeTiffTail(self.pages, self.end, false);
    const uint64_t limit = std::min<uint64_t>(self.encoding.classic_bytes, 0xffffffff);
    const bool long_counts = std::ranges::any_of(self.pages, [](const TiffWrittenPage& page) {
      return std::ranges::any_of(page.levels, [](const TiffWrittenImage& image) {
        return std::ranges::any_of(image.chunks,
                                   [](const TiffChunk& c) { return c.bytes > 0xffffffff; });
      });
    });
    if (long_counts || self.end + tail.bytes.size() > limit)
      tail = MakeTiffTail(self.pages, self.end, true);
    self.file.Write(self.end, tail.bytes.data(), tail.bytes.size());
    self.file.Write(0, tail.header, sizeof tail.header);
    self.file.Commit(self.encoding.sync, self.encoding.exclusive);
    const auto size = static_cast<int64_t>(self.end + tail.bytes.size());
    Abandon();
    return size;
  } catch (...) {
    Abandon();
    throw;
  }
}

void TiffWriter::Abandon() {
  impl_->file.Discard();
  impl_->pages.clear();
  impl_->end = 0;
}

}  // namespace tilecast
