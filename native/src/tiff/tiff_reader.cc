// SPDX-License-Identifier: MIT
// TiffReader: pages of a file, found lazily, and their planes.
#include "tiff/tiff_reader.h"

#include <deque>
#include <unordered_set>

#include "error.h"
#include "tiff/tiff_decode.h"
#include "tiff/tiff_directory.h"
#include "tiff/tiff_file.h"
#include "tiff/tiff_libtiff.h"

namespace tilecast {
namespace {

// Far above real stacks; bounds the time that a hostile chain can take.
constexpr size_t kMaxPages = 1 << 20;
constexpr size_t kKeptDirectories = 16;

}  // namespace

std::string TiffCompressionName(uint16_t compression) {
  switch (compression) {
    case 1:
      return "none";
    case 2:
      return "ccitt-rle";
    case 3:
      return "ccitt-fax3";
    case 4:
      return "ccitt-fax4";
    case 5:
      return "lzw";
    case 6:
      return "old-style jpeg";
    case 7:
      return "jpeg";
    case 8:
    case 32946:
      return "deflate";
    case 32773:
      return "packbits";
    case 33003:
    case 33005:
    case 34712:
      return "jpeg2000";
    case 34887:
      return "lerc";
    case 34892:
      return "lossy jpeg";
    case 34925:
      return "lzma";
    case 34934:
    case 22610:
      return "jpeg-xr";
    case 50000:
      return "zstd";
    case 50001:
      return "webp";
    case 50002:
    case 52546:
      return "jpeg-xl";
    default:
      return "compression " + std::to_string(compression);
  }
}

struct TiffReader::Impl {
  TiffFile file;
  TiffHeader header;
  // Offsets of the pages found so far, and whether the chain ends behind them.
  std::vector<uint64_t> offsets;
  std::unordered_set<uint64_t> seen;
  bool chain_ended = false;
  // Pages up to the last one asked for; offset 0: not parsed. The first few are kept between files
  // for their memory. A deque, as the libtiff decoder refers to its elements.
  std::deque<TiffDirectory> directories;
  TiffDecoder decoder;
  // Reduced images of one page.
  std::vector<uint64_t> sub_ifds;
  std::deque<TiffDirectory> reduced;
  size_t reduced_count = 0;
  int reduced_page = -1;
  std::unique_ptr<LibtiffDecoder> libtiff;  // of `libtiff_directory`
  const TiffDirectory* libtiff_directory = nullptr;
  bool open = false;

  void CloseLibtiff() {
    libtiff.reset();
    libtiff_directory = nullptr;
  }

  void Close() {
    CloseLibtiff();
    reduced_page = -1;
    file.Close();
    offsets.clear();
    seen.clear();
    if (directories.size() > kKeptDirectories) directories.resize(kKeptDirectories);
    for (TiffDirectory& d : directories) d.offset = 0;
    chain_ended = false;
    open = false;
  }

  // From a path, or from parts.
  template <class Source>
  void Open(const Source& source) {
    Close();
    try {
      file.Open(source);
      header = ParseTiffHeader(file);
      Append(header.first);
      open = true;
      Directory(0);
    } catch (...) {
      Close();
      throw;
    }
  }

  void Append(uint64_t offset) {
    if (offset == 0) {
      chain_ended = true;
      return;
    }
    file.set_page(static_cast<int64_t>(offsets.size()));
    // One page is the rule: it costs no set.
    if (!offsets.empty()) {
      if (seen.empty()) seen.insert(offsets.front());
      if (!seen.insert(offset).second) file.Damaged("the chain of pages runs in a circle", offset);
    }
    if (offsets.size() >= kMaxPages) {
      file.Damaged("more than " + std::to_string(kMaxPages) + " pages", offset);
    }
    if (!file.Contains(offset, header.big_tiff ? 8 : 2)) {
      file.Damaged(
          "the page's directory lies behind the end of the file, at " + std::to_string(file.size()),
          offset);
    }
    offsets.push_back(offset);
  }

  // Follows the chain until `count` pages are known or it ends.
  void Find(size_t count) {
    while (offsets.size() < count && !chain_ended) {
      const size_t last = offsets.size() - 1;
      file.set_page(static_cast<int64_t>(last));
      const bool parsed = last < directories.size() && directories[last].offset != 0;
      Append(parsed ? directories[last].next : NextTiffDirectory(file, header, offsets[last]));
    }
  }

  TiffDirectory& Directory(int index) {
    if (!open) throw Error(Code::kInvalidArgument, "no file is open");
    if (index >= 0) Find(static_cast<size_t>(index) + 1);
    if (index < 0 || static_cast<size_t>(index) >= offsets.size()) {
      throw Error(Code::kInvalidArgument,
                  "there is no page " + std::to_string(index) + ": the file has " +
                      std::to_string(offsets.size()),
                  file.path());
    }
    file.set_page(index);
    while (directories.size() <= static_cast<size_t>(index)) directories.emplace_back();
    TiffDirectory& d = directories[static_cast<size_t>(index)];
    if (d.offset == 0) {
      try {
        ParseTiffDirectory(file, header, offsets[static_cast<size_t>(index)], d);
      } catch (...) {
        d.offset = 0;
        throw;
      }
    }
    return d;
  }

  void FindReduced(int page);
  const TiffDirectory& Level(int page, int level);
  void Read(const TiffDirectory& d, int sample, int64_t y, int64_t x, const Plane& dst);
};

// Levels of a page other than itself. Images of another kind that SubIFDs can hold too (masks, a
// preview of other samples) are passed over.
void TiffReader::Impl::FindReduced(int page) {
  const TiffDirectory& top = Directory(page);
  if (reduced_page == page) return;
  reduced_page = -1;
  CloseLibtiff();  // it may be of a directory that is replaced now
  LoadSubIfds(file, header, top, sub_ifds);
  reduced_count = 0;
  for (const uint64_t offset : sub_ifds) {
    if (offset == 0 || !file.Contains(offset, header.big_tiff ? 8 : 2)) {
      file.Damaged("a SubIFD lies behind the end of the file, at " + std::to_string(file.size()),
                   offset);
    }
    while (reduced.size() <= reduced_count) reduced.emplace_back();
    TiffDirectory& d = reduced[reduced_count];
    try {
      ParseTiffDirectory(file, header, offset, d);
    } catch (const Error& e) {
      if (e.code() != Code::kTiffUnsupported) throw;
      continue;
    }
    const TiffPage& before = reduced_count == 0 ? top.page : reduced[reduced_count - 1].page;
    if (d.page.dtype == before.dtype && d.page.samples == before.samples &&
        d.page.width <= before.width && d.page.height <= before.height &&
        d.page.width * d.page.height < before.width * before.height) {
      ++reduced_count;
    }
  }
  reduced_page = page;
}

const TiffDirectory& TiffReader::Impl::Level(int page, int level) {
  const TiffDirectory& top = Directory(page);
  if (level == 0) return top;
  FindReduced(page);
  if (level < 0 || static_cast<size_t>(level) > reduced_count) {
    throw Error(Code::kInvalidArgument,
                "there is no level " + std::to_string(level) + ": the page has " +
                    std::to_string(reduced_count + 1),
                file.path(), page);
  }
  return reduced[static_cast<size_t>(level) - 1];
}

TiffReader::TiffReader() : impl_(std::make_unique<Impl>()) {}
TiffReader::~TiffReader() {
  impl_->Close();
}

void TiffReader::Open(const std::string& path) {
  impl_->Open(path);
}

void TiffReader::Open(const FileParts& parts) {
  impl_->Open(parts);
}

const FileRange& TiffReader::missing() const {
  return impl_->file.missing();
}

std::vector<FileRange> TiffReader::PixelRanges(int page, int level, int sample, int64_t y,
                                               int64_t x, int64_t height, int64_t width) {
  Impl& self = *impl_;
  const TiffDirectory& d = self.Level(page, level);
  std::vector<FileRange> ranges;
  if (sample < 0 || sample >= d.page.samples || height < 1 || width < 1) return ranges;
  const auto across = static_cast<uint64_t>(d.chunks_across());
  const auto down = static_cast<uint64_t>(d.chunks_down());
  // Each chunk has its entries in the file; decoding says what is wrong with one that claims more.
  if (across > self.file.size() || down > self.file.size() / across) return ranges;
  const uint64_t plane = d.page.planar ? static_cast<uint64_t>(sample) * across * down : 0;
  const auto left = static_cast<uint64_t>(x / d.page.chunk_width);
  const auto right = static_cast<uint64_t>((x + width - 1) / d.page.chunk_width);
  const auto top = static_cast<uint64_t>(y / d.page.chunk_height);
  const auto bottom = static_cast<uint64_t>((y + height - 1) / d.page.chunk_height);
  std::vector<TiffChunk> chunks;
  const auto add = [&](uint64_t first, uint64_t count) {
    LoadTiffChunks(self.file, self.header, d, plane + first, count, chunks);
    for (const TiffChunk& chunk : chunks) {
      if (chunk.bytes == 0 || !self.file.Contains(chunk.offset, chunk.bytes)) continue;
      if (!ranges.empty() && ranges.back().offset + ranges.back().bytes == chunk.offset) {
        ranges.back().bytes += chunk.bytes;
      } else {
        ranges.push_back({chunk.offset, chunk.bytes});
      }
    }
  };
  if (left == 0 && right + 1 == across) {
    add(top * across, (bottom - top + 1) * across);
  } else {
    for (uint64_t row = top; row <= bottom; ++row) add(row * across + left, right - left + 1);
  }
  return ranges;
}

void TiffReader::Close() {
  impl_->Close();
}

int TiffReader::page_count() {
  impl_->Directory(0);
  impl_->Find(kMaxPages + 1);
  return static_cast<int>(impl_->offsets.size());
}

const TiffPage& TiffReader::page(int index) {
  TiffDirectory& d = impl_->Directory(index);
  LoadTiffDescription(impl_->file, d);
  return d.page;
}

const TiffPage& TiffReader::layout(int index) {
  return impl_->Directory(index).page;
}

int TiffReader::levels(int page) {
  impl_->FindReduced(page);
  return static_cast<int>(impl_->reduced_count) + 1;
}

const TiffPage& TiffReader::level(int page, int level) {
  return impl_->Level(page, level).page;
}

namespace {

std::string Describe(int64_t height, int64_t width, DType dtype) {
  return std::to_string(height) + " x " + std::to_string(width) + " " +
         std::string(DTypeName(dtype));
}

}  // namespace

// `dst` lies in the image, and is of its dtype.
void TiffReader::Impl::Read(const TiffDirectory& d, int sample, int64_t y, int64_t x,
                            const Plane& dst) {
  if (sample < 0 || sample >= d.page.samples) {
    throw Error(Code::kInvalidArgument,
                "there is no sample " + std::to_string(sample) + ": a pixel has " +
                    std::to_string(d.page.samples),
                file.path(), file.page());
  }
  if (!d.page.fast_path && libtiff_directory != &d) {
    CloseLibtiff();
    libtiff = std::make_unique<LibtiffDecoder>(file, d);
    libtiff_directory = &d;
  }
  decoder.Decode(file, header, d, sample, d.page.fast_path ? nullptr : libtiff.get(), y, x, dst);
}

void TiffReader::ReadPlane(int page, int sample, const Plane& dst) {
  Impl& self = *impl_;
  const TiffDirectory& d = self.Directory(page);
  const TiffPage& p = d.page;
  const bool fits = dst.data != nullptr && dst.dtype == p.dtype && dst.width == p.width &&
                    dst.height == p.height && dst.stride >= dst.row_bytes();
  // A sample that does not exist is the first thing to be told.
  if (!fits && sample >= 0 && sample < p.samples) {
    throw Error(Code::kOpShape,
                "the destination is " + Describe(dst.height, dst.width, dst.dtype) + ", the page " +
                    Describe(p.height, p.width, p.dtype),
                self.file.path(), page);
  }
  self.Read(d, sample, 0, 0, dst);
}

void TiffReader::ReadRegion(int page, int level, int sample, int64_t y, int64_t x,
                            const Plane& dst) {
  Impl& self = *impl_;
  const TiffDirectory& d = self.Level(page, level);
  const TiffPage& p = d.page;
  if (dst.data == nullptr || dst.dtype != p.dtype || dst.width < 1 || dst.height < 1 ||
      dst.stride < dst.row_bytes() || y < 0 || x < 0 || dst.height > p.height ||
      dst.width > p.width || y > p.height - dst.height || x > p.width - dst.width) {
    throw Error(Code::kOpShape,
                "the region is " + Describe(dst.height, dst.width, dst.dtype) + " at row " +
                    std::to_string(y) + ", column " + std::to_string(x) + ", the image " +
                    Describe(p.height, p.width, p.dtype),
                self.file.path(), page);
  }
  self.Read(d, sample, y, x, dst);
}

int64_t TiffReader::bytes_read() const {
  return impl_->file.bytes_read();
}
int64_t TiffReader::file_bytes() const {
  return static_cast<int64_t>(impl_->file.size());
}
double TiffReader::mtime_ms() const {
  return impl_->file.mtime_ms();
}

}  // namespace tilecast
