// SPDX-License-Identifier: MIT
// Creation of the shared-memory objects. Allocation happens here and nowhere else, so that a full
// /dev/shm is an error and never a SIGBUS.
#include "shm/slot_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "error.h"
#include "shm/cleanup.h"

namespace tilecast::shm {
namespace {

// 16 characters of 5 bits each: 80 random bits, so that nobody can guess or pre-create a name.
// Lower case for people's eyes.
std::string RandomId() {
  uint8_t bytes[16];
  if (getentropy(bytes, sizeof(bytes)) != 0) {
    throw Error(Code::kPoolMemory,
                std::string("no random numbers for a pool name: ") + std::strerror(errno));
  }
  std::string id;
  for (uint8_t byte : bytes) id += "abcdefghijklmnopqrstuvwxyz234567"[byte & 31];
  return id;
}

std::string Advice(uint64_t needed) {
  const uint64_t gib = (needed + (uint64_t{1} << 30) - 1) >> 30;
  return "Use fewer or smaller slots, remove what is no longer used from /dev/shm, or enlarge it: "
         "mount -o remount,size=" +
         std::to_string(gib + 1) +
         "G /dev/shm (as root); in a container: docker run --shm-size=" + std::to_string(gib + 1) +
         "g";
}

// Reserves blocks in steps: the kernel restarts an interrupted call from nothing, and a profiler's
// timer could interrupt a long one forever.
int AllocateBlocks(int fd, uint64_t bytes) {
  constexpr uint64_t kStep = 16 << 20;
  for (uint64_t at = 0; at < bytes;) {
    const uint64_t step = std::min(kStep, bytes - at);
    const int err = posix_fallocate(fd, static_cast<off_t>(at), static_cast<off_t>(step));
    if (err == EINTR) continue;
    if (err != 0) return err;
    at += step;
  }
  return 0;
}

// Enters the pages into this process's page table, so that the first write to a slot costs what
// every later one does.
void Prefault(std::byte* memory, uint64_t bytes) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  for (uint64_t at = 0; at < bytes; at += page) {
    reinterpret_cast<volatile std::byte*>(memory)[at] = std::byte{0};
  }
}

}  // namespace

std::string HumanBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

SlotMemory::SlotMemory(uint64_t slot_bytes, uint32_t slots, uint64_t control_bytes)
    : slot_bytes_(slot_bytes),
      slots_(slots),
      control_bytes_(control_bytes),
      creator_pid_(getpid()) {
  try {
    Allocate();
  } catch (...) {
    Unlink();
    Unmap();
    throw;
  }
}

SlotMemory::~SlotMemory() {
  Unlink();
  Unmap();
}

void SlotMemory::Unmap() {
  if (base_ != nullptr) munmap(base_, slot_bytes_ * slots_);
  if (control_ != nullptr) munmap(control_, control_bytes_);
  base_ = control_ = nullptr;
}

void SlotMemory::Unlink() {
  if (!linked_) return;
  linked_ = false;
  if (getpid() != creator_pid_) return;
  UnlinkPool(id_, slots_);
  UnregisterPool(registered_);
  registered_ = -1;
}

void SlotMemory::Allocate() {
  const uint64_t needed = slot_bytes_ * slots_ + control_bytes_;
  struct statvfs shm{};
  if (statvfs("/dev/shm", &shm) == 0) {
    const uint64_t available = uint64_t{shm.f_bavail} * shm.f_frsize;
    if (needed > available) {
      throw Error(Code::kPoolMemory, "a pool of " + std::to_string(slots_) + " slots of " +
                                         HumanBytes(slot_bytes_) + " needs " + HumanBytes(needed) +
                                         " of shared memory, but /dev/shm has " +
                                         HumanBytes(available) + " free. " + Advice(needed));
    }
  }
  id_ = RandomId();
  registered_ = RegisterPool(id_, slots_);
  if (registered_ < 0) {
    throw Error(Code::kPoolMemory, "this process already has " + std::to_string(kMaxRegistered) +
                                       " open pools: close() those that are no longer used");
  }
  linked_ = true;
  control_ = MapObject(-1, control_bytes_, nullptr);
  void* range = mmap(nullptr, slot_bytes_ * slots_, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) {
    throw Error(Code::kPoolMemory, "cannot reserve " + HumanBytes(needed) + " of addresses: " +
                                       std::strerror(errno) + ". Use fewer or smaller slots");
  }
  base_ = static_cast<std::byte*>(range);
  MakeSlots();
}

// Fresh pages cost the kernel about a second a gigabyte (it zeroes them), so all cores take part, a
// slot at a time.
void SlotMemory::MakeSlots() {
  std::atomic<uint32_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto work = [&] {
    for (uint32_t n; !failed.load() && (n = next.fetch_add(1)) < slots_;) {
      try {
        std::byte* at = base_ + n * slot_bytes_;
        MapObject(n, slot_bytes_, at);
        Prefault(at, slot_bytes_);
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
  };
  const uint32_t threads =
      std::min({std::max(1U, std::thread::hardware_concurrency()), slots_, 32U});
  std::vector<std::thread> helpers;
  for (uint32_t i = 1; i < threads; ++i) {
    try {
      helpers.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: the ones there are do the work
    }
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  if (error) std::rethrow_exception(error);
}

std::byte* SlotMemory::MapObject(int64_t n, uint64_t bytes, std::byte* at) {
  char name[kNameBytes];
  FormatName(name, id_, n);
  const auto fail = [&](const char* doing, int err) {
    const uint64_t needed = slot_bytes_ * slots_ + control_bytes_;
    std::string message = std::string(doing) + " shared memory " + name + " (" + HumanBytes(bytes) +
                          " of a pool of " + HumanBytes(needed) +
                          ") failed: " + std::strerror(err) + ". ";
    if (err == ENOMEM && at != nullptr) {
      message +=
          "A process may hold only so many mappings (vm.max_map_count), one a slot: use fewer, "
          "larger slots";
    } else {
      message += Advice(needed);
    }
    return Error(Code::kPoolMemory, message);
  };
  const int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) throw fail("creating", errno);
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) throw fail("sizing", errno);
  if (const int err = AllocateBlocks(fd, bytes); err != 0) throw fail("allocating", err);
  void* memory =
      mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (at != nullptr ? MAP_FIXED : 0), fd, 0);
  if (memory == MAP_FAILED) throw fail("mapping", errno);
  return static_cast<std::byte*>(memory);
}

}  // namespace tilecast::shm
