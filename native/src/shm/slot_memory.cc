// SPDX-License-Identifier: MIT
// Creation and opening of the shared-memory objects. Allocation happens here and nowhere else, so
// that a full /dev/shm is an error and never a SIGBUS.
#include "shm/slot_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "error.h"
#include "shm/cleanup.h"

namespace tilecast::shm {
namespace {

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

// Allocating beyond the machine's memory is not an error of /dev/shm, which may be as large as
// that: it is the end of some process. What is left must be more than what is asked for.
bool HasMemory(uint64_t bytes) {
  struct statvfs shm{};
  if (statvfs("/dev/shm", &shm) == 0 && uint64_t{shm.f_bavail} * shm.f_frsize < bytes) return false;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string key; meminfo >> key;) {
    uint64_t kib = 0;
    if (key == "MemAvailable:" && meminfo >> kib) return kib * 1024 > 2 * bytes;
  }
  return true;
}

std::unique_ptr<std::atomic<uint64_t>[]> Epochs(uint32_t slots, uint64_t value) {
  auto epochs = std::make_unique<std::atomic<uint64_t>[]>(slots);
  for (uint32_t slot = 0; slot < slots; ++slot) epochs[slot].store(value);
  return epochs;
}

}  // namespace

SlotMemory::SlotMemory(uint64_t slot_bytes, uint32_t slots, uint64_t control_bytes,
                       const Format& format)
    : slot_bytes_(slot_bytes),
      slots_(slots),
      control_bytes_(control_bytes),
      maker_pid_(getpid()),
      mapped_(Epochs(slots, 0)) {
  try {
    Allocate(format);
  } catch (...) {
    Unlink();
    Unmap();
    throw;
  }
}

SlotMemory::SlotMemory(OpenedObject control)
    : slot_bytes_(control.header().item_bytes),
      slots_(control.header().items),
      control_bytes_(control.bytes),
      maker_pid_(0),
      id_(control.header().id),
      mapped_(Epochs(slots_, kNowhere)),
      control_fd_(control.fd),
      control_(control.memory) {}

SlotMemory::~SlotMemory() {
  Unlink();
  Unmap();
}

void SlotMemory::Unmap() {
  if (base_ != nullptr) munmap(base_, slot_bytes_ * slots_);
  if (control_ != nullptr) munmap(control_, control_bytes_);
  if (control_fd_ >= 0) close(control_fd_);
  base_ = control_ = nullptr;
  control_fd_ = -1;
}

void SlotMemory::Unlink() {
  if (!linked_) return;
  linked_ = false;
  if (getpid() != maker_pid_) return;
  UnlinkRegisteredPool(registered_);
  registered_ = -1;
}

void SlotMemory::SetExtras(const ExportEntry* exports, const std::atomic<uint32_t>* spare_rows) {
  if (registered_ >= 0) SetPoolExtras(registered_, exports, spare_rows);
}

void SlotMemory::Reserve() {
  void* range = mmap(nullptr, slot_bytes_ * slots_, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) {
    throw Error(Code::kPoolMemory, "cannot reserve " + HumanBytes(slot_bytes_ * slots_) +
                                       " of addresses: " + std::strerror(errno) +
                                       ". Use fewer or smaller slots");
  }
  base_ = static_cast<std::byte*>(range);
}

void SlotMemory::Allocate(const Format& format) {
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
  control_ = MapNew(-1, control_bytes_, nullptr);
  format(control_, id_);
  Reserve();
  MakeSlots();
}

void SlotMemory::MapSlots(bool writable, const EpochOf& epoch) {
  writable_ = writable;
  Reserve();
  for (uint32_t n = 0; n < slots_; ++n) {
    // Read before the name is opened, so that what is mapped is this object or a later one: taken
    // for an older one, it is mapped once more.
    const uint64_t before = epoch(n);
    try {
      if (before == kNowhere) {
        MapNothing(n);
      } else {
        MapExisting(n);
      }
    } catch (const Error&) {
      if (epoch(n) == before) throw;
      MapNothing(n);  // it was handed over meanwhile, and is followed when it is used
      continue;
    }
    mapped_[n].store(before);
  }
}

void SlotMemory::MapNothing(uint32_t slot) {
  // Readers without a lease may be reading: zeros are not what they take for pixels, since their
  // loan is over, but a fault would be the end of the process.
  void* const zeros =
      mmap(base_ + slot * slot_bytes_, slot_bytes_, PROT_READ | (writable_ ? PROT_WRITE : 0),
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  // Where the system has no mapping left to give, the old object stays: its memory is held a little
  // longer, and nobody with a lease looks here.
  static_cast<void>(zeros);
}

void SlotMemory::LetGo(uint32_t slot) {
  const std::lock_guard lock(map_mutex_);
  if (mapped_[slot].exchange(kNowhere) != kNowhere) MapNothing(slot);
}

void SlotMemory::Tidy(const EpochOf& epoch) {
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    const uint64_t now = epoch(slot);
    if (now == mapped_[slot].load()) continue;
    if (now != kNowhere) {
      try {
        MapAnew(slot, now);
      } catch (const Error&) {
        // Who uses the slot meets the same error, and can tell it.
      }
      continue;
    }
    // With the lock, under which a holder that comes now maps the slot: it waits, and then maps it.
    const std::lock_guard lock(map_mutex_);
    const uint64_t mapped = mapped_[slot].load();
    if (mapped == kNowhere || epoch(slot) != kNowhere) continue;
    mapped_[slot].store(kNowhere);
    MapNothing(slot);
  }
}

void SlotMemory::MapAnew(uint32_t slot, uint64_t epoch) {
  const std::lock_guard lock(map_mutex_);
  const uint64_t mapped = mapped_[slot].load();
  if (mapped != kNowhere && mapped >= epoch) return;  // another thread did
  MapExisting(slot);
  mapped_[slot].store(epoch, std::memory_order_release);
}

std::optional<SlotMemory::Spare> SlotMemory::MakeSpare(uint32_t row, uint32_t number,
                                                       int& error) const {
  if (!HasMemory(slot_bytes_)) {
    error = ENOSPC;
    return std::nullopt;
  }
  char name[kNameBytes];
  FormatSpareName(name, id_, row, number);
  const int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    error = errno;
    return std::nullopt;
  }
  void* memory = MAP_FAILED;
  error =
      ftruncate(fd, static_cast<off_t>(slot_bytes_)) != 0 ? errno : AllocateBlocks(fd, slot_bytes_);
  if (error == 0) {
    memory = mmap(nullptr, slot_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) error = errno;
  }
  close(fd);
  if (error != 0) {
    UnlinkName(name);
    return std::nullopt;
  }
  Prefault(static_cast<std::byte*>(memory), slot_bytes_);
  return Spare{row, number, static_cast<std::byte*>(memory)};
}

void SlotMemory::DropSpare(const Spare& spare) const {
  char name[kNameBytes];
  FormatSpareName(name, id_, spare.row, spare.number);
  UnlinkName(name);
  munmap(spare.memory, slot_bytes_);
}

bool SlotMemory::PutInPlace(const Spare& spare, uint32_t slot, uint64_t epoch) {
  char from[kNameBytes], to[kNameBytes];
  FormatSpareName(from, id_, spare.row, spare.number);
  FormatName(to, id_, slot);
  const std::string folder = "/dev/shm";
  if (rename((folder + from).c_str(), (folder + to).c_str()) != 0) {
    DropSpare(spare);
    return false;
  }
  const std::lock_guard lock(map_mutex_);
  std::byte* at = base_ + slot * slot_bytes_;
  mapped_[slot].store(kNowhere);
#ifdef __linux__
  // Takes the page table along: nobody pays for first touches again.
  if (mremap(spare.memory, slot_bytes_, slot_bytes_, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at) {
    mapped_[slot].store(epoch, std::memory_order_release);
    return true;
  }
#endif
  munmap(spare.memory, slot_bytes_);
  try {
    MapExisting(slot);
  } catch (const Error&) {
    return false;
  }
  mapped_[slot].store(epoch, std::memory_order_release);
  return true;
}

void SlotMemory::UnlinkSlot(uint32_t slot) const {
  char name[kNameBytes];
  FormatName(name, id_, slot);
  UnlinkName(name);
}

void SlotMemory::MapExisting(uint32_t n) {
  char name[kNameBytes];
  FormatName(name, id_, n);
  const auto fail = [&](Code code, const std::string& why) {
    return Error(code, "slot " + std::to_string(n) + " of the tile pool " + id_ +
                           " cannot be mapped: " + why);
  };
  const int fd = shm_open(name, (writable_ ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0);
  if (fd < 0) throw fail(Code::kPoolNotFound, std::strerror(errno));
  struct stat status{};
  const bool known = fstat(fd, &status) == 0;
  if (!known || static_cast<uint64_t>(status.st_size) != slot_bytes_) {
    close(fd);
    throw fail(Code::kPoolVersion, "it has " + std::to_string(status.st_size) +
                                       " bytes, expected " + std::to_string(slot_bytes_));
  }
  std::byte* at = base_ + n * slot_bytes_;
  const int protection = PROT_READ | (writable_ ? PROT_WRITE : 0);
  void* memory = mmap(at, slot_bytes_, protection, MAP_SHARED | MAP_FIXED, fd, 0);
  const int err = errno;
  close(fd);
  if (memory == MAP_FAILED) throw fail(Code::kPoolMemory, std::strerror(err));
#ifdef MADV_POPULATE_READ
  // Enters the pages, which exist already, into this process's page table.
  madvise(at, slot_bytes_, writable_ ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
#endif
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
        MapNew(n, slot_bytes_, at);
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

std::byte* SlotMemory::MapNew(int64_t n, uint64_t bytes, std::byte* at) {
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
    ~Closer() {
      if (fd >= 0) close(fd);
    }
  } closer{fd};
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) throw fail("sizing", errno);
  if (const int err = AllocateBlocks(fd, bytes); err != 0) throw fail("allocating", err);
  void* memory =
      mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (at != nullptr ? MAP_FIXED : 0), fd, 0);
  if (memory == MAP_FAILED) throw fail("mapping", errno);
  if (n < 0) control_fd_ = std::exchange(closer.fd, -1);  // the janitor locks it
  return static_cast<std::byte*>(memory);
}

}  // namespace tilecast::shm
