// SPDX-License-Identifier: MIT
// Creator, producer, consumer, observer, keeper and flooder: each stamps or checks every pixel that
// it can see.
#include "crash/roles.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <random>
#include <thread>

#include "error.h"
#include "shm/channel.h"
#include "shm/tile_pool.h"

namespace tilecast::crash {
namespace {

constexpr uint32_t kWords = kSlotBytes / sizeof(uint32_t);

uint32_t Pixel(uint64_t tag, uint32_t i) {
  return static_cast<uint32_t>((tag + i) * 0x9E3779B97F4A7C15 >> 32);
}

bool Whole(const uint32_t* words, uint64_t tag) {
  for (uint32_t i = 0; i < kWords; ++i) {
    if (words[i] != Pixel(tag, i)) return false;
  }
  return true;
}

void Nap() {
  std::this_thread::sleep_for(std::chrono::microseconds(200));
}

class Player {
 public:
  Player(Board& board, uint64_t seed, std::string owner)
      : board_(board), random_(seed), owner_(std::move(owner)) {}

  void Create() {
    board_.creating.store(1);
    pool_ = TilePool::Create(kSlotBytes, kSlots);
    work_ = TileChannel::Create(kCells);
    watch_ = TileChannel::Create(kCells);
    std::strcpy(board_.pool, pool_->id().c_str());
    std::strcpy(board_.work, work_->id().c_str());
    std::strcpy(board_.watch, watch_->id().c_str());
    const auto flood = TileChannel::Create(kCells);
    std::strcpy(board_.flood, flood->id().c_str());
    const auto keep = TileChannel::Create(kCells);
    std::strcpy(board_.keep, keep->id().c_str());
    board_.ready.store(1);
    while (!board_.stop.load()) Nap();
  }

  void Produce() {
    Attach(PoolAccess::kWrite);
    std::deque<Loan> held;
    while (!board_.stop.load()) {
      if (board_.pause.load()) {
        for (; !held.empty(); held.pop_front()) pool_->Release(held.front());
        Nap();
        continue;
      }
      Loan loans[2];
      const uint32_t count = random_() % 4 == 0 ? 2 : 1;
      // Reserve before the next wait: a producer that waits while it holds would deadlock by
      // design.
      for (; !held.empty() && held.size() + count > 2; held.pop_front()) {
        pool_->Release(held.front());
      }
      if (count == 1 && !held.empty()) {
        if (!pool_->TryLoan(loans[0])) {
          for (; !held.empty(); held.pop_front()) pool_->Release(held.front());
          continue;
        }
      } else {
        pool_->LoanManyBlocking(count, loans, nullptr);
      }
      for (uint32_t n = 0; n < count; ++n) {
        const uint64_t tag = random_();
        auto* words = reinterpret_cast<uint32_t*>(pool_->data(loans[n].slot));
        for (uint32_t i = 0; i < kWords; ++i) words[i] = Pixel(tag, i);
        TileDescriptor descriptor;
        descriptor.slot = loans[n].slot;
        descriptor.generation = loans[n].generation;
        descriptor.tag = tag;
        watch_->TrySend({&descriptor, 1});
        work_->Send({&descriptor, 1}, &board_.stop);
        if (random_() % 16 == 0) Export(loans[n]);
        if (random_() % 4 == 0) Offer(loans[n], tag);
        held.push_back(loans[n]);
      }
    }
  }

  void Consume() {
    Attach(random_() % 2 == 0 ? PoolAccess::kWrite : PoolAccess::kRead);
    TileDescriptor batch[4];
    while (!board_.stop.load()) {
      const size_t n = work_->Receive(batch, &board_.stop);
      if (n == 0) return;
      for (size_t i = 0; i < n; ++i) {
        const Loan loan{batch[i].slot, batch[i].generation};
        try {
          pool_->AddLease(loan);
        } catch (const Error& error) {
          if (error.code() != Code::kSlotReleased) throw;
          board_.refused.fetch_add(1);
          continue;
        }
        const bool whole =
            Whole(reinterpret_cast<const uint32_t*>(pool_->data(loan.slot)), batch[i].tag) &&
            pool_->IsCurrent(loan);
        if (whole) {
          board_.checked.fetch_add(1);
        } else {
          Torn("a lease", batch[i]);
        }
        pool_->Release(loan);
      }
    }
  }

  void Observe() {
    Attach(PoolAccess::kObserve);
    TileDescriptor batch[4];
    std::vector<uint32_t> copy(kWords);
    while (!board_.stop.load()) {
      const size_t n = watch_->Receive(batch, &board_.stop);
      if (n == 0) return;
      for (size_t i = 0; i < n; ++i) {
        const Loan loan{batch[i].slot, batch[i].generation};
        if (!pool_->IsCurrent(loan)) continue;
        std::memcpy(copy.data(), pool_->data(loan.slot), kSlotBytes);
        if (!pool_->IsCurrent(loan)) {
          board_.replaced.fetch_add(1);
        } else if (Whole(copy.data(), batch[i].tag)) {
          board_.observed.fetch_add(1);
        } else {
          Torn("two looks at the generation", batch[i]);
        }
      }
    }
  }

  // A viewer: maps what it is offered, removes the name, and looks at it again after the pool went
  // on, whether or not the process that offered it has lived to hand it over.
  void Keep() {
    const auto keep = TileChannel::Open(board_.keep);
    struct Plane {
      TileDescriptor offer;
      const uint32_t* words;
    };
    std::deque<Plane> planes;
    const auto let_go = [&](size_t most) {
      for (; planes.size() > most; planes.pop_front()) {
        const Plane& oldest = planes.front();
        if (Whole(oldest.words, oldest.offer.tag)) {
          board_.kept.fetch_add(1);
        } else {
          Torn("what was kept", oldest.offer);
        }
        munmap(const_cast<uint32_t*>(oldest.words), kSlotBytes);
      }
    };
    TileDescriptor batch[4];
    while (!board_.stop.load()) {
      size_t n = 0;
      try {
        n = keep->Receive(batch, &board_.stop);
      } catch (const Error&) {
        let_go(0);
        throw;
      }
      if (n == 0) break;
      for (size_t i = 0; i < n; ++i) {
        const std::string path = "/" + OfferName(batch[i].components[4]);
        const int fd = shm_open(path.c_str(), O_RDONLY, 0);
        if (fd < 0) continue;  // who offered it died, and was cleared up after
        const void* memory = mmap(nullptr, kSlotBytes, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (memory == MAP_FAILED) std::abort();
        const auto* words = static_cast<const uint32_t*>(memory);
        // The name is ours from here on: who offered it hands the object over, or its janitor does.
        // Where the name was taken away before, the offer was over, and perhaps already when it was
        // mapped.
        if (shm_unlink(path.c_str()) != 0) {
          munmap(const_cast<uint32_t*>(words), kSlotBytes);
          continue;
        }
        planes.push_back({batch[i], words});
        if (!Whole(words, batch[i].tag)) Torn("a mapping", batch[i]);
        let_go(6);
      }
    }
    let_go(0);
  }

  // Does nothing but send and receive, so that a kill hits it between the steps of either.
  void Flood() {
    const auto flood = TileChannel::Open(board_.flood);
    flood->SetSpin(0);
    TileDescriptor out[8], in[8];
    for (uint64_t number = random_(); !board_.stop.load();) {
      for (TileDescriptor& d : out) {
        d.tag = ++number;
        d.generation = static_cast<uint32_t>(number);
        d.components[4] = static_cast<int32_t>(number);
      }
      const size_t sent = flood->TrySend(out);
      size_t got = flood->TryReceive(in);
      // Full and nothing to be had: a dead one's cell is in the way, and waiting is what clears it.
      if (sent == 0 && got == 0) got = flood->Receive(in, &board_.stop);
      for (size_t i = 0; i < got; ++i) {
        const bool whole = in[i].generation == static_cast<uint32_t>(in[i].tag) &&
                           in[i].components[4] == static_cast<int32_t>(in[i].tag);
        if (!whole) Torn("a receive", in[i]);
      }
      board_.flooded.fetch_add(got, std::memory_order_relaxed);
    }
  }

 private:
  void Attach(PoolAccess access) {
    pool_ = TilePool::Open(board_.pool, access);
    work_ = TileChannel::Open(board_.work);
    watch_ = TileChannel::Open(board_.watch);
    keep_ = TileChannel::Open(board_.keep);
  }

  void Export(Loan loan) {
    const std::string name = kExportPrefix + owner_ + "-" + std::to_string(random_() % 100000);
    const bool own_name = random_() % 2 == 0;
    try {
      const PoolExport made = pool_->Export(loan, own_name ? name : "");
      if (random_() % 2 == 0) std::this_thread::yield();  // to be killed with it
      pool_->Unexport(made.name);
    } catch (const Error& error) {
      if (error.code() != Code::kInvalidArgument) throw;  // another producer's name
    }
  }

  std::string OfferName(int32_t number) const {
    return kExportPrefix + owner_ + "-k" + std::to_string(number);
  }

  // As a sender that gets no reply: what it offered it hands over.
  void Offer(Loan loan, uint64_t tag) {
    const auto number = static_cast<int32_t>(random_() % 1000000);
    TileDescriptor descriptor;
    descriptor.tag = tag;
    descriptor.components[4] = number;
    try {
      const PoolExport made = pool_->Export(loan, OfferName(number));
      keep_->TrySend({&descriptor, 1});
      if (random_() % 2 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 300));
      pool_->HandOver(made.name);
    } catch (const Error& error) {
      if (error.code() != Code::kInvalidArgument) throw;  // another producer's name
    }
  }

  void Torn(const char* under, const TileDescriptor& d) {
    board_.torn.fetch_add(1);
    std::fprintf(stderr, "torn under %s: slot %u, generation %u\n", under, d.slot, d.generation);
  }

  Board& board_;
  std::mt19937_64 random_;
  const std::string owner_;
  std::shared_ptr<TilePool> pool_;
  std::shared_ptr<TileChannel> work_, watch_, keep_;
};

}  // namespace

Board* MakeBoard(int& fd) {
  if (fd < 0) {
    fd = memfd_create("tilecast-crash", 0);
    if (fd < 0 || ftruncate(fd, sizeof(Board)) != 0) std::abort();
  }
  void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) std::abort();
  return static_cast<Board*>(memory);
}

std::vector<std::string> ListShm(const std::string& prefix) {
  std::vector<std::string> names;
  DIR* dir = opendir("/dev/shm");
  while (const dirent* entry = readdir(dir)) {
    if (std::string(entry->d_name).rfind(prefix, 0) == 0) names.emplace_back(entry->d_name);
  }
  closedir(dir);
  return names;
}

int Play(const std::string& role, int board_fd, uint64_t seed, const std::string& owner) {
  Board& board = *MakeBoard(board_fd);
  Player player(board, seed, owner);
  try {
    if (role == "creator") player.Create();
    if (role == "producer") player.Produce();
    if (role == "consumer") player.Consume();
    if (role == "observer") player.Observe();
    if (role == "flooder") player.Flood();
    if (role == "keeper") player.Keep();
  } catch (const Error& error) {
    // What a survivor may meet: the end of the pool, and being told to stop. Anything else is a
    // failure.
    const Code code = error.code();
    if (code == Code::kCancelled || code == Code::kPoolClosed || code == Code::kPoolNotFound) {
      return 0;
    }
    std::fprintf(stderr, "%s %d: %s\n", role.c_str(), getpid(), error.what());
    return 3;
  }
  return 0;
}

}  // namespace tilecast::crash
