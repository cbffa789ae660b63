// SPDX-License-Identifier: MIT
// Measures memory; see memory.h.
#include "bench/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "bench/rate.h"
#include "error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tilecast::bench {
namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;

// Pages of its own, so that a working set begins on a page and no other thread's lines are among
// it.
class Mapping {
 public:
  Mapping(uint64_t bytes, int fd) : bytes_(bytes) {
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) {
      throw Error(Code::kPoolMemory, std::to_string(bytes) +
                                         " bytes of memory cannot be had: " + std::strerror(errno));
    }
    data_ = static_cast<std::byte*>(at);
#if defined(MADV_HUGEPAGE)
    // Without huge pages a big working set measures the page walker, not the memory.
    if (fd < 0 && bytes >= kHugePage) madvise(at, bytes, MADV_HUGEPAGE);
#endif
  }
  ~Mapping() { munmap(data_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::byte* data() const { return data_; }

 private:
  uint64_t bytes_;
  std::byte* data_ = nullptr;
};

// A shared-memory object that has no name any more: it goes with its last mapping, also after a
// kill.
class SharedObject {
 public:
  explicit SharedObject(uint64_t bytes) {
    static std::atomic<uint32_t> count{0};
    const std::string name =
        "/tc-bench-" + std::to_string(getpid()) + "-" + std::to_string(count.fetch_add(1));
    fd_ = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd_ < 0) throw Refused(bytes, errno);
    shm_unlink(name.c_str());
    // Allocated here: writing to pages that a full /dev/shm does not have would be a SIGBUS.
    if (const int error = posix_fallocate(fd_, 0, static_cast<off_t>(bytes)); error != 0) {
      close(fd_);
      throw Refused(bytes, error);
    }
  }
  ~SharedObject() { close(fd_); }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;
  int fd() const { return fd_; }

 private:
  static Error Refused(uint64_t bytes, int error) {
    return {Code::kPoolMemory, std::to_string(bytes) + " bytes of shared memory cannot be had: " +
                                   std::strerror(error)};
  }
  int fd_;
};

#if defined(__x86_64__)
// Two 32-byte loads a cycle is what an L1 cache gives; narrower loads would measure the core.
__attribute__((target("avx2"))) uint64_t SumWide(const std::byte* data, uint64_t bytes) {
  __m256i sum[4] = {};
  const auto* at = reinterpret_cast<const __m256i*>(data);
  for (uint64_t n = bytes / 128; n > 0; --n, at += 4) {
    for (int i = 0; i < 4; ++i) sum[i] = _mm256_add_epi64(sum[i], _mm256_load_si256(at + i));
  }
  const __m256i all =
      _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), all);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
#endif

uint64_t Sum(const std::byte* data, uint64_t bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return SumWide(data, bytes);
#endif
  uint64_t sum[8] = {};
  const auto* at = reinterpret_cast<const uint64_t*>(data);
  for (uint64_t n = bytes / 64; n > 0; --n, at += 8) {
    for (int i = 0; i < 8; ++i) sum[i] += at[i];
  }
  uint64_t all = 0;
  for (const uint64_t s : sum) all += s;
  return all;
}

Work PrivateWork(MemoryAccess access, uint64_t bytes) {
  auto memory = std::make_shared<Mapping>(bytes, -1);
  std::byte* data = memory->data();
  std::memset(data, 1, bytes);
  const uint64_t half = bytes / 2 / 128 * 128;
  switch (access) {
    case MemoryAccess::kRead:
      return [memory, data, bytes] {
        const uint64_t sum = Sum(data, bytes);
        asm volatile("" : : "r"(sum));  // the sum must look used, or the loop is dropped
        const uint64_t read = bytes / 128 * 128;
        return static_cast<double>(read);
      };
#if defined(__x86_64__)
    case MemoryAccess::kStreamCopy:
      return [memory, data, half] {
        StreamCopy(data + half, data, half);
        return static_cast<double>(half);
      };
#endif
    default:
      return [memory, data, half] {
        std::memcpy(data + half, data, half);
        return static_cast<double>(half);
      };
  }
}

Work SharedWork(MemoryAccess access, uint64_t bytes) {
  if (access == MemoryAccess::kFreshShared) {
    return [bytes] {
      const SharedObject object(bytes);
      const Mapping memory(bytes, object.fd());
      std::memset(memory.data(), 1, bytes);
      return static_cast<double>(bytes);
    };
  }
  const SharedObject object(bytes);
  auto memory = std::make_shared<Mapping>(bytes, object.fd());
  return [memory, bytes] {
    std::memset(memory->data(), 1, bytes);
    return static_cast<double>(bytes);
  };
}

}  // namespace

void StreamCopy(std::byte* to, const std::byte* from, uint64_t bytes) {
#if defined(__x86_64__)
  auto* out = reinterpret_cast<__m128i*>(to);
  const auto* in = reinterpret_cast<const __m128i*>(from);
  for (uint64_t n = bytes / 64; n > 0; --n, in += 4, out += 4) {
    for (int i = 0; i < 4; ++i) _mm_stream_si128(out + i, _mm_load_si128(in + i));
  }
  _mm_sfence();
#else
  std::memcpy(to, from, bytes);
#endif
}

bool HasAccess(MemoryAccess access) {
#if defined(__x86_64__)
  (void)access;
  return true;
#else
  return access != MemoryAccess::kStreamCopy;
#endif
}

double MeasureMemory(MemoryAccess access, uint64_t bytes, int threads, double seconds) {
  if (bytes < 4096) throw Error(Code::kInvalidArgument, "bytes must be at least 4096");
  if (!HasAccess(access)) throw Error(Code::kInvalidArgument, "this processor has no such access");
  const bool shared = access == MemoryAccess::kFreshShared || access == MemoryAccess::kWarmShared;
  return MeasureRate(threads, seconds, [&](int) {
    return shared ? SharedWork(access, bytes) : PrivateWork(access, bytes);
  });
}

}  // namespace tilecast::bench
