// SPDX-License-Identifier: MIT
// A file that appears under its name complete, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tilecast {

// Where the file system can (O_TMPFILE: ext4, xfs, btrfs, tmpfs), the file has no name until it is
// committed, so that a process that dies leaves nothing behind; elsewhere it has one beside its
// path, ".<name>.<pid>-<n>.partial".
class AtomicFile {
 public:
  AtomicFile() = default;
  ~AtomicFile() { Discard(); }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Begins a file that will replace `path`; its folder must exist. `temporary`: its name meanwhile,
  // in the same folder and nobody else's, for owners that sweep what the dead left. Throws kIo,
  // kInvalidArgument.
  void Open(const std::string& path, const std::string& temporary = {});
  bool open() const { return fd_ >= 0; }
  const std::string& path() const { return path_; }

  // Safe from several threads. Throws kIo.
  void Write(uint64_t offset, const void* data, size_t n);

  // Gives the file its name, in place of what had it; `exclusive`: only if nothing has. `sync`:
  // only after its bytes are on the disk, so that a power failure too leaves the old file or the
  // new one. On failure the old file stays. Throws kIo.
  void Commit(bool sync, bool exclusive = false);
  // Drops what was written, if it was not committed. Never throws.
  void Discard();

 private:
  void Rename(bool exclusive);

  std::string path_;
  std::string temporary_;
  std::string partial_;  // its name meanwhile, or empty
  int fd_ = -1;
};

}  // namespace tilecast
