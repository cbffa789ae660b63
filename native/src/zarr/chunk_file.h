// SPDX-License-Identifier: MIT
// A file with a chunk or a shard in it: positioned reads, and what tells it from its successor of
// the same name.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>

#include "file_parts.h"

namespace tilecast {

class ChunkFile {
 public:
  ChunkFile() = default;
  ~ChunkFile() { Close(); }
  ChunkFile(const ChunkFile&) = delete;
  ChunkFile& operator=(const ChunkFile&) = delete;

  // False when there is no such file. Throws kIo. The path must outlive the file's use.
  bool Open(const std::string& path);
  // Fetched parts instead of a file; they must outlive its use. A read of others throws
  // kInvalidArgument.
  void Open(const std::string& path, const FileParts& parts);
  void Close();

  struct Identity {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t mtime_s = 0, mtime_ns = 0;
    bool operator==(const Identity&) const = default;
  };
  const Identity& identity() const { return identity_; }
  uint64_t size() const { return identity_.size; }
  const std::string& path() const { return *path_; }

  // All of [offset, offset + n), which must lie in the file; a file that shrinks meanwhile is
  // kZarrDamaged (so: no mmap). Throws kIo.
  void Read(uint64_t offset, void* dst, size_t n);
  // The same to several places. Changes `parts`.
  void Read(uint64_t offset, std::span<iovec> parts);

 private:
  void Check(ssize_t got, uint64_t offset) const;
  void Copy(uint64_t offset, void* dst, size_t n) const;

  const std::string* path_ = nullptr;
  int fd_ = -1;
  const FileParts* parts_ = nullptr;
  Identity identity_;
};

}  // namespace tilecast
