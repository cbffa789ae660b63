// SPDX-License-Identifier: MIT
// The ring: claims by compare-and-swap on the cell itself, positions pushed on by whoever finds
// them behind, sleeping on shared futexes.
#include "shm/channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>

#include "error.h"
#include "shm/channel_layout.h"
#include "shm/cleanup.h"
#include "shm/object.h"
#include "shm/sweep.h"

namespace tilecast {
namespace {

using shm::CellLap;
using shm::CellPhase;
using shm::CellPhaseOf;
using shm::CellWord;

constexpr uint32_t kMaxCapacity = 1 << 20;

struct Layout {
  uint64_t processes, cells, end;
};
constexpr Layout LayoutFor(uint32_t capacity) {
  Layout l{};
  l.processes = sizeof(shm::ChannelHeader);
  l.cells = l.processes + shm::kMaxProcesses * sizeof(shm::ProcessEntry);
  l.end = l.cells + uint64_t{capacity} * sizeof(shm::ChannelCell);
  return l;
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Tries `step` until it gives something else than 0, at least once, for so long.
template <class F>
size_t Spin(uint32_t microseconds, F&& step) {
  using Clock = std::chrono::steady_clock;
  if (const size_t n = step()) return n;
  if (microseconds == 0) return 0;
  const auto end = Clock::now() + std::chrono::microseconds(microseconds);
  do {
    for (int i = 0; i < 64; ++i) {
      if (const size_t n = step()) return n;
      Pause();
    }
  } while (Clock::now() < end);
  return 0;
}

// A new object of zeros, allocated and mapped.
shm::OpenedObject NewObject(const std::string& name, uint64_t bytes) {
  shm::OpenedObject object;
  const auto fail = [&](const char* doing, int err) {
    object.Close();
    return Error(Code::kPoolMemory, std::string(doing) + " shared memory " + name + " (" +
                                        shm::HumanBytes(bytes) + ") failed: " + std::strerror(err));
  };
  object.fd = shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (object.fd < 0) throw fail("creating", errno);
  if (ftruncate(object.fd, static_cast<off_t>(bytes)) != 0) throw fail("sizing", errno);
  int err = EINTR;
  while (err == EINTR) err = posix_fallocate(object.fd, 0, static_cast<off_t>(bytes));
  if (err != 0) throw fail("allocating", err);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, object.fd, 0);
  if (memory == MAP_FAILED) throw fail("mapping", errno);
  object.memory = static_cast<std::byte*>(memory);
  object.bytes = bytes;
  return object;
}

}  // namespace

struct TileChannel::Impl {
  Impl(shm::OpenedObject opened, int own_row, int handle)
      : object(opened),
        id(opened.header().id),
        row(static_cast<uint32_t>(own_row)),
        made_here(handle >= 0),
        registered(handle),
        header(reinterpret_cast<shm::ChannelHeader*>(opened.memory)),
        capacity(opened.header().items),
        shift(std::bit_width(capacity) - 1),
        cells(reinterpret_cast<shm::ChannelCell*>(opened.memory + LayoutFor(capacity).cells)),
        processes(
            reinterpret_cast<shm::ProcessEntry*>(opened.memory + LayoutFor(capacity).processes),
            shm::kMaxProcesses),
        janitor(opened.fd, processes) {}

  shm::OpenedObject object;
  const std::string id;
  const uint32_t row;
  const bool made_here;
  std::atomic<int> registered;  // in the clean-up registry, until it is closed
  const pid_t pid = getpid();
  shm::ChannelHeader* header;
  const uint32_t capacity;
  const int shift;
  shm::ChannelCell* cells;
  shm::ProcessTable processes;
  shm::Janitor janitor;
  std::atomic<uint32_t> spin_us{20};

  bool SendOne(const TileDescriptor& descriptor);
  bool ReceiveOne(TileDescriptor& descriptor);
  void Reclaim(uint32_t dead_row);
  bool IsClosed() const {
    return header->object.state.load() == static_cast<uint32_t>(shm::ObjectState::kClosed);
  }
  [[nodiscard]] Error Closed() const {
    return Error(Code::kPoolClosed, "the tile channel " + id + " is closed");
  }
  shm::ChannelCell& cell(uint64_t position) const { return cells[position & (capacity - 1)]; }
  static void Advance(std::atomic<uint64_t>& position, uint64_t from) {
    position.compare_exchange_strong(from, from + 1);
  }
  // Tries `step` until it gives something else than 0: spinning at first, then asleep until
  // `event`, and every lease period as a janitor.
  template <class F>
  size_t Until(shm::SharedEvent& event, const std::atomic<bool>* cancel, F&& step);
};

bool TileChannel::Impl::SendOne(const TileDescriptor& descriptor) {
  for (;;) {
    const uint64_t position = header->tail.load();
    shm::ChannelCell& c = cell(position);
    const uint64_t lap = position >> shift;
    uint64_t word = c.word.load();
    if (CellLap(word) < lap) return false;  // not yet received, a lap ago
    if (CellLap(word) == lap && CellPhaseOf(word) == CellPhase::kEmpty) {
      if (!c.word.compare_exchange_strong(word, CellWord(lap, row, CellPhase::kWriting))) continue;
      Advance(header->tail, position);
      std::memcpy(&c.descriptor, &descriptor, sizeof(descriptor));
      c.word.store(CellWord(lap, 0, CellPhase::kFull));
      return true;
    }
    Advance(header->tail,
            position);  // claimed already: its claimant has not come to it yet, or died
  }
}

bool TileChannel::Impl::ReceiveOne(TileDescriptor& descriptor) {
  for (;;) {
    const uint64_t position = header->head.load();
    shm::ChannelCell& c = cell(position);
    const uint64_t lap = position >> shift;
    uint64_t word = c.word.load();
    if (CellLap(word) < lap) return false;  // still being read, a lap ago: nothing can be beyond it
    const uint64_t next = CellWord(lap + 1, 0, CellPhase::kEmpty);
    if (CellLap(word) == lap) {
      switch (CellPhaseOf(word)) {
        case CellPhase::kEmpty:
        case CellPhase::kWriting:  // the order holds: later cells wait for it, or for the janitor
          return false;
        case CellPhase::kFull:
          if (!c.word.compare_exchange_strong(word, CellWord(lap, row, CellPhase::kReading))) {
            continue;
          }
          Advance(header->head, position);
          std::memcpy(&descriptor, &c.descriptor, sizeof(descriptor));
          c.word.store(next);
          return true;
        case CellPhase::kSkipped:
          if (!c.word.compare_exchange_strong(word, next)) continue;
          break;
        case CellPhase::kReading:
          break;
      }
    }
    Advance(header->head, position);
  }
}

void TileChannel::Impl::Reclaim(uint32_t dead_row) {
  for (uint32_t i = 0; i < capacity; ++i) {
    uint64_t word = cells[i].word.load();
    const uint64_t lap = CellLap(word);
    if (word == CellWord(lap, dead_row, CellPhase::kWriting)) {
      if (cells[i].word.compare_exchange_strong(word, CellWord(lap, 0, CellPhase::kSkipped))) {
        header->skipped.fetch_add(1);
      }
    } else if (word == CellWord(lap, dead_row, CellPhase::kReading)) {
      if (cells[i].word.compare_exchange_strong(word, CellWord(lap + 1, 0, CellPhase::kEmpty))) {
        header->lost.fetch_add(1);
      }
    }
  }
}

template <class F>
size_t TileChannel::Impl::Until(shm::SharedEvent& event, const std::atomic<bool>* cancel,
                                F&& step) {
  using Clock = std::chrono::steady_clock;
  if (const size_t n = Spin(spin_us.load(std::memory_order_relaxed), step)) return n;
  // By the clock, not by timeouts: a busy channel wakes us all the time while a dead sender's cell
  // blocks it.
  constexpr std::chrono::milliseconds kBeat{shm::kLeasePeriodMs};
  auto beat = Clock::now() + kBeat;
  for (;;) {
    const uint32_t prepared = event.Prepare();
    if (const size_t n = step()) return n;
    if (IsClosed()) return step();  // what came just before the end
    if (cancel != nullptr && cancel->load()) {
      throw Error(Code::kCancelled, "waiting on the tile channel " + id + " was cancelled");
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(beat - Clock::now()).count();
    if (left > 0) event.Wait(prepared, static_cast<uint32_t>(left));
    if (Clock::now() < beat) continue;
    beat = Clock::now() + kBeat;
    if (janitor.Run(row, [&](uint32_t dead) { Reclaim(dead); }) != 0) {
      header->not_empty.NotifyAlways();
      header->not_full.NotifyAlways();
    }
  }
}

TileChannel::TileChannel() = default;

std::shared_ptr<TileChannel> TileChannel::Create(uint32_t capacity) {
  if (capacity < 2 || capacity > kMaxCapacity) {
    throw Error(Code::kInvalidArgument, "capacity must be 2 to " + std::to_string(kMaxCapacity) +
                                            ", got " + std::to_string(capacity));
  }
  shm::SweepSharedMemory();
  capacity = std::bit_ceil(capacity);
  const std::string id = shm::RandomId();
  const int registered = shm::RegisterPool(id, shm::kChannelSlots);
  if (registered < 0) {
    throw Error(Code::kPoolMemory, "this process already has " +
                                       std::to_string(shm::kMaxRegistered) +
                                       " open pools and channels: close() those no longer used");
  }
  const Layout layout = LayoutFor(capacity);
  shm::OpenedObject object;
  try {
    object = NewObject("/tc-" + id + "-" + shm::kChannelKind.suffix, layout.end);
  } catch (...) {
    shm::UnlinkRegisteredPool(registered);
    throw;
  }
  const shm::ProcessIdentity self = shm::ThisProcess();
  auto* header = new (object.memory) shm::ChannelHeader{};
  shm::FillHeader(header->object, id, self);
  header->object.version = shm::kChannelLayoutVersion;
  header->object.header_bytes = sizeof(shm::ChannelHeader);
  header->object.control_bytes = layout.end;
  header->object.item_bytes = sizeof(shm::ChannelCell);
  header->object.items = capacity;
  header->object.process_table_offset = layout.processes;
  header->object.item_table_offset = layout.cells;
  std::shared_ptr<TileChannel> channel(new TileChannel());
  channel->impl_ = std::make_unique<Impl>(object, 0, registered);
  channel->impl_->processes.Join(self);
  header->object.state.store(static_cast<uint32_t>(shm::ObjectState::kOpen));
  header->object.magic.store(shm::kChannelMagic, std::memory_order_release);
  return channel;
}

std::shared_ptr<TileChannel> TileChannel::Open(const std::string& id) {
  shm::OpenedObject object = shm::OpenObject(shm::kChannelKind, id, true);
  try {
    const shm::ObjectHeader& header = object.header();
    const uint32_t capacity = header.items;
    const bool plausible =
        capacity >= 2 && capacity <= kMaxCapacity && std::has_single_bit(capacity);
    const Layout layout = LayoutFor(plausible ? capacity : 2);
    if (!plausible || header.header_bytes != sizeof(shm::ChannelHeader) ||
        header.control_bytes != layout.end || object.bytes != layout.end ||
        header.max_processes != shm::kMaxProcesses ||
        header.process_table_offset != layout.processes ||
        header.item_table_offset != layout.cells) {
      throw Error(Code::kPoolVersion,
                  "the tile channel " + id + " of " + std::to_string(capacity) + " cells has " +
                      std::to_string(object.bytes) + " bytes, expected " +
                      std::to_string(layout.end) +
                      ", or tables elsewhere: it is damaged, or of another version of tilecast");
    }
    std::shared_ptr<TileChannel> channel(new TileChannel());
    // Dead processes keep their rows until somebody looks.
    Impl look(object, static_cast<int>(shm::kMaxProcesses), -1);
    look.janitor.Run(shm::kMaxProcesses, [&](uint32_t dead) { look.Reclaim(dead); });
    const int row = look.processes.Join(shm::ThisProcess());
    if (row < 0) {
      throw Error(Code::kPoolMemory, "the tile channel " + id + " already has " +
                                         std::to_string(shm::kMaxProcesses) + " processes");
    }
    channel->impl_ = std::make_unique<Impl>(object, row, -1);
    return channel;
  } catch (...) {
    object.Close();
    throw;
  }
}

TileChannel::~TileChannel() {
  if (!impl_) return;
  if (impl_->pid == getpid()) {
    if (impl_->made_here) Close();
    // Whole calls only: no cell of ours is half done.
    impl_->processes.Leave(impl_->row);
    if (!impl_->made_here) shm::SweepOne(impl_->id);
  }
  impl_->object.Close();
}

size_t TileChannel::TrySend(std::span<const TileDescriptor> batch) {
  if (impl_->IsClosed()) throw impl_->Closed();
  size_t n = 0;
  while (n < batch.size() && impl_->SendOne(batch[n])) ++n;
  if (n != 0) impl_->header->not_empty.Notify();
  return n;
}

void TileChannel::Send(std::span<const TileDescriptor> batch, const std::atomic<bool>* cancel) {
  while (!batch.empty()) {
    const size_t n = impl_->Until(impl_->header->not_full, cancel, [&] { return TrySend(batch); });
    batch = batch.subspan(n);
  }
}

size_t TileChannel::TryReceive(std::span<TileDescriptor> batch, uint32_t spin_us) {
  const auto take = [&] {
    size_t n = 0;
    while (n < batch.size() && impl_->ReceiveOne(batch[n])) ++n;
    if (n != 0) impl_->header->not_full.Notify();
    return n;
  };
  return batch.empty() ? 0 : Spin(spin_us, take);
}

size_t TileChannel::Receive(std::span<TileDescriptor> batch, const std::atomic<bool>* cancel) {
  if (batch.empty()) return 0;
  return impl_->Until(impl_->header->not_empty, cancel, [&] { return TryReceive(batch); });
}

void TileChannel::SetSpin(uint32_t microseconds) {
  impl_->spin_us.store(microseconds);
}

uint32_t TileChannel::ReclaimDead() {
  const uint32_t cleared =
      impl_->janitor.Run(impl_->row, [&](uint32_t dead) { impl_->Reclaim(dead); });
  if (cleared != 0) WakeAll();
  return cleared;
}

void TileChannel::WakeAll() {
  impl_->header->not_empty.NotifyAlways();
  impl_->header->not_full.NotifyAlways();
}

void TileChannel::Close() {
  if (impl_->pid != getpid()) return;
  impl_->header->object.state.store(static_cast<uint32_t>(shm::ObjectState::kClosed));
  shm::UnlinkRegisteredPool(impl_->registered.exchange(-1));
  WakeAll();
}

uint32_t TileChannel::capacity() const {
  return impl_->capacity;
}
const std::string& TileChannel::id() const {
  return impl_->id;
}
bool TileChannel::closed() const {
  return impl_->IsClosed();
}

ChannelStats TileChannel::Stats() const {
  ChannelStats stats;
  stats.capacity = impl_->capacity;
  for (uint32_t row = 0; row < impl_->processes.count(); ++row) {
    stats.processes += impl_->processes.IsTaken(row) ? 1 : 0;
  }
  stats.sent = impl_->header->tail.load();
  stats.received = impl_->header->head.load();
  stats.skipped = impl_->header->skipped.load();
  stats.lost = impl_->header->lost.load();
  return stats;
}

}  // namespace tilecast
