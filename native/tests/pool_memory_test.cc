// SPDX-License-Identifier: MIT
// The pool's objects: names, modes, layout of the control object, errors that leave nothing behind,
// fork and signals.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "pool_support.h"
#include "shm/tile_pool.h"

namespace tilecast {
namespace {

using testing::Catch;
using testing::OwnShmEntries;
using testing::ShmEntries;

template <class T>
T ReadAt(const std::vector<char>& bytes, size_t offset) {
  T value;
  REQUIRE(offset + sizeof(T) <= bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::vector<char> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE(
    "a pool is one control object and one object a slot, private to the user, with short names") {
  const auto pool = TilePool::Create(4096, 12);
  const std::string path = "/dev/shm/tc-" + pool->id() + "-";
  CHECK(ShmEntries("tc-" + pool->id() + "-") == 13);
  for (const char* suffix : {"c", "0", "11"}) {
    struct stat status{};
    REQUIRE(stat((path + suffix).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  CHECK(("tc-" + pool->id() + "-32767").size() <= 30);
  pool->Close();
  CHECK(ShmEntries("tc-" + pool->id() + "-") == 0);
}

TEST_CASE("what is written to a slot is in that slot's own object at offset 0") {
  const auto pool = TilePool::Create(8192, 3);
  std::memset(pool->data(1), 'x', 8192);
  std::memcpy(pool->data(1), "hello", 5);
  const std::vector<char> bytes = ReadFile("/dev/shm/tc-" + pool->id() + "-1");
  REQUIRE(bytes.size() == 8192);
  CHECK(std::string(bytes.data(), 5) == "hello");
  CHECK(bytes.back() == 'x');
}

TEST_CASE("the control object has the documented layout") {
  // Offsets as in docs/pool-layout.md, written out: this test is the other side of the contract.
  const auto pool = TilePool::Create(4096, 70);
  Loan loan;
  for (int i = 0; i < 3; ++i) REQUIRE(pool->TryLoan(loan));
  pool->AddLease(loan);
  const std::vector<char> c = ReadFile("/dev/shm/tc-" + pool->id() + "-c");
  CHECK(std::string(c.data(), 8) == "TCSTPOOL");
  CHECK(ReadAt<uint32_t>(c, 8) == 3);
  CHECK(ReadAt<uint32_t>(c, 12) == 320);
  CHECK(ReadAt<uint64_t>(c, 16) == c.size());
  CHECK(ReadAt<uint64_t>(c, 24) == 4096);
  CHECK(ReadAt<uint32_t>(c, 32) == 70);
  CHECK(ReadAt<uint32_t>(c, 36) == 32);
  const auto processes = ReadAt<uint64_t>(c, 40);
  const auto slots = ReadAt<uint64_t>(c, 48);
  const auto bitmap = ReadAt<uint64_t>(c, 56);
  const auto exports = ReadAt<uint64_t>(c, 64);
  CHECK(processes == 320);
  CHECK(slots == 320 + 32 * 64);
  CHECK(bitmap == slots + 70 * 64);
  CHECK(exports == bitmap + 64);
  CHECK(c.size() == exports + 256 * 128);
  CHECK(std::string(c.data() + 72) == pool->id());
  CHECK(ReadAt<uint32_t>(c, 96) == static_cast<uint32_t>(getpid()));
  CHECK(ReadAt<uint32_t>(c, 100) == 1);
  // The start time by another way: everything after "(command) " of /proc/self/stat, as words; the
  // first of them is field 3.
  const std::vector<char> stat = ReadFile("/proc/self/stat");
  const std::string text(stat.begin(), stat.end());
  std::istringstream words(text.substr(text.rfind(')') + 2));
  std::string word;
  for (int field = 3; field <= 22; ++field) words >> word;
  CHECK(std::to_string(ReadAt<uint64_t>(c, 104)) == word);
  CHECK(ReadAt<uint32_t>(c, processes) == 2);
  CHECK(ReadAt<uint32_t>(c, processes + 4) == static_cast<uint32_t>(getpid()));
  CHECK(std::to_string(ReadAt<uint64_t>(c, processes + 8)) == word);
  CHECK(ReadAt<uint32_t>(c, processes + 64) == 0);
  CHECK(ReadAt<uint64_t>(c, slots) == ((uint64_t{1} << 32) | 1));
  // Row 0 holds it, however many leases it has there.
  CHECK(ReadAt<uint64_t>(c, slots + 2 * 64) == ((uint64_t{1} << 32) | 1));
  CHECK(ReadAt<uint64_t>(c, slots + 3 * 64) == 0);
  CHECK(ReadAt<uint64_t>(c, bitmap) == ~uint64_t{7});
  CHECK(ReadAt<uint64_t>(c, bitmap + 8) == 63);
  CHECK(ReadAt<uint32_t>(c, 256) == 1);  // attached: row 0
  CHECK(ReadAt<uint64_t>(c, exports) == 0);
}

TEST_CASE("absurd sizes are invalid arguments") {
  for (const auto& bad :
       {Catch([] { TilePool::Create(0, 1); }), Catch([] { TilePool::Create(4096, 0); }),
        Catch([] { TilePool::Create(4096, 32769); }),
        Catch([] { TilePool::Create(UINT64_MAX, 1); }),
        Catch([] { TilePool::Create(uint64_t{1} << 45, 3); })}) {
    REQUIRE(bad);
    CHECK(bad->code == Code::kInvalidArgument);
  }
}

TEST_CASE(
    "more memory than /dev/shm has is an error that says how much there is, and leaves nothing") {
  struct statvfs shm{};
  REQUIRE(statvfs("/dev/shm", &shm) == 0);
  const uint64_t half = uint64_t{shm.f_bavail} * shm.f_frsize / 2;
  const int before = OwnShmEntries();
  const auto full = Catch([&] { TilePool::Create(half, 3); });
  REQUIRE(full);
  CHECK(full->code == Code::kPoolMemory);
  CHECK(full->message.find("a pool of 3 slots of ") == 0);
  CHECK(full->message.find("but /dev/shm has ") != std::string::npos);
  CHECK(full->message.find("docker run --shm-size=") != std::string::npos);
  CHECK(OwnShmEntries() == before);
}

TEST_CASE("a creation that fails half-way leaves nothing") {
  // A limit on file sizes lets the control object through and stops the slots: the same path as a
  // /dev/shm that fills up meanwhile.
  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit low{1 << 20, old.rlim_max};
  const int before = OwnShmEntries();
  REQUIRE(setrlimit(RLIMIT_FSIZE, &low) == 0);
  const auto failed = Catch([] { TilePool::Create(2 << 20, 4); });
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, old_handler);
  REQUIRE(failed);
  CHECK(failed->code == Code::kPoolMemory);
  CHECK(failed->message.find("sizing shared memory /tc-") == 0);
  CHECK(OwnShmEntries() == before);
}

TEST_CASE("two pools have nothing in common") {
  const auto a = TilePool::Create(4096, 1);
  const auto b = TilePool::Create(4096, 1);
  CHECK(a->id() != b->id());
  a->Close();
  CHECK(ShmEntries("tc-" + b->id()) == 2);
}

// Runs f in a forked child and returns its wait status. The child gets the signals' default actions
// back from the test framework.
template <class F>
int InChild(F&& f) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
    f();
    _exit(99);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}

TEST_CASE("a forked child does not unlink its parent's pool, however it ends") {
  auto pool = TilePool::Create(4096, 2);
  const std::string prefix = "tc-" + pool->id();
  CHECK(WIFEXITED(InChild([&] { pool->Close(); })));
  CHECK(ShmEntries(prefix) == 3);
  const int status = InChild([] {
    const auto own = TilePool::Create(
        4096, 1);  // takes over the signals; the registry also has the parent's pool
    raise(SIGTERM);
  });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
  CHECK(ShmEntries(prefix) == 3);
}

TEST_CASE(
    "a process that is ended by a signal unlinks its own pools and still dies of that signal") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    CAPTURE(number);
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    const int status = InChild([&] {
      const auto pool = TilePool::Create(4096, 2);
      const std::string prefix = "tc-" + pool->id();
      const std::string report = std::to_string(ShmEntries(prefix)) + prefix;
      if (write(pipe_ends[1], report.data(), report.size()) < 0) _exit(98);
      raise(number);
    });
    close(pipe_ends[1]);
    char text[64] = {};
    REQUIRE(read(pipe_ends[0], text, sizeof(text) - 1) > 1);
    close(pipe_ends[0]);
    CHECK(text[0] == '3');
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == number);
    CHECK(ShmEntries(text + 1) == 0);
  }
}

TEST_CASE("a signal that the program ignores or handles itself is left alone") {
  const int status = InChild([] {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, [](int) {});
    const auto pool = TilePool::Create(4096, 1);
    raise(SIGINT);
    raise(SIGTERM);
    const int entries = ShmEntries("tc-" + pool->id());
    pool->Close();
    _exit(entries == 2 ? 7 : 8);
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

}  // namespace
}  // namespace tilecast
