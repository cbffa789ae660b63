// SPDX-License-Identifier: MIT
// One pool in several processes: opening, leases that survive no death, read-only and observing
// readers, sweeping.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "pool_support.h"
#include "shm/control_block.h"
#include "shm/sweep.h"
#include "shm/tile_pool.h"

namespace tilecast {
namespace {

using testing::Catch;
using testing::Child;
using testing::ShmEntries;

std::string Prefix(const std::string& id) {
  return "tc-" + id + "-";
}

// A control object as another program would see it.
class RawControl {
 public:
  explicit RawControl(const std::string& id) {
    const int fd = shm_open(("/tc-" + id + "-c").c_str(), O_RDWR, 0);
    REQUIRE(fd >= 0);
    struct stat status{};
    REQUIRE(fstat(fd, &status) == 0);
    bytes_ = static_cast<size_t>(status.st_size);
    memory_ =
        static_cast<std::byte*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
  }
  ~RawControl() { munmap(memory_, bytes_); }
  RawControl(const RawControl&) = delete;
  RawControl& operator=(const RawControl&) = delete;
  template <class T>
  T& At(uint64_t offset) {
    return *reinterpret_cast<T*>(memory_ + offset);
  }
  shm::ProcessEntry& process(uint32_t row) {
    return At<shm::ProcessEntry>(At<shm::ObjectHeader>(0).process_table_offset + row * 64);
  }
  std::atomic<uint64_t>& word(uint32_t slot) {
    return At<std::atomic<uint64_t>>(At<shm::ObjectHeader>(0).item_table_offset + slot * 64);
  }

 private:
  std::byte* memory_ = nullptr;
  size_t bytes_ = 0;
};

TEST_CASE("another process sees the pixels, and its lease keeps the slot") {
  const auto pool = TilePool::Create(8192, 3);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  std::memset(pool->data(loan.slot), 0x42, 8192);
  Child child([&](Child& self) {
    const auto opened = TilePool::Open(pool->id());
    opened->AddLease(loan);
    self.Say('1');
    self.Hear();
    if (opened->data(loan.slot)[8191] != std::byte{0x42}) _exit(1);
    std::memset(opened->data(loan.slot), 0x43, 8192);
    opened->Release(loan);
    self.Say('2');
    self.Hear();
    _exit(opened->Stats().processes == 2 ? 0 : 2);
  });
  REQUIRE(child.Heard() == '1');
  pool->Release(loan);
  CHECK(pool->IsCurrent(loan));
  CHECK(pool->Stats().free == 2);
  const auto stale = Catch([&] { pool->Release(loan); });
  REQUIRE(stale);
  CHECK(stale->message ==
        "release: the loan of slot 0 (generation 1) is held by other processes only; this one has "
        "given back all its leases");
  child.Tell();
  REQUIRE(child.Heard() == '2');
  CHECK_FALSE(pool->IsCurrent(loan));
  CHECK(pool->data(loan.slot)[0] == std::byte{0x43});
  child.Tell();
  CHECK(child.ExitCode() == 0);
}

TEST_CASE("what a killed process held comes back, before its parent has waited for it too") {
  const auto pool = TilePool::Create(4096, 70);
  Loan mine, both;
  REQUIRE(pool->TryLoan(mine));
  REQUIRE(pool->TryLoan(both));
  for (const bool reap : {false, true}) {
    CAPTURE(reap);
    Child child([&](Child& self) {
      const auto opened = TilePool::Open(pool->id());
      opened->AddLease(both);
      opened->AddLease(both);
      Loan loans[40];
      opened->LoanManyBlocking(40, loans, nullptr);
      self.Say('1');
      self.Hear();
    });
    REQUIRE(child.Heard() == '1');
    CHECK(pool->Stats().free == 28);
    CHECK(pool->Stats().processes == 2);
    kill(child.pid(), SIGKILL);
    if (reap) {
      child.Wait();
    } else {
      siginfo_t info{};
      waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT);  // a zombie now
    }
    pool->ReclaimDead();  // or the timer did
    CHECK(pool->Stats().free == 68);
    CHECK(pool->Stats().processes == 1);
    child.Wait();
  }
  CHECK(pool->IsCurrent(both));
  pool->Release(both);
  CHECK_FALSE(pool->IsCurrent(both));
  CHECK(pool->IsCurrent(mine));
}

TEST_CASE("a waiting loan gets the slot that another process releases, or held when it died") {
  const auto pool = TilePool::Create(4096, 1);
  for (const bool dies : {false, true}) {
    CAPTURE(dies);
    Child child([&](Child& self) {
      const auto opened = TilePool::Open(pool->id());
      const Loan loan = opened->LoanBlocking(nullptr);
      self.Say('1');
      self.Hear();
      if (dies) raise(SIGKILL);
      opened->Release(loan);
      self.Hear();
    });
    REQUIRE(child.Heard() == '1');
    std::atomic<bool> got{false};
    std::thread waiter([&] {
      const Loan loan = pool->LoanBlocking(nullptr);
      got.store(true);
      pool->Release(loan);
    });
    while (pool->Stats().waits == 0) std::this_thread::yield();
    CHECK_FALSE(got.load());
    child.Tell();
    waiter.join();  // a wake-up that is lost hangs here
    child.Kill();
  }
}

TEST_CASE("the creator's close ends waiting in other processes, and leases under way stay good") {
  const auto pool = TilePool::Create(4096, 1);
  Child child([&](Child& self) {
    const auto opened = TilePool::Open(pool->id());
    const Loan loan = opened->LoanBlocking(nullptr);
    self.Say('1');
    const auto closed = Catch([&] { opened->LoanBlocking(nullptr); });
    if (!closed || closed->code != Code::kPoolClosed) _exit(1);
    if (!opened->IsCurrent(loan)) _exit(2);
    opened->data(loan.slot)[0] = std::byte{1};
    opened->Release(loan);
    _exit(0);
  });
  REQUIRE(child.Heard() == '1');
  pool->Close();
  CHECK(child.ExitCode() == 0);
  CHECK(ShmEntries(Prefix(pool->id())) == 0);
}

TEST_CASE(
    "a read-only pool leases but does not lend, and a write to it is refused by the processor") {
  const auto pool = TilePool::Create(4096, 2);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  pool->data(loan.slot)[5] = std::byte{9};
  Child reader([&](Child&) {
    const auto opened = TilePool::Open(pool->id(), PoolAccess::kRead);
    Loan other;
    const auto refused = Catch([&] { opened->TryLoan(other); });
    if (!refused || refused->code != Code::kInvalidArgument) _exit(1);
    opened->AddLease(loan);
    if (opened->data(loan.slot)[5] != std::byte{9}) _exit(2);
    opened->Release(loan);
    signal(SIGSEGV, SIG_DFL);
    opened->data(loan.slot)[5] = std::byte{1};
    _exit(3);
  });
  reader.Wait();
  CHECK(WIFSIGNALED(reader.status()));
  CHECK(WTERMSIG(reader.status()) == SIGSEGV);
  CHECK(pool->data(loan.slot)[5] == std::byte{9});
}

TEST_CASE("an observer sees generations and takes no row") {
  const auto pool = TilePool::Create(4096, 2);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  const auto observer = TilePool::Open(pool->id(), PoolAccess::kObserve);
  CHECK(observer != pool);
  CHECK(observer->Stats().processes == 1);
  CHECK(observer->IsCurrent(loan));
  const auto refused = Catch([&] { observer->AddLease(loan); });
  REQUIRE(refused);
  CHECK(refused->code == Code::kInvalidArgument);
  CHECK(refused->message == "addLease: the tile pool " + pool->id() +
                                " was opened by an observer, who can neither loan nor lease");
  pool->Release(loan);
  CHECK_FALSE(observer->IsCurrent(loan));
}

TEST_CASE("the same process gets the pool that it has") {
  const auto pool = TilePool::Create(4096, 1);
  CHECK(TilePool::Open(pool->id()) == pool);
}

TEST_CASE("what cannot be opened says what was expected and what came") {
  const auto bad = Catch([] { TilePool::Open("../etc/passwd"); });
  REQUIRE(bad);
  CHECK(bad->code == Code::kInvalidArgument);
  CHECK(bad->message == "id must be 16 characters of a-z and 2-7, got \"../etc/passwd\"");
  const auto none = Catch([] { TilePool::Open("aaaaaaaaaaaaaaaa"); });
  REQUIRE(none);
  CHECK(none->code == Code::kPoolNotFound);
  CHECK(
      none->message ==
      "the tile pool aaaaaaaaaaaaaaaa cannot be opened: there is no /tc-aaaaaaaaaaaaaaaa-c on this "
      "machine. It was closed, or its process ended");

  const auto pool = TilePool::Create(4096, 2);
  RawControl raw(pool->id());
  const auto error = [&] {
    const auto caught = Catch([&] { TilePool::Open(pool->id(), PoolAccess::kRead); });
    REQUIRE(caught);
    CHECK(caught->code == Code::kPoolVersion);
    return caught->message;
  };
  raw.At<uint32_t>(8) = 4;
  CHECK(error() ==
        "the tile pool " + pool->id() +
            " has layout version 4, expected 3: use the same version of tilecast in both "
            "processes");
  raw.At<uint32_t>(8) = 3;
  raw.At<uint64_t>(0) = 0x4141414141414141;
  CHECK(error() == "/tc-" + pool->id() +
                       "-c is not a tile pool: it begins with \"AAAAAAAA\", expected \"TCSTPOOL\"");
  raw.At<uint64_t>(0) = shm::kPoolMagic;
  raw.At<uint64_t>(48) += 64;
  CHECK(error().find("has a slot table offset of 2432, expected 2368") != std::string::npos);
  raw.At<uint64_t>(48) -= 64;
  REQUIRE(truncate(("/dev/shm/tc-" + pool->id() + "-1").c_str(), 8192) == 0);
  CHECK(error() == "slot 1 of the tile pool " + pool->id() +
                       " cannot be mapped: it has 8192 bytes, expected 4096");
  CHECK(pool->Stats().processes == 1);  // who failed is gone from the table
}

TEST_CASE("a process table that is full is an error, and dead rows are not full") {
  const auto pool = TilePool::Create(4096, 2);
  RawControl raw(pool->id());
  const uint64_t own = raw.process(0).owner.load();
  for (uint32_t row = 1; row < shm::kMaxProcesses; ++row) {
    raw.process(row).start_time.store(raw.process(0).start_time.load());
    raw.process(row).owner.store(own);
  }
  const auto full = Catch([&] { TilePool::Open(pool->id(), PoolAccess::kRead); });
  REQUIRE(full);
  CHECK(full->message.find("already has 32 processes") != std::string::npos);
  for (uint32_t row = 1; row < shm::kMaxProcesses; ++row) raw.process(row).start_time.fetch_add(1);
  CHECK(TilePool::Open(pool->id(), PoolAccess::kRead)->Stats().processes == 2);
}

TEST_CASE("a pid that was given out again is another process") {
  const auto pool = TilePool::Create(4096, 3);
  RawControl raw(pool->id());
  // A row whose process had our pid, but started earlier, and held slot 1 together with us and slot
  // 2 alone.
  Loan loans[2];
  pool->LoanManyBlocking(2, loans, nullptr);
  raw.word(1).fetch_or(2);
  raw.word(2).store((uint64_t{1} << 32) | 2);
  raw.At<std::atomic<uint32_t>>(256).fetch_or(2);
  raw.process(1).start_time.store(raw.process(0).start_time.load() - 1);
  raw.process(1).owner.store(raw.process(0).owner.load());
  pool->ReclaimDead();
  CHECK(raw.process(1).owner.load() == 0);
  CHECK(pool->IsCurrent(loans[1]));
  CHECK(shm::Holders(raw.word(1).load()) == 1);
  CHECK(shm::Holders(raw.word(2).load()) == 0);
  // Of another pid namespace it cannot be judged.
  raw.process(1).pid_namespace.store(1);
  raw.process(1).owner.store(raw.process(0).owner.load());
  raw.At<std::atomic<uint32_t>>(256).fetch_or(2);
  CHECK(pool->ReclaimDead() == 0);
  CHECK(raw.process(1).owner.load() != 0);
}

TEST_CASE(
    "a janitor that died half-way, and a process that died between two steps of a loan, cost no "
    "slot") {
  const auto pool = TilePool::Create(4096, 4);
  RawControl raw(pool->id());
  const uint64_t bitmap = raw.At<uint64_t>(56);
  // Row 1 is dead; of its three slots the janitor had taken slot 0's lease away, but not yet marked
  // it free.
  raw.At<std::atomic<uint64_t>>(bitmap).store(0b1000);
  raw.word(1).store((uint64_t{5} << 32) | 2);
  raw.word(2).store((uint64_t{6} << 32) | 2);
  raw.At<std::atomic<uint32_t>>(256).fetch_or(2);
  raw.process(1).start_time.store(1);
  raw.process(1).owner.store(raw.process(0).owner.load());
  pool->ReclaimDead();
  CHECK(raw.At<std::atomic<uint64_t>>(bitmap).load() == 0b1111);
  Loan loans[4];
  pool->LoanManyBlocking(4, loans, nullptr);
  CHECK(pool->Stats().free == 0);
}

TEST_CASE("survivors go on when the creator is killed, and the last one removes the names") {
  std::string id;
  Child creator([&](Child& self) {
    const auto pool = TilePool::Create(4096, 2);
    Loan loan;
    pool->TryLoan(loan);
    for (const char c : pool->id()) self.Say(c);
    self.Hear();
  });
  for (int i = 0; i < 16; ++i) id += creator.Heard();
  auto pool = TilePool::Open(id);
  creator.Kill();
  shm::SweepSharedMemory();
  CHECK(ShmEntries(Prefix(id)) == 3);  // it has an owner: us
  Loan loans[2];
  pool->LoanManyBlocking(2, loans, nullptr);  // the dead creator's slot too
  pool.reset();
  CHECK(ShmEntries(Prefix(id)) == 0);
}

TEST_CASE("a killed process's pool goes when the next one is made, and living ones stay") {
  std::string id;
  Child creator([&](Child& self) {
    const auto pool = TilePool::Create(4096, 2);
    for (const char c : pool->id()) self.Say(c);
    self.Hear();
  });
  for (int i = 0; i < 16; ++i) id += creator.Heard();
  const auto mine = TilePool::Create(4096, 1);
  CHECK(ShmEntries(Prefix(id)) == 3);
  creator.Kill();
  CHECK(ShmEntries(Prefix(id)) == 3);
  const auto next = TilePool::Create(4096, 1);
  CHECK(ShmEntries(Prefix(id)) == 0);
  CHECK(ShmEntries(Prefix(mine->id())) == 2);
}

void Touch(const std::string& name, size_t bytes) {
  const int fd = shm_open(("/" + name).c_str(), O_CREAT | O_RDWR, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(ftruncate(fd, static_cast<off_t>(bytes)) == 0);
  close(fd);
}

TEST_CASE("half-made pools go after a while, not at once, and other names never") {
  const std::string control = "bbbbbbbbbbbbbbbb", slots = "cccccccccccccccc",
                    other = "dddddddddddddddd";
  Touch("tc-" + control + "-c", 0);   // killed right after it was made
  Touch("tc-" + slots + "-0", 4096);  // without a control object
  Touch("tc-" + other + "-notes", 1);
  for (const std::string& id : {control, slots, other}) shm::SweepOne(id);
  for (const std::string& id : {control, slots, other}) CHECK(ShmEntries(Prefix(id)) == 1);
  for (const std::string& id : {control, slots, other}) shm::SweepOne(id, 0);
  CHECK(ShmEntries(Prefix(control)) == 0);
  CHECK(ShmEntries(Prefix(slots)) == 0);
  CHECK(ShmEntries(Prefix(other)) == 1);
  shm_unlink(("/tc-" + other + "-notes").c_str());
}

TEST_CASE("a pool of a later layout is kept while its creator lives, and removed after") {
  for (const bool lives : {true, false}) {
    const std::string id = lives ? "eeeeeeeeeeeeeeee" : "ffffffffffffffff";
    Touch("tc-" + id + "-c", 4096);
    Touch("tc-" + id + "-0", 4096);
    {
      RawControl raw(id);
      auto& header = raw.At<shm::ObjectHeader>(0);
      const shm::ProcessIdentity self = shm::ThisProcess();
      header.version = 9;
      header.max_processes = 2;
      header.process_table_offset = 256;
      header.creator_pid = self.pid;
      header.creator_start_time = self.start_time + (lives ? 0 : 1);
      header.magic.store(shm::kPoolMagic);
    }
    shm::SweepOne(id, 0);
    CHECK(ShmEntries(Prefix(id)) == (lives ? 2 : 0));
    shm_unlink(("/tc-" + id + "-c").c_str());
    shm_unlink(("/tc-" + id + "-0").c_str());
  }
}

TEST_CASE("a process that died while it made a pool is not waited for") {
  const std::string id = "gggggggggggggggg";
  Touch("tc-" + id + "-c", shm::ControlBlock::BytesFor(1));
  {
    RawControl raw(id);
    shm::ControlBlock::Format(&raw.At<std::byte>(0), id, 4096, 1);
    raw.At<shm::ObjectHeader>(0).creator_start_time += 1;
  }
  const auto dead = Catch([&] { TilePool::Open(id); });
  shm_unlink(("/tc-" + id + "-c").c_str());
  REQUIRE(dead);
  CHECK(dead->code == Code::kPoolNotFound);
  CHECK(dead->message.find(" died while it made it") != std::string::npos);
}

TEST_CASE("two processes that lend and lease at once never meet in a slot") {
  const auto pool = TilePool::Create(4096, 3);
  const auto work = [](TilePool& p, uint32_t who) {
    int torn = 0;
    for (uint32_t i = 0; i < 3000; ++i) {
      const Loan loan = p.LoanBlocking(nullptr);
      auto* words = reinterpret_cast<volatile uint32_t*>(p.data(loan.slot));
      for (int w = 0; w < 64; ++w) words[w] = who << 20 | i;
      if (i % 7 == 0) std::this_thread::yield();
      for (int w = 0; w < 64; ++w) torn += words[w] != (who << 20 | i);
      p.AddLease(loan);
      p.Release(loan);
      p.Release(loan);
    }
    return torn;
  };
  const auto both = [&](TilePool& p, uint32_t who) {
    int torn = 0;
    std::thread other([&] { torn = work(p, who); });
    const int mine = work(p, who + 1);
    other.join();
    return torn + mine;
  };
  Child child([&](Child&) {
    const auto opened = TilePool::Open(pool->id());
    _exit(both(*opened, 3) == 0 ? 0 : 1);
  });
  CHECK(both(*pool, 1) == 0);
  CHECK(child.ExitCode() == 0);
  pool->ReclaimDead();
  CHECK(pool->Stats().free == 3);
}

}  // namespace
}  // namespace tilecast
