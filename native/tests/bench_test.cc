// SPDX-License-Identifier: MIT
// What measurements work on is right, they leave nothing behind, and their threads' errors come
// out. No rate is asserted.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bench/files.h"
#include "bench/handoff.h"
#include "bench/kernels.h"
#include "bench/lzw_encoder.h"
#include "bench/memory.h"
#include "bench/rate.h"
#include "bench/tiff.h"
#include "bench/zarr.h"
#include "codec/lzw.h"
#include "error.h"
#include "scratch_folder.h"
#include "shm/channel.h"
#include "shm/tile_pool.h"

namespace tilecast::bench {
namespace {

size_t CountFiles(const std::string& folder) {
  const std::filesystem::recursive_directory_iterator all(folder);
  return static_cast<size_t>(std::count_if(
      begin(all), end(all), [](const auto& entry) { return entry.is_regular_file(); }));
}

TEST_CASE("every thread prepares for itself, warms up once and works at least once") {
  std::atomic<int> calls{0};
  std::mutex mutex;
  std::set<std::thread::id> threads;
  const double rate = MeasureRate(3, 0, [&](int) -> Work {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    return [&] {
      ++calls;
      return 1.0;
    };
  });
  CHECK(threads.size() == 3);
  CHECK(calls == 6);
  CHECK(rate > 0);
}

TEST_CASE("an error of one thread ends the others and is thrown, also one of preparing") {
  for (const bool early : {true, false}) {
    auto measure = [&] {
      MeasureRate(3, 60, [&](int thread) -> Work {
        if (early && thread == 2) throw Error(Code::kIo, "no");
        return [&, thread]() -> double {
          if (thread == 1 && !early) throw Error(Code::kIo, "no");
          return 1;
        };
      });
    };
    CHECK_THROWS_WITH_AS(measure(), "no", Error);
  }
}

TEST_CASE("memory: every access gives a rate, from a page on") {
  for (const auto access : {MemoryAccess::kRead, MemoryAccess::kCopy, MemoryAccess::kStreamCopy,
                            MemoryAccess::kFreshShared, MemoryAccess::kWarmShared}) {
    if (!HasAccess(access)) continue;
    CHECK(MeasureMemory(access, 4096, 2, 0) > 0);
    CHECK(MeasureMemory(access, 300'000, 1, 0) > 0);
  }
  CHECK_THROWS_AS(MeasureMemory(MemoryAccess::kCopy, 100, 1, 0), Error);
}

TEST_CASE(
    "files: written files are new ones at each call and are emptied, and what cannot be opened is "
    "an error") {
  const ScratchFolder folder;
  CHECK(MeasureFileWrite(folder.path(), 0, false, 0, 2, 0.01) > 0);
  CHECK(MeasureFileWrite(folder.path(), 100'000, false, 300'000, 2, 0.01) > 0);
  CHECK(MeasureFileWrite(folder.path(), 10'000, true, 1, 1, 0) > 0);
  const size_t before = CountFiles(folder.path());
  CHECK(MeasureFileWrite(folder.path(), 10'000, false, 1, 1, 0) > 0);
  CHECK(CountFiles(folder.path()) == before + 1);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    CHECK(entry.file_size() == 0);
  }
  CHECK_THROWS_AS(MeasureFileWrite(folder.path() + "/absent", 1, false, 1, 2, 0), Error);
  CHECK_THROWS_AS(MeasureFileRead(folder.path() + "/absent", 1, 2, 0), Error);
}

TEST_CASE("LZW: what is encoded is what our decoder, which tifffile's files test, gives back") {
  uint32_t state = 1;
  for (const size_t size : {0, 1, 2, 300, 4000, 70'000, 500'000}) {
    for (const uint32_t values : {1, 3, 256}) {
      std::vector<uint8_t> data(size);
      for (uint8_t& v : data) {
        state = state * 1664525 + 1013904223;
        v = static_cast<uint8_t>((state >> 16) % values);
      }
      const std::vector<uint8_t> encoded = EncodeLzw(data);
      std::vector<uint8_t> back(size + 1);
      LzwDecoder decoder;
      CHECK(decoder.Decode(encoded.data(), encoded.size(), back.data(), back.size()) == size);
      back.resize(size);
      CHECK(back == data);
    }
  }
}

TEST_CASE(
    "TIFF: every compression is written, read and decoded alone, with a last strip that is short") {
  const ScratchFolder folder;
  for (const std::string compression : {"none", "deflate", "lzw", "zstd"}) {
    for (const int64_t side : {16, 100}) {
      const std::string path = folder.path() + "/" + compression + ".tif";
      const uint64_t bytes = WriteTestTiff(path, compression, side);
      CHECK(bytes == std::filesystem::file_size(path));
      CHECK(MeasureTiffRead(path, 2, 0) > 0);
      if (compression == "none") {
        CHECK_THROWS_AS(MeasureTiffCodec(path, 1, 0), Error);
      } else {
        CHECK(MeasureTiffCodec(path, 2, 0) > 0);
      }
    }
  }
  CHECK_THROWS_AS(WriteTestTiff(folder.path() + "/x.tif", "jpeg", 64), Error);
}

TEST_CASE("Zarr: planes go round within the bytes allowed") {
  const ScratchFolder folder;
  const ZarrEncoding encoding;
  CHECK(ZarrPlaneBytes(folder.path() + "/one", 64, encoding) > 0);
  CHECK(MeasureZarrWrite(folder.path() + "/many", 64, encoding, 3 * 2 * 64 * 64, 1, 0.02) > 0);
  CHECK(CountFiles(folder.path() + "/many") <= 3);
}

TEST_CASE("kernels: all that are listed are measured, others refused") {
  for (const KernelInfo& kernel : MeasuredKernels()) {
    CHECK(MeasureKernel(std::string(kernel.name), 64, 2, 0) > 0);
  }
  CHECK_THROWS_AS(MeasureKernel("sobel", 64, 1, 0), Error);
}

TEST_CASE("hand-offs: every tile that goes to and fro is the one that was sent") {
  for (const auto kind : {HandoffKind::kTile, HandoffKind::kLine, HandoffKind::kFutex}) {
    const auto pool = TilePool::Create(4096, 4);
    const auto out = TileChannel::Create(8), in = TileChannel::Create(8);
    const HandoffEnds ends{kind, pool->id(), out->id(), in->id(), 100};
    std::thread other([&] { HandoffEcho({kind, pool->id(), in->id(), out->id(), 100}); });
    CHECK(HandoffPing(ends, 0.01) > 0);
    HandoffStop(ends);
    out->Close();
    other.join();
    CHECK(pool->Stats().free == 4);
  }
}

TEST_CASE("a flood ends with its channel, and all that it sent was taken or is there") {
  const auto channel = TileChannel::Create(64);
  double sent = 0;
  std::thread flood([&] { sent = HandoffFlood(channel->id()); });
  std::vector<TileDescriptor> batch(64);
  uint64_t next = 1;
  while (next < 5000) {
    const size_t n = channel->Receive(batch, nullptr);
    for (size_t i = 0; i < n; ++i) REQUIRE(batch[i].tag == next++);
  }
  channel->Close();
  flood.join();
  CHECK(sent >= 4096);
}

TEST_CASE("slots are filled without a page fault") {
  if (!HasAccess(MemoryAccess::kStreamCopy)) return;
  CHECK(MeasureSlotFill(1 << 20, 4, true, 0) > 0);
  CHECK(MeasureSlotFill(1 << 20, 4, false, 0) > 0);
}

}  // namespace
}  // namespace tilecast::bench
