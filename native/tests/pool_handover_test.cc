// SPDX-License-Identifier: MIT
// Slots whose objects stay with a reader: the reader's pixels never change, the slot comes back
// with another object, in every process, also when somebody dies in between or memory is lacking.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "pool_support.h"
#include "shm/control_block.h"
#include "shm/tile_pool.h"

namespace tilecast {
namespace {

using testing::Catch;
using testing::Child;
using testing::ShmEntries;

constexpr uint64_t kBytes = 65536;

// A receiver that keeps the memory: maps the object, and removes the name.
class Kept {
 public:
  explicit Kept(const std::string& name, uint64_t bytes = kBytes, bool unlink = true)
      : bytes_(bytes) {
    const std::string path = "/" + name;
    const int fd = shm_open(path.c_str(), O_RDONLY, 0);
    REQUIRE(fd >= 0);
    memory_ = static_cast<const unsigned char*>(
        mmap(nullptr, bytes_, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0));
    REQUIRE(memory_ != MAP_FAILED);
    close(fd);
    if (unlink) CHECK(shm_unlink(path.c_str()) == 0);
  }
  ~Kept() { Forget(); }
  Kept(Kept&& other) noexcept
      : bytes_(other.bytes_), memory_(std::exchange(other.memory_, nullptr)) {}
  Kept& operator=(Kept&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  void Forget() {
    if (memory_ != nullptr) munmap(const_cast<unsigned char*>(memory_), bytes_);
    memory_ = nullptr;
  }
  bool Is(int value) const {
    return std::all_of(memory_, memory_ + bytes_,
                       [&](unsigned char c) { return c == static_cast<unsigned char>(value); });
  }

 private:
  uint64_t bytes_;
  const unsigned char* memory_ = nullptr;
};

void Fill(TilePool& pool, const Loan& loan, int value) {
  std::memset(pool.data(loan.slot), value, pool.slot_bytes());
}

Loan LoanFilled(TilePool& pool, int value) {
  const Loan loan = pool.LoanBlocking(nullptr);
  Fill(pool, loan, value);
  return loan;
}

bool Holds(const TilePool& pool, const Loan& loan, int value) {
  const auto* at = reinterpret_cast<const unsigned char*>(pool.data(loan.slot));
  return std::all_of(at, at + pool.slot_bytes(),
                     [&](unsigned char c) { return c == static_cast<unsigned char>(value); });
}

ino_t Inode(const std::string& name) {
  struct stat status{};
  return stat(("/dev/shm/" + name).c_str(), &status) == 0 ? status.st_ino : 0;
}

// For what another thread does: never is a failure of the test's time limit.
template <class F>
void Until(F&& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

TEST_CASE("what was handed over stays as it was, and its slot gets another object") {
  const auto pool = TilePool::Create(kBytes, 1);
  const std::string slot = "tc-" + pool->id() + "-0";
  const ino_t first = Inode(slot);
  const Loan loan = LoanFilled(*pool, 'a');
  const PoolExport made = pool->Export(loan);
  const Kept kept(made.name);
  CHECK(pool->HandOver(made.name));
  CHECK_FALSE(pool->HandOver(made.name));
  CHECK_FALSE(pool->Unexport(made.name));
  CHECK(pool->IsCurrent(loan));  // the loan's own lease
  CHECK(Inode(slot) == first);
  CHECK(pool->Stats().handed_over == 1);
  CHECK(pool->Stats().missing == 0);
  pool->Release(loan);
  CHECK_FALSE(pool->IsCurrent(loan));
  for (int i = 0; i < 2000; ++i) pool->Release(LoanFilled(*pool, i));
  CHECK(Inode(slot) != first);
  CHECK(Inode(slot) != 0);
  CHECK(kept.Is('a'));
  CHECK(pool->Stats().free == 1);
}

TEST_CASE("a name that the reader left is removed, and a made-up one can be used again") {
  const auto pool = TilePool::Create(kBytes, 2);
  const Loan loan = LoanFilled(*pool, 'a');
  const PoolExport made = pool->Export(loan);
  const Kept kept(made.name, kBytes, false);
  CHECK(pool->HandOver(made.name));
  CHECK(ShmEntries(made.name) == 0);
  CHECK(pool->Export(loan).name == made.name);
  CHECK_FALSE(pool->HandOver("tc-" + pool->id() + "-x9"));
  pool->Release(loan);
}

TEST_CASE("readers that still hold a lease see the old pixels until they let go") {
  const auto pool = TilePool::Create(kBytes, 1);
  const Loan loan = LoanFilled(*pool, 'a');
  const PoolExport first = pool->Export(loan), second = pool->Export(loan);
  const Kept kept(first.name), also(second.name);
  pool->Release(loan);
  CHECK(pool->HandOver(first.name));
  CHECK(pool->IsCurrent(loan));
  CHECK(pool->Stats().missing == 0);
  CHECK(Holds(*pool, loan, 'a'));
  CHECK(pool->HandOver(second.name));
  CHECK(pool->Stats().handed_over == 1);  // one object, kept by both
  const Loan next = LoanFilled(*pool, 'b');
  CHECK(kept.Is('a'));
  CHECK(also.Is('a'));
  pool->Release(next);
}

TEST_CASE("a reader that did not keep what another one kept gives its lease back as ever") {
  const auto pool = TilePool::Create(kBytes, 1);
  const Loan loan = LoanFilled(*pool, 'a');
  const PoolExport first = pool->Export(loan), second = pool->Export(loan);
  const Kept kept(first.name);
  pool->Release(loan);
  CHECK(pool->HandOver(first.name));
  CHECK(pool->Unexport(second.name));
  pool->Release(LoanFilled(*pool, 'b'));
  CHECK(kept.Is('a'));
}

TEST_CASE("a copy is forgotten, and its slot stays as it is") {
  const auto pool = TilePool::Create(kBytes, 1);
  const Loan loan = LoanFilled(*pool, 'a');
  REQUIRE(shm_unlink(("/tc-" + pool->id() + "-0").c_str()) == 0);
  const PoolExport made = pool->Export(loan);
  REQUIRE(made.copied);
  const Kept kept(made.name, kBytes, false);
  pool->Release(loan);
  CHECK(pool->HandOver(made.name));
  CHECK(ShmEntries(made.name) == 0);
  CHECK(pool->Stats().free == 1);
  CHECK(pool->Stats().handed_over == 0);
  pool->Release(LoanFilled(*pool, 'b'));
  CHECK(kept.Is('a'));
}

TEST_CASE("other processes see the new object: lending, leasing, and reading without a lease") {
  for (const PoolAccess access : {PoolAccess::kWrite, PoolAccess::kRead, PoolAccess::kObserve}) {
    CAPTURE(static_cast<int>(access));
    const auto pool = TilePool::Create(kBytes, 1);
    Child child([&](Child& self) {
      const auto opened = TilePool::Open(pool->id(), access);
      self.Say('!');
      for (uint32_t generation = 0;;) {
        const char value = self.Heard();
        if (value == '\0') _exit(0);
        generation = static_cast<unsigned char>(self.Heard());
        const Loan loan{0, generation};
        if (access != PoolAccess::kObserve) opened->AddLease(loan);
        const bool before = opened->IsCurrent(loan);
        const bool right = Holds(*opened, loan, value) && opened->IsCurrent(loan);
        if (access != PoolAccess::kObserve) opened->Release(loan);
        self.Say(before && right ? 'y' : 'n');
      }
    });
    REQUIRE(child.Heard() == '!');
    std::vector<Kept> kept;
    for (char value = 'a'; value < 'z'; ++value) {
      const Loan loan = LoanFilled(*pool, value);
      child.Say(value);
      child.Say(static_cast<char>(loan.generation));
      CHECK(child.Heard() == 'y');
      const PoolExport made = pool->Export(loan);
      pool->Release(loan);
      kept.emplace_back(made.name);
      CHECK(pool->HandOver(made.name));
    }
    for (size_t i = 0; i < kept.size(); ++i) CHECK(kept[i].Is('a' + static_cast<int>(i)));
    child.Kill();
  }
}

TEST_CASE("what one process hands over no other process writes into") {
  const auto pool = TilePool::Create(kBytes, 2);
  Child child([&](Child& self) {
    const auto opened = TilePool::Open(pool->id());
    self.Say('!');
    self.Hear();
    // The slots as they were when it opened the pool are mapped here; the other process has given
    // them away since.
    for (int i = 0; i < 1000; ++i) {
      Loan loans[2];
      opened->LoanManyBlocking(2, loans, nullptr);
      for (const Loan& loan : loans) Fill(*opened, loan, 'x');
      for (const Loan& loan : loans) opened->Release(loan);
    }
    _exit(0);
  });
  REQUIRE(child.Heard() == '!');
  std::vector<Kept> kept;
  for (int i = 0; i < 2; ++i) {
    const Loan loan = LoanFilled(*pool, 'a' + i);
    const PoolExport made = pool->Export(loan);
    pool->Release(loan);
    kept.emplace_back(made.name);
    CHECK(pool->HandOver(made.name));
    Until([&] { return pool->Stats().free == 2; });
  }
  child.Tell();
  CHECK(child.ExitCode() == 0);
  CHECK(kept[0].Is('a'));
  CHECK(kept[1].Is('b'));
}

TEST_CASE("the last lease may be another process's, and it may be lost with that process") {
  for (const bool dies : {false, true}) {
    CAPTURE(dies);
    const auto pool = TilePool::Create(kBytes, 1);
    const Loan loan = LoanFilled(*pool, 'a');
    Child child([&](Child& self) {
      const auto opened = TilePool::Open(pool->id());
      opened->AddLease(loan);
      self.Say('!');
      self.Hear();
      if (!Holds(*opened, loan, 'a')) _exit(1);
      if (!dies) opened->Release(loan);
      self.Say('!');
      self.Hear();
    });
    REQUIRE(child.Heard() == '!');
    const PoolExport made = pool->Export(loan);
    const Kept kept(made.name);
    CHECK(pool->HandOver(made.name));
    pool->Release(loan);
    CHECK(pool->IsCurrent(loan));
    child.Tell();
    CHECK(child.Heard() == '!');
    if (dies) child.Kill();
    const Loan next = LoanFilled(*pool, 'b');  // for ever is a failure
    CHECK(kept.Is('a'));
    pool->Release(next);
  }
}

TEST_CASE("what a process had exported when it was killed is not written into again") {
  const auto pool = TilePool::Create(kBytes, 3);
  Child child([&](Child& self) {
    const auto opened = TilePool::Open(pool->id());
    const Loan loan = LoanFilled(*opened, 'a');
    self.Say(opened->Export(loan).name.back());
    self.Hear();
  });
  const char index = child.Heard();
  const Kept kept("tc-" + pool->id() + "-x" + index);  // the process will not hear of it
  child.Kill();
  pool->ReclaimDead();
  Until([&] { return pool->Stats().free == 3; });
  Loan loans[3];
  for (int i = 0; i < 100; ++i) {
    pool->LoanManyBlocking(3, loans, nullptr);
    for (const Loan& loan : loans) Fill(*pool, loan, 'x');
    for (const Loan& loan : loans) pool->Release(loan);
  }
  CHECK(kept.Is('a'));
}

TEST_CASE("spares and slots that a killed process left are taken care of") {
  const auto pool = TilePool::Create(kBytes, 8);
  Child child([&](Child& self) {
    const auto opened = TilePool::Open(pool->id());
    for (int i = 0; i < 4; ++i) {
      const Loan loan = opened->LoanBlocking(nullptr);
      const PoolExport made = opened->Export(loan);
      opened->Release(loan);
      opened->HandOver(made.name);
    }
    Until([&] { return opened->Stats().spares > 0; });
    self.Say('!');
    self.Hear();
  });
  REQUIRE(child.Heard() == '!');
  CHECK(ShmEntries("tc-" + pool->id() + "-s") > 0);
  // And one slot whose holder was killed between giving it away and the renewal.
  const int fd = shm_open(("/tc-" + pool->id() + "-c").c_str(), O_RDWR, 0);
  REQUIRE(fd >= 0);
  struct stat status{};
  REQUIRE(fstat(fd, &status) == 0);
  const auto bytes = static_cast<size_t>(status.st_size);
  auto* memory =
      static_cast<std::byte*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  close(fd);
  shm::ControlBlock raw(memory, -1);
  child.Kill();
  raw.GiveAway(7);
  const ino_t before = Inode("tc-" + pool->id() + "-7");
  pool->ReclaimDead();
  Until([&] { return pool->Stats().free == 8; });
  CHECK(Inode("tc-" + pool->id() + "-7") != before);
  CHECK(raw.epoch(7) == 1);
  munmap(memory, bytes);
  CHECK(pool->Stats().processes == 1);
  CHECK(static_cast<uint32_t>(ShmEntries("tc-" + pool->id() + "-s")) == pool->Stats().spares);
}

TEST_CASE("the stock of spares follows the demand, and goes with the pool") {
  const auto pool = TilePool::Create(kBytes, 8);
  CHECK(pool->Stats().spares == 0);
  std::vector<Kept> kept;
  const auto hand_over = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const Loan loan = LoanFilled(*pool, i);
      const PoolExport made = pool->Export(loan);
      pool->Release(loan);
      kept.emplace_back(made.name);
      CHECK(pool->HandOver(made.name));
    }
  };
  hand_over(40);
  Until([&] { return pool->Stats().spares > 0; });
  CHECK(pool->Stats().spares <= 2);                  // a quarter of the slots
  Until([&] { return pool->Stats().spares == 0; });  // within some seconds
  CHECK(ShmEntries("tc-" + pool->id() + "-s") == 0);
  CHECK(pool->Stats().free == 8);
  hand_over(8);
  Until([&] { return pool->Stats().spares > 0; });
  pool->Close();
  CHECK(pool->Stats().spares == 0);
  CHECK(ShmEntries("tc-" + pool->id()) == 0);
  for (size_t i = 0; i < kept.size(); ++i) CHECK(kept[i].Is(static_cast<int>(i < 40 ? i : i - 40)));
}

// A /dev/shm that can be full: one of its own where the system lets us mount one, else a limit on
// the size of files, which fails in the same place.
class SmallShm {
 public:
  explicit SmallShm(uint64_t bytes) {
    const uid_t user = getuid();
    if ((user == 0 ? unshare(CLONE_NEWNS) : unshare(CLONE_NEWUSER | CLONE_NEWNS)) != 0) return;
    mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    mounted_ =
        mount("tmpfs", "/dev/shm", "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) == 0;
  }
  void Exhaust() {
    if (!mounted_) return Limit(4096);
    const int fd = open("/dev/shm/ballast", O_CREAT | O_RDWR, 0600);
    const std::vector<char> page(4096, 'x');
    while (write(fd, page.data(), page.size()) > 0) {
    }
    close(fd);
  }
  void Relieve() {
    if (!mounted_) return Limit(RLIM_INFINITY);
    unlink("/dev/shm/ballast");
  }

  bool mounted() const { return mounted_; }

 private:
  static void Limit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  bool mounted_ = false;
};

// Runs in a child, whose exit code says which line was not as expected.
#define EXPECT_HERE(condition) \
  if (!(condition)) _exit(__LINE__ % 90 + 1)

TEST_CASE("without memory a slot stays out of use, and comes back with it") {
  Child child([](Child&) {
    SmallShm shm(1 << 20);
    // Maps what it opened, and must not keep it from being freed. (A fork of a process with a pool
    // would: it has its parent's mappings.)
    Child idle([&](Child& self) {
      std::string id;
      for (int i = 0; i < 16; ++i) id += self.Heard();
      const auto opened = TilePool::Open(id, PoolAccess::kRead);
      self.Say('!');
      self.Hear();
    });
    const auto pool = TilePool::Create(kBytes, 4);
    for (const char c : pool->id()) idle.Say(c);
    EXPECT_HERE(idle.Heard() == '!');
    shm.Exhaust();
    std::vector<std::string> names;
    std::vector<Kept> kept;
    Loan loans[4];
    pool->LoanManyBlocking(4, loans, nullptr);
    for (const Loan& loan : loans) names.push_back(pool->Export(loan).name);
    for (const Loan& loan : loans) pool->Release(loan);
    for (int i = 0; i < 3; ++i) {
      kept.emplace_back(names[i]);
      EXPECT_HERE(pool->HandOver(names[i]));
    }
    EXPECT_HERE(pool->Unexport(names[3]));
    Until([&] { return pool->Stats().missing == 3 && pool->Stats().free == 1; });
    const Loan last = LoanFilled(*pool, 'x');
    Loan none;
    EXPECT_HERE(!pool->TryLoan(none));
    const auto two = Catch([&] {
      pool->Release(last);
      Loan both[2];
      pool->LoanManyBlocking(2, both, nullptr);
    });
    EXPECT_HERE(two && two->code == Code::kPoolMemory);
    EXPECT_HERE(two->message.find("3 of the 4 slots of the tile pool ") == 0);
    EXPECT_HERE(two->message.find("no memory for new ones of 64.0 KiB") != std::string::npos);
    pool->Release(LoanFilled(*pool, 'y'));                              // what is left goes on
    const auto opened = TilePool::Open(pool->id(), PoolAccess::kRead);  // with slots missing
    for (const Kept& memory : kept) EXPECT_HERE(memory.Is(0));
    kept.clear();  // the readers let go: that is the memory which was lacking
    if (!shm.mounted()) shm.Relieve();
    pool->LoanManyBlocking(4, loans, nullptr);
    for (const Loan& loan : loans) Fill(*pool, loan, 'z');
    EXPECT_HERE(pool->Stats().missing == 0);
    idle.Kill();
    _exit(0);
  });
  CHECK(child.ExitCode() == 0);
}

TEST_CASE("hand-overs, loans and leases from many threads and two processes never mix pixels") {
  const auto pool = TilePool::Create(8192, 6);
  const auto work = [](TilePool& p, int seed, int rounds) {
    std::mt19937 random(static_cast<unsigned>(seed));
    std::vector<std::pair<Kept, int>> kept;
    int torn = 0;
    for (int i = 0; i < rounds; ++i) {
      const int value = static_cast<int>(random() % 251);
      const Loan loan = LoanFilled(p, value);
      torn += Holds(p, loan, value) ? 0 : 1;
      if (random() % 3 == 0) {
        const PoolExport made = p.Export(loan);
        if (random() % 2 == 0) {
          kept.emplace_back(Kept(made.name, 8192), value);
          p.HandOver(made.name);
        } else {
          p.Unexport(made.name);
        }
      }
      torn += Holds(p, loan, value) ? 0 : 1;
      p.Release(loan);
      if (kept.size() > 8) {
        torn += kept.front().first.Is(kept.front().second) ? 0 : 1;
        kept.erase(kept.begin());
      }
    }
    for (const auto& [memory, value] : kept) torn += memory.Is(value) ? 0 : 1;
    return torn;
  };
  const auto both = [&](TilePool& p, int seed) {
    int torn = 0;
    std::thread other([&] { torn = work(p, seed, 400); });
    const int mine = work(p, seed + 1, 400);
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
  Until([&] { return pool->Stats().free == 6; });
  CHECK(pool->Stats().handed_over > 100);
}

}  // namespace
}  // namespace tilecast
