// SPDX-License-Identifier: MIT
// A TIFF file as bounded byte ranges: positioned reads into buffers that outlive the file.
#pragma once

#include <cstdint>
#include <string>

#include "codec/raw_buffer.h"
#include "file_parts.h"

namespace tilecast {

// Every access is checked against the size at Open; a file that shrinks meanwhile is damaged, never
// a crash (so: no mmap).
class TiffFile {
 public:
  TiffFile() = default;
  ~TiffFile() { Close(); }
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  // Opens a regular file and reads its head. Throws kIo.
  void Open(const std::string& path);
  // A file of which parts are here; they must outlive the file's use. A read of others throws kIo,
  // and missing() says afterwards, after Close() too, what it wanted.
  void Open(const FileParts& parts);
  void Close();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  double mtime_ms() const { return mtime_ms_; }
  int64_t bytes_read() const { return bytes_read_; }
  // The first range that was asked for and is not here, or one of no bytes.
  const FileRange& missing() const { return missing_; }

  // The page that errors name, or -1.
  void set_page(int64_t page) { page_ = page; }
  int64_t page() const { return page_; }

  bool Contains(uint64_t offset, uint64_t n) const {
    return offset <= size_ && n <= size_ - offset;
  }

  // `n` bytes at `offset`, for headers: valid until the next View. Throws kTiffDamaged when outside
  // the file.
  const uint8_t* View(uint64_t offset, uint64_t n);
  // The same for pixel data: a buffer of its own, no reading ahead; valid until the next ViewData.
  const uint8_t* ViewData(uint64_t offset, uint64_t n);
  // Copies into `dst`, from the head if it is there.
  void Read(uint64_t offset, uint64_t n, void* dst);
  // As pread: up to `n` bytes, less at the end of the file; -1 when the system refuses.
  int64_t ReadSome(uint64_t offset, uint64_t n, void* dst);

  [[noreturn]] void Damaged(const std::string& what, uint64_t offset) const;
  [[noreturn]] void Damaged(const std::string& what) const;
  [[noreturn]] void Unsupported(const std::string& what) const;

 private:
  void ReadHead();
  void Check(uint64_t offset, uint64_t n) const;
  void ReadExactly(uint64_t offset, uint64_t n, void* dst);

  // Most headers lie in the first pages of a file or behind its pixels; one read fetches a
  // directory with its arrays. A thumbnail is read whole.
  static constexpr uint64_t kWindow = 16 * 1024;

  std::string path_;
  int fd_ = -1;
  const FileParts* parts_ = nullptr;
  FileRange missing_;
  uint64_t size_ = 0;
  double mtime_ms_ = 0;
  int64_t bytes_read_ = 0;
  int64_t page_ = -1;
  uint64_t head_size_ = 0;
  uint64_t window_offset_ = 0;
  uint64_t window_size_ = 0;
  RawBuffer head_;
  RawBuffer window_;
  RawBuffer data_;
};

}  // namespace tilecast
