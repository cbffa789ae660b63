// SPDX-License-Identifier: MIT
// Nameless files, or files with a name of their own, that take another's place by rename.
#include "tiff/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "error.h"

namespace tilecast {
namespace {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Another each time; no other process has it either, unless one of this number died.
std::string PartialName(const std::string& path) {
  static std::atomic<unsigned> count{0};
  const size_t slash = path.rfind('/');
  const size_t name = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(0, name) + "." + path.substr(name) + "." + std::to_string(::getpid()) + "-" +
         std::to_string(count.fetch_add(1, std::memory_order_relaxed)) + ".partial";
}

constexpr int kAttempts = 100;

}  // namespace

void AtomicFile::Open(const std::string& path, const std::string& temporary) {
  Discard();
  if (path.empty() || path.find('\0') != std::string::npos) {
    throw Error(Code::kInvalidArgument,
                path.empty() ? "the path is empty" : "the path holds a zero byte");
  }
  path_ = path;
  temporary_ = temporary;
  // Told now, and not when everything has been written.
  struct stat st;
  if (path.back() == '/' || (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))) {
    throw Error(Code::kIo, "is a directory, not a file", path);
  }
  const std::string folder = FolderOf(path);
#ifdef O_TMPFILE
  fd_ = ::open(folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  if (fd_ >= 0) return;
  // What file systems and kernels without it say.
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT) {
    throw IoError("create", path, errno);
  }
#endif
  for (int attempt = 0;; ++attempt) {
    std::string name = temporary_.empty() ? PartialName(path) : temporary_;
    fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ >= 0) {
      partial_ = std::move(name);
      return;
    }
    if (errno != EEXIST || attempt == kAttempts) throw IoError("create", path, errno);
  }
}

void AtomicFile::Write(uint64_t offset, const void* data, size_t n) {
  const auto* from = static_cast<const char*>(data);
  while (n > 0) {
    // The kernel moves at most 2 GiB a call.
    const size_t some = n < (size_t{1} << 30) ? n : size_t{1} << 30;
    const ssize_t got = ::pwrite(fd_, from, some, static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      throw IoError("write", path_, errno);
    }
    from += got;
    offset += static_cast<uint64_t>(got);
    n -= static_cast<size_t>(got);
  }
}

void AtomicFile::Commit(bool sync, bool exclusive) {
  if (sync && ::fsync(fd_) != 0) throw IoError("sync", path_, errno);
  const std::string self = "/proc/self/fd/" + std::to_string(fd_);
  if (partial_.empty() && exclusive) {
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      throw IoError("create", path_, errno);
    }
  } else if (partial_.empty()) {
    // A link cannot replace a file, a rename can.
    for (int attempt = 0;; ++attempt) {
      std::string name = temporary_.empty() ? PartialName(path_) : temporary_;
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
        partial_ = std::move(name);
        break;
      }
      if (errno != EEXIST || attempt == kAttempts) throw IoError("link", path_, errno);
    }
  }
  // Network file systems report failed writes here.
  if (::close(std::exchange(fd_, -1)) != 0) {
    const int err = errno;
    Discard();
    throw IoError("close", path_, err);
  }
  if (!partial_.empty()) Rename(exclusive);
  if (!sync) return;
  // The name is on the disk when its folder is. Some file systems sync no folders: nothing more can
  // be done there.
  const int folder = ::open(FolderOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  (void)::fsync(folder);
  ::close(folder);
}

void AtomicFile::Rename(bool exclusive) {
  // Of two that make the same name, the system gives it to one link. File systems without links
  // (exFAT, some network shares) leave a gap of microseconds.
  if (exclusive && ::link(partial_.c_str(), path_.c_str()) == 0) {
    Discard();
    return;
  }
  if (exclusive && (errno == EEXIST || ::access(path_.c_str(), F_OK) == 0)) {
    Discard();
    throw IoError("create", path_, EEXIST);
  }
  if (::rename(partial_.c_str(), path_.c_str()) != 0) {
    const int err = errno;
    Discard();
    throw IoError("rename", path_, err);
  }
  partial_.clear();
}

void AtomicFile::Discard() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  if (!partial_.empty()) ::unlink(partial_.c_str());
  partial_.clear();
}

}  // namespace tilecast
