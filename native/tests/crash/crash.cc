// SPDX-License-Identifier: MIT
// Kills random participants of a pool and its channels at random instants, and checks that the
// others never notice more than an error.
//
//   tilecast_crash [--rounds N] [--seed S]
//
// Every participant is a process of its own (this program again, with a role). A round is one of
// three: a creator killed while it creates; everybody killed at once; or a pool at work of which
// some are killed and the rest goes on.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "crash/roles.h"
#include "error.h"
#include "shm/channel.h"
#include "shm/object.h"
#include "shm/sweep.h"
#include "shm/tile_pool.h"

namespace tilecast::crash {
namespace {

using Clock = std::chrono::steady_clock;

// A hang, not slowness: a loaded machine must not fail the test.
constexpr std::chrono::seconds kHang{20};

double Ms(Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

struct Process {
  const char* role;
  pid_t pid = -1;
  int status = 0;
  bool killed = false;
  bool ended = false;
};

struct Figures {
  uint32_t rounds = 0, kills = 0, creation_kills = 0, creators_killed = 0, massacres = 0;
  uint32_t hangs = 0, failures = 0, leaked = 0, slots_lost = 0;
  uint64_t checked = 0, refused = 0, observed = 0, replaced = 0, flooded = 0, kept = 0, skipped = 0,
           lost = 0;
  std::vector<double> back_ms;
};

class Director {
 public:
  explicit Director(uint64_t seed) : random_(seed) { board_ = MakeBoard(board_fd_); }

  void Round() {
    ++figures_.rounds;
    new (board_) Board();
    const uint32_t kind = Pick(20);
    if (kind < 3) {
      CreationRound();
    } else {
      WorkRound(kind < 6);
    }
  }

  // Waits until what was left half made is old enough, then nothing without an owner may be there.
  void Finish() {
    std::this_thread::sleep_for(std::chrono::seconds(shm::kUnfinishedSeconds + 1));
    shm::SweepSharedMemory();
    figures_.leaked += Count(kExportPrefix + std::to_string(getpid()));
    figures_.leaked += static_cast<uint32_t>(OwnerlessOf(started_));
  }

  const Figures& figures() const { return figures_; }

 private:
  uint32_t Pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  void NapUs(uint32_t most) {
    std::this_thread::sleep_for(std::chrono::microseconds(Pick(most + 1)));
  }

  Process Spawn(const char* role) {
    Process process{role};
    const std::string seed = std::to_string(random_());
    const std::string board = std::to_string(board_fd_);
    const std::string owner = std::to_string(getpid());
    process.pid = fork();
    if (process.pid == 0) {
      execl("/proc/self/exe", "tilecast_crash", "--role", role, board.c_str(), seed.c_str(),
            owner.c_str(), nullptr);
      _exit(127);
    }
    return process;
  }

  void Kill(Process& process) {
    process.killed = true;
    kill(process.pid, SIGKILL);
    ++figures_.kills;
  }

  // Waits for a process; one that should have ended and has not is a hang.
  void Reap(Process& process) {
    const auto deadline = Clock::now() + kHang;
    while (!process.ended) {
      process.ended = waitpid(process.pid, &process.status, WNOHANG) == process.pid;
      if (process.ended) break;
      if (Clock::now() > deadline) {
        std::fprintf(stderr, "round %u: %s %d hangs\n", figures_.rounds, process.role, process.pid);
        ++figures_.hangs;
        kill(process.pid, SIGABRT);
        waitpid(process.pid, &process.status, 0);
        process.ended = process.killed = true;
        break;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    if (!process.killed && (!WIFEXITED(process.status) || WEXITSTATUS(process.status) != 0)) {
      std::fprintf(stderr, "round %u: %s ended with status %#x\n", figures_.rounds, process.role,
                   process.status);
      ++figures_.failures;
    }
  }

  bool WaitFor(const std::atomic<uint32_t>& flag) {
    const auto deadline = Clock::now() + kHang;
    while (flag.load() == 0) {
      if (Clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
  }

  void CreationRound() {
    ++figures_.creation_kills;
    Process creator = Spawn("creator");
    WaitFor(board_->creating);
    NapUs(800);
    Kill(creator);
    Reap(creator);
    shm::SweepSharedMemory();
    if (board_->ready.load() != 0) CheckGone();
  }

  void CheckGone() {
    for (const char* id :
         {board_->pool, board_->work, board_->watch, board_->flood, board_->keep}) {
      const uint32_t left = Count(std::string("tc-") + id);
      if (left == 0) continue;
      std::fprintf(stderr, "round %u: %u objects of %s left\n", figures_.rounds, left, id);
      figures_.leaked += left;
    }
  }

  void WorkRound(bool massacre) {
    std::vector<Process> all{Spawn("creator")};
    if (!WaitFor(board_->ready)) {
      ++figures_.hangs;
      return;
    }
    std::shared_ptr<TilePool> pool;
    std::shared_ptr<TileChannel> work, watch, flood, keep;
    if (!massacre) {
      pool = TilePool::Open(board_->pool);
      work = TileChannel::Open(board_->work);
      watch = TileChannel::Open(board_->watch);
      flood = TileChannel::Open(board_->flood);
      keep = TileChannel::Open(board_->keep);
    }
    for (const char* role : {"producer", "consumer", "producer", "consumer", "observer", "keeper",
                             "flooder", "flooder"}) {
      all.push_back(Spawn(role));
    }
    NapUs(30000);
    std::shuffle(all.begin() + Pick(2), all.end(), random_);  // the creator is spared half the time
    const size_t victims = massacre ? all.size() : 1 + Pick(5);
    for (size_t i = all.size() - victims; i < all.size(); ++i) {
      if (!massacre) NapUs(8000);
      Kill(all[i]);
      if (std::strcmp(all[i].role, "creator") == 0) ++figures_.creators_killed;
    }
    const auto killed_at = Clock::now();
    if (massacre) {
      ++figures_.massacres;
    } else {
      NapUs(20000);
      CheckAlive(*pool, {work.get(), watch.get(), flood.get(), keep.get()}, killed_at);
      CheckFlow(*flood);
    }
    board_->stop.store(true);
    for (const auto& channel : {work, watch, flood, keep}) {
      if (channel) channel->WakeAll();
    }
    for (Process& process : all) Reap(process);
    pool.reset();
    work.reset();
    watch.reset();
    flood.reset();
    keep.reset();
    shm::SweepSharedMemory();
    CheckGone();
    figures_.checked += board_->checked.load();
    figures_.refused += board_->refused.load();
    figures_.observed += board_->observed.load();
    figures_.replaced += board_->replaced.load();
    figures_.flooded += board_->flooded.load();
    figures_.kept += board_->kept.load();
    figures_.failures += board_->torn.load();
  }

  // With the survivors told to pause: every slot must come back, and every cell.
  void CheckAlive(TilePool& pool, const std::vector<TileChannel*>& channels,
                  Clock::time_point killed_at) {
    board_->pause.store(true);
    const bool by_timer = Pick(8) == 0;
    const auto deadline = Clock::now() + kHang;
    TileDescriptor batch[kCells];
    // Senders may sit in a full channel with their slots: take the receivers' place.
    while (pool.Stats().free != kSlots && Clock::now() < deadline) {
      for (size_t i = 0; i < 2; ++i) {
        while (channels[i]->TryReceive(batch) != 0) {
        }
        if (!by_timer) channels[i]->ReclaimDead();
      }
      if (!by_timer) pool.ReclaimDead();
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    figures_.back_ms.push_back(Ms(Clock::now() - killed_at));
    // A producer that was about to loan when the pause began still may: only the deadline says that
    // a slot is lost.
    if (Clock::now() >= deadline) {
      std::fprintf(stderr, "round %u: %u of %u slots are free%s\n", figures_.rounds,
                   pool.Stats().free, kSlots, by_timer ? ", by timer" : "");
      Dump(board_->pool);
      Dump(board_->work);
      ++figures_.slots_lost;
    } else {
      Loan loans[kSlots];
      pool.LoanManyBlocking(kSlots, loans, nullptr);  // each can really be had
      for (const Loan& loan : loans) pool.Release(loan);
    }
    board_->pause.store(false);
    for (TileChannel* channel : channels) {
      channel->ReclaimDead();
      const ChannelStats stats_now = channel->Stats();
      figures_.skipped += stats_now.skipped;
      figures_.lost += stats_now.lost;
    }
  }

  // No cell may be stuck: as many messages as there are cells get through, twice.
  void CheckFlow(TileChannel& channel) {
    const auto deadline = Clock::now() + kHang;
    TileDescriptor message, batch[4];
    message.components[4] = 0;  // what a flooder takes for whole
    for (uint64_t end = channel.Stats().received + 2 * kCells;
         channel.Stats().received < end && Clock::now() < deadline;) {
      const size_t sent = channel.TrySend({&message, 1});
      if (sent + channel.TryReceive(batch) != 0) continue;
      // The killed may still be dying. With all flooders gone nobody else waits here, so nobody
      // else is the janitor.
      channel.ReclaimDead();
      std::this_thread::yield();
    }
    if (Clock::now() < deadline) return;
    std::fprintf(stderr, "round %u: a channel is stuck\n", figures_.rounds);
    Dump(board_->flood);
    ++figures_.hangs;
  }

  // The process table and the items of a control object, for the one who looks for the reason.
  static void Dump(const std::string& id);
  static uint32_t Count(const std::string& prefix);
  static int OwnerlessOf(int64_t since);

  std::mt19937_64 random_;
  Figures figures_;
  Board* board_ = nullptr;
  int board_fd_ = -1;
  const int64_t started_ = std::time(nullptr);
};

void Director::Dump(const std::string& id) {
  for (const std::string& name : ListShm("tc-" + id + "-")) {
    if (name.back() != 'c' && name.back() != 'q') continue;
    const int fd = shm_open(("/" + name).c_str(), O_RDONLY, 0);
    struct stat status{};
    if (fd < 0 || fstat(fd, &status) != 0) continue;
    const auto bytes = static_cast<size_t>(status.st_size);
    void* memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED) continue;
    const auto* at = static_cast<const std::byte*>(memory);
    const auto* header = reinterpret_cast<const shm::ObjectHeader*>(at);
    std::fprintf(stderr, "%s, state %u\n", name.c_str(), header->state.load());
    for (uint32_t row = 0; row < header->max_processes; ++row) {
      const auto* entry = reinterpret_cast<const shm::ProcessEntry*>(
          at + header->process_table_offset + row * sizeof(shm::ProcessEntry));
      const uint64_t owner = entry->owner.load();
      if (owner == 0) continue;
      const auto pid = static_cast<uint32_t>(owner >> 32);
      std::fprintf(stderr, "  row %u: pid %u, state %u, started %llu, %s\n", row, pid,
                   static_cast<uint32_t>(owner),
                   static_cast<unsigned long long>(entry->start_time.load()),
                   shm::IsAlive({pid, entry->start_time.load(), 0}) ? "alive" : "dead");
    }
    for (uint32_t item = 0; item < header->items; ++item) {
      const auto* word = reinterpret_cast<const std::atomic<uint64_t>*>(
          at + header->item_table_offset + item * uint64_t{64});
      std::fprintf(stderr, "  item %u: %#llx\n", item,
                   static_cast<unsigned long long>(word->load()));
    }
    if (header->magic.load() == shm::kChannelMagic) {
      const auto* positions = reinterpret_cast<const std::atomic<uint64_t>*>(at + 128);
      std::fprintf(stderr, "  head %llu, tail %llu\n",
                   static_cast<unsigned long long>(positions[0].load()),
                   static_cast<unsigned long long>(positions[8].load()));
    }
    munmap(memory, bytes);
  }
}

uint32_t Director::Count(const std::string& prefix) {
  return static_cast<uint32_t>(ListShm(prefix).size());
}

// Names of ours that a sweep left although nobody owns them: a second sweep that pretends that all
// are old enough finds them.
int Director::OwnerlessOf(int64_t since) {
  int count = 0;
  for (const std::string& name : ListShm("tc-")) {
    struct stat status{};
    if (stat(("/dev/shm/" + name).c_str(), &status) != 0 || status.st_ctime < since) continue;
    if (name.size() < 20 || std::time(nullptr) - status.st_ctime <= shm::kUnfinishedSeconds)
      continue;
    const shm::SweepReport report = shm::SweepOne(name.substr(3, 16), 0);
    count += static_cast<int>(report.objects);
    if (report.objects != 0) std::fprintf(stderr, "left without an owner: %s\n", name.c_str());
  }
  return count;
}

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

int Direct(uint32_t rounds, uint64_t seed) {
  Director director(seed);
  const auto start = Clock::now();
  for (uint32_t i = 0; i < rounds; ++i) director.Round();
  director.Finish();
  const Figures& f = director.figures();
  std::printf(
      "rounds %u, seed %llu, %.1f s\n"
      "killed %u processes: %u creators while creating, %u creators at work, %u massacres\n"
      "tiles checked under a lease %llu (refused as released %llu), observed %llu (replaced "
      "meanwhile %llu)\n"
      "tiles kept %llu\n"
      "messages between flooders %llu; cells skipped of dead senders %llu, freed of dead receivers "
      "%llu\n"
      "slots back after the last kill: median %.1f ms, p99 %.1f ms, most %.1f ms\n"
      "hangs %u, torn tiles and unexpected ends %u, slots lost %u, objects left %u\n",
      f.rounds, static_cast<unsigned long long>(seed),
      std::chrono::duration<double>(Clock::now() - start).count(), f.kills, f.creation_kills,
      f.creators_killed, f.massacres, static_cast<unsigned long long>(f.checked),
      static_cast<unsigned long long>(f.refused), static_cast<unsigned long long>(f.observed),
      static_cast<unsigned long long>(f.replaced), static_cast<unsigned long long>(f.kept),
      static_cast<unsigned long long>(f.flooded), static_cast<unsigned long long>(f.skipped),
      static_cast<unsigned long long>(f.lost), Quantile(f.back_ms, 0.5), Quantile(f.back_ms, 0.99),
      Quantile(f.back_ms, 1), f.hangs, f.failures, f.slots_lost, f.leaked);
  const bool good = f.hangs + f.failures + f.slots_lost + f.leaked == 0;
  // A harness that checks nothing passes too.
  const bool worked = f.checked > 0 && f.observed > 0 && f.kept > 0 && f.kills > 0;
  return good && worked ? 0 : 1;
}

}  // namespace
}  // namespace tilecast::crash

int main(int argc, char** argv) {
  using namespace tilecast;
  if (argc == 6 && std::strcmp(argv[1], "--role") == 0) {
    return crash::Play(argv[2], std::atoi(argv[3]), std::strtoull(argv[4], nullptr, 10), argv[5]);
  }
  uint32_t rounds = 60;
  uint64_t seed = std::random_device()();
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--rounds") == 0) {
      rounds = static_cast<uint32_t>(std::atoi(argv[i + 1]));
    } else if (std::strcmp(argv[i], "--seed") == 0) {
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: tilecast_crash [--rounds N] [--seed S]\n");
      return 2;
    }
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return crash::Direct(rounds, seed);
}
