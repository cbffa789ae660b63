// SPDX-License-Identifier: MIT
// The channel: order, bounds, waiting, several senders and receivers, and cells of the dead.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "pool_support.h"
#include "shm/channel.h"
#include "shm/channel_layout.h"
#include "shm/tile_pool.h"

namespace tilecast {
namespace {

using testing::Catch;
using testing::Child;
using testing::ShmEntries;

TileDescriptor Numbered(uint64_t tag) {
  TileDescriptor d;
  d.slot = static_cast<uint32_t>(tag % 7);
  d.generation = static_cast<uint32_t>(tag);
  d.shape[1] = static_cast<uint32_t>(tag * 3);
  d.components[4] = static_cast<int32_t>(tag);
  d.tag = tag;
  return d;
}

bool Whole(const TileDescriptor& d) {
  return d.slot == d.tag % 7 && d.generation == static_cast<uint32_t>(d.tag) &&
         d.shape[1] == static_cast<uint32_t>(d.tag * 3) &&
         d.components[4] == static_cast<int32_t>(d.tag) && d.shape[0] == 1;
}

// A channel's object as another program would see it.
struct Raw {
  explicit Raw(const std::string& id) {
    const int fd = shm_open(("/tc-" + id + "-q").c_str(), O_RDWR, 0);
    REQUIRE(fd >= 0);
    struct stat status{};
    REQUIRE(fstat(fd, &status) == 0);
    bytes = static_cast<size_t>(status.st_size);
    memory =
        static_cast<std::byte*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
  }
  ~Raw() { munmap(memory, bytes); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  template <class T>
  T& At(uint64_t offset) const {
    return *reinterpret_cast<T*>(memory + offset);
  }
  std::atomic<uint64_t>& word(uint32_t cell) const {
    return At<std::atomic<uint64_t>>(At<uint64_t>(48) + cell * 64);
  }
  // Makes row 1 one of a process that is dead: our pid, another start time.
  void AddDeadRow() const {
    const uint64_t table = At<uint64_t>(40);
    At<uint64_t>(table + 64 + 8) = 1;
    At<std::atomic<uint64_t>>(table + 64).store(At<std::atomic<uint64_t>>(table).load());
  }
  std::byte* memory = nullptr;
  size_t bytes = 0;
};

TEST_CASE("descriptors come out as they went in, in order, and a full ring takes no more") {
  const auto channel = TileChannel::Create(5);
  CHECK(channel->capacity() == 8);
  std::vector<TileDescriptor> in, out(20);
  for (uint64_t i = 0; i < 20; ++i) in.push_back(Numbered(i));
  uint64_t sent = 0, got = 0;
  for (int lap = 0; lap < 1000; ++lap) {
    const size_t n = channel->TrySend({in.data(), static_cast<size_t>(lap % 13)});
    CHECK(n <= 8);
    sent += n;
    const size_t m = channel->TryReceive({out.data(), static_cast<size_t>(lap % 11)});
    for (size_t i = 0; i < m; ++i) CHECK(Whole(out[i]));
    got += m;
  }
  const ChannelStats stats = channel->Stats();
  CHECK(stats.sent == sent);
  CHECK(stats.received == got);
  while (channel->TryReceive(out) != 0) {
  }
  CHECK(channel->TrySend(in) == 8);
  CHECK(channel->TryReceive(out) == 8);
  for (uint64_t i = 0; i < 8; ++i) CHECK(out[i].tag == i);
}

TEST_CASE("the channel's object has the documented layout") {
  const auto channel = TileChannel::Create(4);
  const Raw raw(channel->id());
  CHECK(std::string(reinterpret_cast<char*>(raw.memory), 8) == "TCSTCHAN");
  CHECK(raw.At<uint32_t>(8) == 1);
  CHECK(raw.At<uint32_t>(12) == 448);
  CHECK(raw.At<uint64_t>(16) == raw.bytes);
  CHECK(raw.At<uint64_t>(24) == 64);
  CHECK(raw.At<uint32_t>(32) == 4);
  CHECK(raw.At<uint32_t>(36) == 32);
  CHECK(raw.At<uint64_t>(40) == 448);
  CHECK(raw.At<uint64_t>(48) == 448 + 32 * 64);
  CHECK(raw.bytes == 448 + 32 * 64 + 4 * 64);
  TileDescriptor d = Numbered(6);
  channel->TrySend({&d, 1});
  CHECK(raw.At<uint64_t>(128) == 0);
  CHECK(raw.At<uint64_t>(192) == 1);
  const uint64_t cell = raw.At<uint64_t>(48);
  CHECK(raw.At<uint64_t>(cell) == 2);
  CHECK(raw.At<uint32_t>(cell + 8) == 6);
  CHECK(raw.At<uint32_t>(cell + 12) == 6);
  CHECK(raw.At<uint8_t>(cell + 17) == 2);
  CHECK(raw.At<uint32_t>(cell + 24) == 18);
  CHECK(raw.At<int32_t>(cell + 48) == 6);
  CHECK(raw.At<uint64_t>(cell + 56) == 6);
  channel->TryReceive({&d, 1});
  CHECK(raw.At<uint64_t>(128) == 1);
  CHECK(raw.At<uint64_t>(cell) == 1 << 16);
}

TEST_CASE("several senders and receivers lose and double nothing, and each sender's order holds") {
  const auto channel = TileChannel::Create(16);
  channel->SetSpin(0);
  constexpr uint64_t kSenders = 3, kEach = 4000;
  std::atomic<uint64_t> count{0}, sum{0}, bad{0};
  std::vector<std::thread> threads;
  for (uint64_t s = 0; s < kSenders; ++s) {
    threads.emplace_back([&, s] {
      for (uint64_t i = 0; i < kEach;) {
        TileDescriptor batch[5];
        size_t n = 0;
        for (; n < 1 + i % 5 && i < kEach; ++n) batch[n] = Numbered(s << 32 | ++i);
        channel->Send({batch, n}, nullptr);
      }
    });
  }
  std::vector<std::thread> receivers;
  for (int r = 0; r < 2; ++r) {
    receivers.emplace_back([&] {
      uint64_t last[kSenders] = {};
      TileDescriptor batch[7];
      while (const size_t n = channel->Receive(batch, nullptr)) {
        for (size_t i = 0; i < n; ++i) {
          const uint64_t sender = batch[i].tag >> 32, number = batch[i].tag & UINT32_MAX;
          if (!Whole(batch[i]) || sender >= kSenders || number <= last[sender]) bad.fetch_add(1);
          last[sender % kSenders] = number;
          sum.fetch_add(number);
        }
        count.fetch_add(n);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  channel->Close();
  for (std::thread& thread : receivers) thread.join();
  CHECK(bad == 0);
  CHECK(count == kSenders * kEach);
  CHECK(sum == kSenders * kEach * (kEach + 1) / 2);
}

TEST_CASE("waiting ends with what comes, with cancel, and with close") {
  const auto channel = TileChannel::Create(2);
  TileDescriptor batch[4];
  std::thread sender([&] {
    const TileDescriptor d = Numbered(5);
    channel->Send({&d, 1}, nullptr);
  });
  CHECK(channel->Receive(batch, nullptr) == 1);
  CHECK(batch[0].tag == 5);
  sender.join();

  std::atomic<bool> cancel{false};
  std::thread canceller([&] {
    cancel.store(true);
    channel->WakeAll();
  });
  const auto cancelled = Catch([&] { channel->Receive(batch, &cancel); });
  canceller.join();
  REQUIRE(cancelled);
  CHECK(cancelled->code == Code::kCancelled);

  for (TileDescriptor& d : batch) d = Numbered(1);
  std::thread closer([&] { channel->Close(); });
  const auto closed = Catch([&] { channel->Send(batch, nullptr); });  // four into two cells
  closer.join();
  REQUIRE(closed);
  CHECK(closed->code == Code::kPoolClosed);
  size_t rest = 0;
  while (const size_t n = channel->Receive(batch, nullptr)) rest += n;
  CHECK(rest <= 2);
  CHECK(ShmEntries("tc-" + channel->id()) == 0);
}

TEST_CASE("another process sends, and what it sent before it was killed arrives") {
  const auto channel = TileChannel::Create(64);
  Child child([&](Child& self) {
    const auto opened = TileChannel::Open(channel->id());
    for (uint64_t i = 1; i <= 100; ++i) {
      const TileDescriptor d = Numbered(i);
      opened->Send({&d, 1}, nullptr);
    }
    self.Say('1');
    self.Hear();
  });
  TileDescriptor batch[16];
  uint64_t expected = 1;
  while (expected <= 100) {
    const size_t n = channel->Receive(batch, nullptr);
    for (size_t i = 0; i < n; ++i) CHECK(batch[i].tag == expected++);
  }
  REQUIRE(child.Heard() == '1');
  CHECK(channel->Stats().processes == 2);
  child.Kill();
  CHECK(channel->ReclaimDead() == 1);
  CHECK(channel->Stats().processes == 1);
}

TEST_CASE("cells of the dead are skipped and freed, and order and capacity are what they were") {
  const auto channel = TileChannel::Create(4);
  const Raw raw(channel->id());
  std::vector<TileDescriptor> in, out(8);
  for (uint64_t i = 0; i < 4; ++i) in.push_back(Numbered(i));
  REQUIRE(channel->TrySend(in) == 4);
  // A receiver that died with cell 0, a sender that died with cell 2.
  raw.At<uint64_t>(128) = 1;
  raw.word(0).store(shm::CellWord(0, 1, shm::CellPhase::kReading));
  raw.word(2).store(shm::CellWord(0, 1, shm::CellPhase::kWriting));
  raw.AddDeadRow();
  CHECK(channel->TrySend({in.data(), 1}) == 0);  // cell 0 is not free
  size_t got = 0;
  std::vector<uint64_t> tags;
  while (got < 2) {  // the second wait is until the janitor, which is the waiting itself
    const size_t n = channel->Receive(out, nullptr);
    for (size_t i = 0; i < n; ++i) tags.push_back(out[i].tag);
    got += n;
  }
  CHECK(tags == std::vector<uint64_t>{1, 3});
  const ChannelStats stats = channel->Stats();
  CHECK(stats.skipped == 1);
  CHECK(stats.lost == 1);
  CHECK(stats.processes == 1);
  CHECK(channel->TrySend(in) == 4);
  CHECK(channel->TryReceive(out) == 4);
  for (uint64_t i = 0; i < 4; ++i) CHECK(out[i].tag == i);
}

TEST_CASE(
    "positions that lag behind the cells, because who claimed died before it moved them, are "
    "caught up") {
  const auto channel = TileChannel::Create(4);
  const Raw raw(channel->id());
  std::vector<TileDescriptor> in, out(8);
  for (uint64_t i = 0; i < 4; ++i) in.push_back(Numbered(i));
  REQUIRE(channel->TrySend({in.data(), 3}) == 3);
  raw.At<std::atomic<uint64_t>>(192).store(1);
  CHECK(channel->TrySend({in.data() + 3, 1}) == 1);
  CHECK(raw.At<std::atomic<uint64_t>>(192).load() == 4);
  REQUIRE(channel->TryReceive({out.data(), 3}) == 3);
  raw.At<std::atomic<uint64_t>>(128).store(0);
  CHECK(channel->TryReceive(out) == 1);
  CHECK(out[0].tag == 3);
  CHECK(raw.At<std::atomic<uint64_t>>(128).load() == 4);
}

TEST_CASE("a channel that cannot be opened says why") {
  const auto pool = TilePool::Create(4096, 1);
  const auto other = Catch([&] { TileChannel::Open(pool->id()); });
  REQUIRE(other);
  CHECK(other->code == Code::kPoolNotFound);
  const auto channel = TileChannel::Create(4);
  const Raw raw(channel->id());
  raw.At<uint32_t>(8) = 7;
  const auto version = Catch([&] { TileChannel::Open(channel->id()); });
  raw.At<uint32_t>(8) = 1;
  REQUIRE(version);
  CHECK(version->code == Code::kPoolVersion);
  CHECK(version->message ==
        "the tile channel " + channel->id() +
            " has layout version 7, expected 1: use the same version of tilecast in "
            "both processes");
  const auto absurd = Catch([] { TileChannel::Create(1); });
  REQUIRE(absurd);
  CHECK(absurd->message == "capacity must be 2 to 1048576, got 1");
}

TEST_CASE("a killed process's channel goes when the next pool or channel is made") {
  std::string id;
  Child maker([&](Child& self) {
    const auto channel = TileChannel::Create(4);
    for (const char c : channel->id()) self.Say(c);
    self.Hear();
  });
  for (int i = 0; i < 16; ++i) id += maker.Heard();
  CHECK(ShmEntries("tc-" + id) == 1);
  maker.Kill();
  const auto next = TileChannel::Create(4);
  CHECK(ShmEntries("tc-" + id) == 0);
}

}  // namespace
}  // namespace tilecast
