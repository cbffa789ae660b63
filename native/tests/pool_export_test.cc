// SPDX-License-Identifier: MIT
// Slots under a second name: no copy, a lease that ends with the reader, and no name left when
// anybody dies.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "pool_support.h"
#include "shm/sweep.h"
#include "shm/tile_pool.h"

namespace tilecast {
namespace {

using testing::Catch;
using testing::Child;
using testing::ShmEntries;

std::string Contents(const std::string& name) {
  std::ifstream file("/dev/shm/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A name that no other run of this test has.
std::string OwnName(const char* what) {
  return std::string("tct_") + what + "_" + std::to_string(getpid());
}

TEST_CASE("an export is the slot itself, and its lease ends with unexport") {
  const auto pool = TilePool::Create(4096, 2);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  const PoolExport made = pool->Export(loan);
  CHECK(made.name == "tc-" + pool->id() + "-x0");
  CHECK(made.name.size() <= 30);
  CHECK_FALSE(made.copied);
  CHECK(made.reason.empty());
  CHECK(made.bytes == 4096);
  std::memset(pool->data(loan.slot), 'p', 4096);  // after the export: there is no copy
  CHECK(Contents(made.name) == std::string(4096, 'p'));
  const PoolExport second = pool->Export(loan, OwnName("two"));
  CHECK(second.name == OwnName("two"));
  pool->Release(loan);
  CHECK(pool->IsCurrent(loan));
  CHECK(pool->Unexport(made.name));
  CHECK_FALSE(pool->Unexport(made.name));
  CHECK(pool->IsCurrent(loan));
  CHECK(pool->Unexport(second.name));
  CHECK_FALSE(pool->IsCurrent(loan));
  CHECK(ShmEntries(made.name) == 0);
  CHECK(ShmEntries(second.name) == 0);
  CHECK(ShmEntries("tc-" + pool->id()) == 3);
}

TEST_CASE("a reader may remove the name, and what took it since is not touched") {
  const auto pool = TilePool::Create(4096, 1);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  const std::string name = OwnName("mine");
  pool->Export(loan, name);
  shm_unlink(("/" + name).c_str());
  const int fd = shm_open(("/" + name).c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  REQUIRE(fd >= 0);
  close(fd);
  CHECK(pool->Unexport(name));
  CHECK(ShmEntries(name) == 1);
  const auto taken = Catch([&] { pool->Export(loan, name); });
  shm_unlink(("/" + name).c_str());
  REQUIRE(taken);
  CHECK(taken->code == Code::kInvalidArgument);
  CHECK(taken->message == "name \"" + name + "\" is taken: shared memory of that name exists");
  pool->Release(loan);
  CHECK(pool->Stats().free == 1);  // a failed export keeps nothing
}

TEST_CASE("names that cannot be are refused, and so are loans that are over") {
  const auto pool = TilePool::Create(4096, 1);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  for (const std::string name : {"a/b", ".", "..", "0123456789012345678901234567890"}) {
    const auto bad = Catch([&] { pool->Export(loan, name); });
    REQUIRE(bad);
    CHECK(bad->code == Code::kInvalidArgument);
  }
  pool->Release(loan);
  const auto stale = Catch([&] { pool->Export(loan); });
  REQUIRE(stale);
  CHECK(stale->code == Code::kSlotReleased);
}

TEST_CASE("where the slot cannot be linked the export is a copy, and says why") {
  const auto pool = TilePool::Create(8192, 1);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  std::memset(pool->data(0), 'q', 8192);
  REQUIRE(shm_unlink(("/tc-" + pool->id() + "-0").c_str()) == 0);
  const PoolExport made = pool->Export(loan);
  CHECK(made.copied);
  CHECK(made.reason == "the slot cannot be linked: No such file or directory");
  CHECK(Contents(made.name) == std::string(8192, 'q'));
  std::memset(pool->data(0), 'r', 8192);
  CHECK(Contents(made.name) == std::string(8192, 'q'));
  pool->Release(loan);
  CHECK(pool->Stats().free == 1);  // a copy keeps no lease
  CHECK(pool->Unexport(made.name));
  CHECK(ShmEntries(made.name) == 0);
}

TEST_CASE("an export ends with the process that reads it") {
  const auto pool = TilePool::Create(4096, 1);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  Child reader([](Child& self) { self.Hear(); });
  const PoolExport made = pool->Export(loan, "", static_cast<uint32_t>(reader.pid()));
  pool->Release(loan);
  CHECK(pool->IsCurrent(loan));
  reader.Kill();
  const Loan next = pool->LoanBlocking(nullptr);  // the timer gives it back; for ever is a failure
  CHECK(next.generation == loan.generation + 1);
  CHECK(ShmEntries(made.name) == 0);
}

TEST_CASE("exports of a killed process go, whether others are attached or not") {
  for (const bool attached : {true, false}) {
    CAPTURE(attached);
    const std::string name = OwnName(attached ? "att" : "alone");
    std::string id;
    Child maker([&](Child& self) {
      const auto pool = TilePool::Create(4096, 1);
      Loan loan;
      pool->TryLoan(loan);
      pool->Export(loan);
      pool->Export(loan, name);
      for (const char c : pool->id()) self.Say(c);
      self.Hear();
    });
    for (int i = 0; i < 16; ++i) id += maker.Heard();
    auto pool = attached ? TilePool::Open(id) : nullptr;
    CHECK(ShmEntries(name) == 1);
    maker.Kill();
    if (attached) {
      pool->ReclaimDead();
      CHECK(pool->Stats().free == 1);
      CHECK(ShmEntries("tc-" + id) == 2);
    } else {
      shm::SweepSharedMemory();
      CHECK(ShmEntries("tc-" + id) == 0);
    }
    CHECK(ShmEntries(name) == 0);
    pool.reset();
    CHECK(ShmEntries("tc-" + id) == 0);
  }
}

TEST_CASE("exports go with the pool, also on a signal") {
  const std::string name = OwnName("signal");
  const auto pool = TilePool::Create(4096, 1);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  const PoolExport made = pool->Export(loan);
  pool->Close();
  CHECK(ShmEntries("tc-" + pool->id()) == 0);
  Child child([&](Child&) {
    const auto own = TilePool::Create(4096, 1);
    Loan other;
    own->TryLoan(other);
    own->Export(other, name);
    raise(SIGTERM);
  });
  child.Wait();
  CHECK(WIFSIGNALED(child.status()));
  CHECK(ShmEntries(name) == 0);
}

TEST_CASE("a full table of exports is an error") {
  const auto pool = TilePool::Create(4096, 1);
  Loan loan;
  REQUIRE(pool->TryLoan(loan));
  for (int i = 0; i < 256; ++i) pool->Export(loan);
  const auto full = Catch([&] { pool->Export(loan); });
  REQUIRE(full);
  CHECK(full->message.find("already has 256 exports") != std::string::npos);
  pool->Unexport("tc-" + pool->id() + "-x77");
  CHECK(pool->Export(loan).name == "tc-" + pool->id() + "-x77");
}

}  // namespace
}  // namespace tilecast
