// SPDX-License-Identifier: MIT
// open, fstat, pread and preadv with their errors.
#include "zarr/chunk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "error.h"

namespace tilecast {

bool ChunkFile::Open(const std::string& path) {
  Close();
  do {
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (fd_ < 0 && errno == EINTR);
  if (fd_ < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw IoError("open", path, errno);
  }
  path_ = &path;
  struct stat st;
  if (::fstat(fd_, &st) != 0) {
    const int err = errno;
    Close();
    throw IoError("stat", path, err);
  }
  if (!S_ISREG(st.st_mode)) {
    Close();
    throw Error(Code::kZarrDamaged, "expected a chunk and found no regular file", path);
  }
#if defined(__APPLE__)
  const auto& mtime = st.st_mtimespec;
#else
  const auto& mtime = st.st_mtim;
#endif
  identity_ = {static_cast<uint64_t>(st.st_dev), static_cast<uint64_t>(st.st_ino),
               static_cast<uint64_t>(st.st_size), static_cast<int64_t>(mtime.tv_sec),
               static_cast<int64_t>(mtime.tv_nsec)};
  return true;
}

void ChunkFile::Open(const std::string& path, const FileParts& parts) {
  Close();
  path_ = &path;
  parts_ = &parts;
  identity_ = {};
  identity_.size = parts.size;
}

void ChunkFile::Close() {
  parts_ = nullptr;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void ChunkFile::Check(ssize_t got, uint64_t offset) const {
  if (got < 0) throw IoError("read", *path_, errno);
  if (got == 0) {
    throw Error(Code::kZarrDamaged, "the file became shorter while it was read", *path_, -1,
                static_cast<int64_t>(offset));
  }
}

void ChunkFile::Copy(uint64_t offset, void* dst, size_t n) const {
  auto* p = static_cast<uint8_t*>(dst);
  while (n > 0) {
    const uint64_t got = parts_->Read(offset, n, p);
    if (got == 0) {
      throw Error(Code::kInvalidArgument, "these bytes of the file were not fetched", *path_, -1,
                  static_cast<int64_t>(offset));
    }
    p += got;
    offset += got;
    n -= static_cast<size_t>(got);
  }
}

void ChunkFile::Read(uint64_t offset, void* dst, size_t n) {
  if (parts_ != nullptr) {
    Copy(offset, dst, n);
    return;
  }
  auto* p = static_cast<uint8_t*>(dst);
  while (n > 0) {
    const ssize_t got = ::pread(fd_, p, n, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    Check(got, offset);
    p += got;
    offset += static_cast<uint64_t>(got);
    n -= static_cast<size_t>(got);
  }
}

void ChunkFile::Read(uint64_t offset, std::span<iovec> parts) {
  if (parts_ != nullptr) {
    for (const iovec& part : parts) {
      Copy(offset, part.iov_base, part.iov_len);
      offset += part.iov_len;
    }
    return;
  }
  while (!parts.empty()) {
    const int count = static_cast<int>(std::min<size_t>(parts.size(), IOV_MAX));
    ssize_t got = ::preadv(fd_, parts.data(), count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    Check(got, offset);
    offset += static_cast<uint64_t>(got);
    while (!parts.empty() && static_cast<size_t>(got) >= parts[0].iov_len) {
      got -= static_cast<ssize_t>(parts[0].iov_len);
      parts = parts.subspan(1);
    }
    if (!parts.empty() && got > 0) {
      parts[0].iov_base = static_cast<uint8_t*>(parts[0].iov_base) + got;
      parts[0].iov_len -= static_cast<size_t>(got);
    }
  }
}

}  // namespace tilecast
