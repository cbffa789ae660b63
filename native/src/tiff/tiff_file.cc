// SPDX-License-Identifier: MIT
// Opening and reading of TIFF files; all system calls of the reader are here.
#include "tiff/tiff_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "error.h"

namespace tilecast {

void TiffFile::Open(const std::string& path) {
  Close();
  missing_ = {};
  path_ = path;
  if (path.find('\0') != std::string::npos) {
    throw Error(Code::kInvalidArgument, "the path holds a zero byte",
                path.substr(0, path.find('\0')));
  }
  // Non-blocking, so that a FIFO in a plate folder is an error and not a wait for ever; no effect
  // on regular files.
  int fd;
  do {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) throw IoError("open", path, errno);
  struct stat st;
  if (::fstat(fd, &st) != 0) {
    const int err = errno;
    ::close(fd);
    throw IoError("stat", path, err);
  }
  if (!S_ISREG(st.st_mode)) {
    ::close(fd);
    throw Error(Code::kIo,
                S_ISDIR(st.st_mode) ? "is a directory, not a file" : "is not a regular file", path);
  }
  fd_ = fd;
  size_ = static_cast<uint64_t>(st.st_size);
#ifdef __APPLE__
  const timespec& mtime = st.st_mtimespec;
#else
  const timespec& mtime = st.st_mtim;
#endif
  mtime_ms_ = static_cast<double>(mtime.tv_sec) * 1e3 + static_cast<double>(mtime.tv_nsec) / 1e6;
  ReadHead();
}

void TiffFile::Open(const FileParts& parts) {
  Close();
  missing_ = {};
  path_ = parts.name;
  parts_ = &parts;
  size_ = parts.size;
  ReadHead();
}

void TiffFile::ReadHead() {
  const uint64_t head = std::min(size_, kWindow);
  ReadExactly(0, head, head_.Ensure(kWindow));
  head_size_ = head;
}

void TiffFile::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  parts_ = nullptr;
  size_ = 0;
  mtime_ms_ = 0;
  bytes_read_ = 0;
  page_ = -1;
  head_size_ = 0;
  window_offset_ = 0;
  window_size_ = 0;
}

void TiffFile::Check(uint64_t offset, uint64_t n) const {
  if (!Contains(offset, n)) {
    Damaged(std::to_string(n) + " bytes are expected here, but the file has only " +
                std::to_string(size_),
            offset);
  }
}

const uint8_t* TiffFile::View(uint64_t offset, uint64_t n) {
  Check(offset, n);
  if (offset + n <= head_size_) return head_.Ensure(0) + offset;
  if (offset >= window_offset_ && offset + n <= window_offset_ + window_size_) {
    return window_.Ensure(0) + (offset - window_offset_);
  }
  // Reading ahead is the fetcher's business where parts are fetched.
  const uint64_t want = parts_ ? n : std::min(std::max(n, kWindow), size_ - offset);
  window_size_ = 0;
  ReadExactly(offset, want, window_.Ensure(want));
  window_offset_ = offset;
  window_size_ = want;
  return window_.Ensure(0);
}

const uint8_t* TiffFile::ViewData(uint64_t offset, uint64_t n) {
  Check(offset, n);
  if (offset + n <= head_size_) return head_.Ensure(0) + offset;
  uint8_t* buffer = data_.Ensure(n);
  ReadExactly(offset, n, buffer);
  return buffer;
}

void TiffFile::Read(uint64_t offset, uint64_t n, void* dst) {
  Check(offset, n);
  if (offset + n <= head_size_) {
    if (n > 0) std::memcpy(dst, head_.Ensure(0) + offset, n);
    return;
  }
  ReadExactly(offset, n, dst);
}

int64_t TiffFile::ReadSome(uint64_t offset, uint64_t n, void* dst) {
  if (offset >= size_) return 0;
  // The kernel moves at most 2 GiB a call.
  n = std::min({n, size_ - offset, uint64_t{1} << 30});
  if (parts_ != nullptr) {
    const uint64_t got = parts_->Read(offset, n, dst);
    if (got == 0) {
      if (missing_.bytes == 0) missing_ = {offset, n};
      errno = EIO;
      return -1;
    }
    bytes_read_ += static_cast<int64_t>(got);
    return static_cast<int64_t>(got);
  }
  ssize_t got;
  do {
    got = ::pread(fd_, dst, n, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got > 0) bytes_read_ += got;
  return got;
}

void TiffFile::ReadExactly(uint64_t offset, uint64_t n, void* dst) {
  auto* out = static_cast<uint8_t*>(dst);
  while (n > 0) {
    const int64_t got = ReadSome(offset, n, out);
    if (got < 0) throw IoError("read", path_, errno);
    if (got == 0) Damaged("the file became shorter while it was read", offset);
    offset += static_cast<uint64_t>(got);
    out += got;
    n -= static_cast<uint64_t>(got);
  }
}

void TiffFile::Damaged(const std::string& what, uint64_t offset) const {
  // Offsets beyond what a file can have would not survive the way to JavaScript: leave them to the
  // sentence.
  const bool fits = offset < (uint64_t{1} << 53);
  throw Error(Code::kTiffDamaged, fits ? what : what + " (at byte " + std::to_string(offset) + ")",
              path_, page_, fits ? static_cast<int64_t>(offset) : -1);
}
void TiffFile::Damaged(const std::string& what) const {
  throw Error(Code::kTiffDamaged, what, path_, page_);
}
void TiffFile::Unsupported(const std::string& what) const {
  throw Error(Code::kTiffUnsupported, what, path_, page_);
}

}  // namespace tilecast
