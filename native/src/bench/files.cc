// SPDX-License-Identifier: MIT
// Measures files; see files.h.
#include "bench/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "bench/rate.h"
#include "error.h"

namespace tilecast::bench {
namespace {

constexpr uint64_t kMostEmptyFiles = 100'000;

class File {
 public:
  File(const std::string& path, int flags) : path_(path), fd_(open(path.c_str(), flags, 0600)) {
    if (fd_ < 0) throw IoError("cannot open", path, errno);
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  uint64_t Read(std::vector<char>& buffer) const {
    uint64_t at = 0;
    for (;;) {
      const ssize_t n = pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw IoError("cannot read", path_, errno);
      if (n == 0) return at;
      at += static_cast<uint64_t>(n);
    }
  }
  void Write(const char* data, uint64_t bytes, bool sync) const {
    while (bytes > 0) {
      const ssize_t n = write(fd_, data, bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw IoError("cannot write", path_, errno);
      data += n;
      bytes -= static_cast<uint64_t>(n);
    }
    if (sync && fsync(fd_) != 0) throw IoError("cannot write to the device", path_, errno);
  }

 private:
  const std::string& path_;
  int fd_;
};

}  // namespace

double MeasureFileRead(const std::string& path, uint64_t block, int threads, double seconds) {
  if (block == 0) throw Error(Code::kInvalidArgument, "block must be at least 1");
  return MeasureRate(threads, seconds, [&](int) -> Work {
    auto buffer = std::make_shared<std::vector<char>>(block);
    return [&path, buffer] {
      return static_cast<double>(File(path, O_RDONLY | O_CLOEXEC).Read(*buffer));
    };
  });
}

double MeasureFileWrite(const std::string& folder, uint64_t bytes, bool sync, uint64_t most_bytes,
                        int threads, double seconds) {
  // Bytes that no file system compresses or leaves out.
  std::vector<char> noise(bytes);
  uint64_t state = 88172645463325252ull;
  for (char& c : noise) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state >> 32);
  }
  static std::atomic<uint32_t> calls{0};
  const std::string lead = folder + "/tilecast-bench-" + std::to_string(getpid()) + "-" +
                           std::to_string(calls.fetch_add(1)) + "-";
  const auto name = [&lead](size_t thread, uint64_t number) {
    return lead + std::to_string(thread) + "-" + std::to_string(number);
  };
  const auto parts = static_cast<size_t>(std::clamp(threads, 1, 4096));
  // Files that a thread may have; the next ones overwrite the first.
  const uint64_t most =
      bytes == 0 ? kMostEmptyFiles : std::max<uint64_t>(1, most_bytes / parts / bytes);
  std::vector<uint64_t> written(parts, 0);
  struct Emptier {
    const std::vector<uint64_t>& written;
    const decltype(name)& name_of;
    uint64_t most;
    ~Emptier() {
      for (size_t t = 0; t < written.size(); ++t) {
        for (uint64_t i = 0; i < std::min(written[t], most); ++i)
          static_cast<void>(truncate(name_of(t, i).c_str(), 0));
      }
    }
  } const emptier{written, name, most};
  return MeasureRate(threads, seconds, [&](int thread) -> Work {
    const auto t = static_cast<size_t>(thread);
    return [&, t]() -> double {
      const std::string path = name(t, written[t] % most);
      // Counted first, so that a file that could not be filled is emptied too.
      ++written[t];
      const File file(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
      file.Write(noise.data(), bytes, sync);
      return 1;
    };
  });
}

}  // namespace tilecast::bench
