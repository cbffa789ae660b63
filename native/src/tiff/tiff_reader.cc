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
  std::unique_ptr<LibtiffDecoder> libtiff;  // of `libtiff_page`
  int libtiff_page = -1;
  bool open = false;

  void Close() {
    libtiff.reset();
    libtiff_page = -1;
    file.Close();
    offsets.clear();
    seen.clear();
    if (directories.size() > kKeptDirectories) directories.resize(kKeptDirectories);
    for (TiffDirectory& d : directories) d.offset = 0;
    chain_ended = false;
    open = false;
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
};

TiffReader::TiffReader() : impl_(std::make_unique<Impl>()) {}
TiffReader::~TiffReader() {
  impl_->Close();
}

void TiffReader::Open(const std::string& path) {
  Impl& self = *impl_;
  self.Close();
  try {
    self.file.Open(path);
    self.header = ParseTiffHeader(self.file);
    self.Append(self.header.first);
    self.open = true;
    self.Directory(0);
  } catch (...) {
    self.Close();
    throw;
  }
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

void TiffReader::ReadPlane(int page, int sample, const Plane& dst) {
  Impl& self = *impl_;
  const TiffDirectory& d = self.Directory(page);
  const TiffPage& p = d.page;
  if (sample < 0 || sample >= p.samples) {
    throw Error(Code::kInvalidArgument,
                "there is no sample " + std::to_string(sample) + ": a pixel has " +
                    std::to_string(p.samples),
                self.file.path(), page);
  }
  if (dst.data == nullptr || dst.dtype != p.dtype || dst.width != p.width ||
      dst.height != p.height || dst.stride < dst.row_bytes()) {
    throw Error(Code::kOpShape,
                "the destination is " + std::to_string(dst.height) + " x " +
                    std::to_string(dst.width) + " " + std::string(DTypeName(dst.dtype)) +
                    ", the page " + std::to_string(p.height) + " x " + std::to_string(p.width) +
                    " " + std::string(DTypeName(p.dtype)),
                self.file.path(), page);
  }
  if (!p.fast_path && self.libtiff_page != page) {
    self.libtiff.reset();
    self.libtiff_page = -1;
    self.libtiff = std::make_unique<LibtiffDecoder>(self.file, d);
    self.libtiff_page = page;
  }
  self.decoder.Decode(self.file, self.header, d, sample, p.fast_path ? nullptr : self.libtiff.get(),
                      dst);
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
