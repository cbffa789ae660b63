// SPDX-License-Identifier: MIT
// The GPU engine on SwiftShader: what goes in comes out right, by every way, and what fails says
// so.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "gpu_support.h"
#include "pool_support.h"
#include "shm/tile_pool.h"

namespace tilecast::gpu {
namespace {

using testing::OpenEngine;
using testing::SharedEngine;
using tilecast::testing::Catch;

// Slots of shared memory, as a pool's.
class Slots {
 public:
  Slots(uint64_t slot_bytes, uint32_t slots) : slot_bytes_(slot_bytes), slots_(slots) {
    memory_ = static_cast<std::byte*>(mmap(nullptr, slot_bytes * slots, PROT_READ | PROT_WRITE,
                                           MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~Slots() { munmap(memory_, slot_bytes_ * slots_); }
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  uint32_t* words(uint32_t slot) const {
    return reinterpret_cast<uint32_t*>(memory_ + slot * slot_bytes_);
  }
  // Puts other memory in the place of a slot, as a pool does after a hand-over.
  void Replace(uint32_t slot) {
    REQUIRE(mmap(memory_ + slot * slot_bytes_, slot_bytes_, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    ++epoch_;
  }
  HostMemory memory() {
    return {memory_, slot_bytes_, slots_, [this](uint32_t) { return epoch_.load(); }};
  }

 private:
  std::byte* memory_ = nullptr;
  uint64_t slot_bytes_;
  uint32_t slots_;
  std::atomic<uint64_t> epoch_{0};
};

void Fill(uint32_t* words, uint32_t count, uint32_t seed) {
  for (uint32_t i = 0; i < count; ++i) words[i] = (i + seed) * 2654435761U;
}

// One request of random words through `factors`, with fresh memory.
void RoundTrip(Engine& engine, uint32_t words, const std::vector<uint32_t>& factors,
               uint32_t seed) {
  std::vector<uint32_t> in(words), out(words, 0xdeadbeef);
  Fill(in.data(), words, seed);
  Request request{testing::TripleRecipe(words, factors),
                  {testing::WordPlane(in.data(), words)},
                  {testing::WordPlane(out.data(), words)}};
  engine.Run(request);
  testing::ExpectTriple(in.data(), out.data(), words, factors);
}

TEST_CASE("gpu: planes of every size come back right through staging") {
  for (const uint32_t words : {1U, 2U, 63U, 64U, 1000U, 4096U, 65537U, 1'500'000U}) {
    CAPTURE(words);
    RoundTrip(SharedEngine(), words, {3}, words);
    RoundTrip(SharedEngine(), words, {3, 5, 7, 11}, words);
  }
}

TEST_CASE("gpu: registered planes go without a copy of the CPU's, by either way") {
  constexpr uint32_t kWords = 300'000;
  for (const PlaneAccess access : {PlaneAccess::kBind, PlaneAccess::kCopy}) {
    Slots slots(2 << 20, 4);
    EngineOptions options;
    options.planes = access;
    const auto engine = OpenEngine(options);
    REQUIRE(engine->facts().host_mapped);
    REQUIRE(engine->access() == access);
    engine->Register(slots.memory());
    for (uint32_t round = 0; round < 6; ++round) {
      const uint32_t from = round % 4, to = (round + 1) % 4;
      Fill(slots.words(from), kWords, round);
      Request request{testing::TripleRecipe(kWords, {3, 5}),
                      {testing::WordPlane(slots.words(from), kWords)},
                      {testing::WordPlane(slots.words(to), kWords)}};
      engine->Run(request);
      testing::ExpectTriple(slots.words(from), slots.words(to), kWords, {3, 5});
    }
    CHECK(engine->stats().bytes_up == 0);
    CHECK(engine->stats().bytes_down == 0);
    CHECK(engine->stats().imports == 4);
    engine->Forget(slots.memory().base);
  }
}

TEST_CASE("gpu: a slot whose memory was replaced is imported anew") {
  constexpr uint32_t kWords = 5000;
  Slots slots(1 << 16, 2);
  const auto engine = OpenEngine();
  engine->Register(slots.memory());
  for (uint32_t round = 0; round < 5; ++round) {
    Fill(slots.words(0), kWords, round);
    Request request{testing::TripleRecipe(kWords, {3}),
                    {testing::WordPlane(slots.words(0), kWords)},
                    {testing::WordPlane(slots.words(1), kWords)}};
    engine->Run(request);
    testing::ExpectTriple(slots.words(0), slots.words(1), kWords, {3});
    slots.Replace(0);
    slots.Replace(1);
  }
  CHECK(engine->stats().stale_imports == 8);
  engine->Forget(slots.memory().base);
}

TEST_CASE("gpu: a pool's slot that was handed over is not written any more") {
  constexpr uint32_t kWords = 5000;
  const auto pool = TilePool::Create(kWords * 4, 2);
  const auto engine = OpenEngine();
  engine->Register(MemoryOf(*pool));
  const auto words = [&](const Loan& loan) {
    return reinterpret_cast<uint32_t*>(pool->data(loan.slot));
  };
  std::vector<std::vector<uint32_t>> kept;  // what readers saw
  std::vector<const uint32_t*> handed;      // what they map
  for (uint32_t round = 0; round < 4; ++round) {
    const Loan from = pool->LoanBlocking(nullptr), to = pool->LoanBlocking(nullptr);
    Fill(words(from), kWords, round);
    Request request{testing::TripleRecipe(kWords, {3}),
                    {testing::WordPlane(words(from), kWords)},
                    {testing::WordPlane(words(to), kWords)}};
    engine->Run(request);
    testing::ExpectTriple(words(from), words(to), kWords, {3});
    const PoolExport made = pool->Export(to);
    if (!made.copied) {
      const int fd = shm_open(("/" + made.name).c_str(), O_RDONLY, 0);
      REQUIRE(fd >= 0);
      void* const seen = mmap(nullptr, kWords * 4, PROT_READ, MAP_SHARED, fd, 0);
      REQUIRE(seen != MAP_FAILED);
      close(fd);
      handed.push_back(static_cast<const uint32_t*>(seen));
      kept.emplace_back(handed.back(), handed.back() + kWords);
    }
    CHECK(pool->HandOver(made.name));
    pool->Release(to);
    pool->Release(from);
  }
  for (size_t n = 0; n < handed.size(); ++n) {
    CHECK(std::equal(kept[n].begin(), kept[n].end(), handed[n]));
    munmap(const_cast<uint32_t*>(handed[n]), kWords * 4);
  }
  CHECK(engine->stats().bytes_up == 0);
  if (!handed.empty()) CHECK(engine->stats().stale_imports >= 2);
  engine->Forget(pool->base());
}

TEST_CASE("gpu: a process may exit while requests are in flight") {
  testing::UseSoftwareAdapter();
  constexpr const char* kChild = "TILECAST_TEST_GPU_EXIT";
  if (std::getenv(kChild) == nullptr) {
    char self[4096] = {};
    REQUIRE(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    const std::string command =
        std::string(kChild) + "=1 exec '" + self + "' -tc='gpu: a process may exit*' > /dev/null";
    const int status = std::system(command.c_str());
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    return;
  }
  static const auto engine = OpenEngine();
  for (uint32_t t = 0; t < 4; ++t) {
    std::thread([t] {
      std::vector<uint32_t> in(50'000), out(50'000);
      Request request{testing::TripleRecipe(50'000, {3 + t, 5}),
                      {testing::WordPlane(in.data(), 50'000)},
                      {testing::WordPlane(out.data(), 50'000)}};
      try {
        for (;;) engine->Run(request);
      } catch (const Error&) {
        // Closed: the process is ending, and waits for nobody.
        for (;;) pause();
      }
    }).detach();
  }
  while (engine->stats().requests < 50) std::this_thread::yield();
  std::exit(7);
}

TEST_CASE("gpu: an output may lie where its input does") {
  constexpr uint32_t kWords = 5000;
  Slots slots(1 << 16, 1);
  Engine& engine = SharedEngine();
  engine.Register(slots.memory());
  std::vector<uint32_t> before(kWords);
  Fill(before.data(), kWords, 1);
  std::copy(before.begin(), before.end(), slots.words(0));
  const Plane plane = testing::WordPlane(slots.words(0), kWords);
  Request request{testing::TripleRecipe(kWords, {3}), {plane}, {plane}};
  engine.Run(request);
  testing::ExpectTriple(before.data(), slots.words(0), kWords, {3});
  engine.Forget(slots.memory().base);
}

TEST_CASE("gpu: requests of eight threads go together and come back each to its own") {
  Slots slots(1 << 16, 16);
  const auto engine = OpenEngine();
  engine->Register(slots.memory());
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t round = 0; round < 25; ++round) {
        RoundTrip(*engine, 100 + 977 * t, {3 + t, 5}, round);
        const uint32_t words = 10'000 + t;
        Fill(slots.words(2 * t), words, round);
        Request request{testing::TripleRecipe(words, {t}),
                        {testing::WordPlane(slots.words(2 * t), words)},
                        {testing::WordPlane(slots.words(2 * t + 1), words)}};
        engine->Run(request);
        testing::ExpectTriple(slots.words(2 * t), slots.words(2 * t + 1), words, {t});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const EngineStats stats = engine->stats();
  CHECK(stats.requests == 400);
  CHECK(stats.submits < stats.requests);
  CHECK(stats.pipelines == 1);
  CHECK(stats.imports == 16);
  engine->Forget(slots.memory().base);
}

TEST_CASE("gpu: a kernel that does not compile fails its request alone, with the pass and why") {
  auto broken = std::make_shared<Recipe>(*testing::TripleRecipe(100, {3, 5}));
  broken->passes[1].name = "smudge";
  broken->passes[1].wgsl = std::make_shared<const std::string>("fn main() { let a: u32 = 1.5; }");
  std::vector<uint32_t> in(100), out(100);
  Engine& engine = SharedEngine();
  std::thread other([&] {
    for (uint32_t round = 0; round < 20; ++round) RoundTrip(engine, 1000, {3}, round);
  });
  for (int round = 0; round < 10; ++round) {
    Request request{
        broken, {testing::WordPlane(in.data(), 100)}, {testing::WordPlane(out.data(), 100)}};
    const auto caught = Catch([&] { engine.Run(request); });
    REQUIRE(caught);
    CHECK(caught->code == Code::kGpuFailed);
    CHECK(caught->message.find("the pass \"smudge\"") != std::string::npos);
    INFO(caught->message);
    CHECK(caught->message.find("cannot convert value of type") != std::string::npos);
  }
  other.join();
}

TEST_CASE("gpu: buffers beyond the adapter's limit, and too many of them, are refused") {
  Engine& engine = SharedEngine();
  const uint64_t most = engine.facts().max_binding_bytes;
  auto recipe = std::make_shared<Recipe>(*testing::TripleRecipe(100, {3, 5}));
  recipe->buffers[2].bytes = most + 4;
  std::vector<uint32_t> in(100), out(100);
  Request request{
      recipe, {testing::WordPlane(in.data(), 100)}, {testing::WordPlane(out.data(), 100)}};
  auto caught = Catch([&] { engine.Run(request); });
  REQUIRE(caught);
  CHECK(caught->code == Code::kGpuFailed);
  CHECK(caught->message.find(std::to_string(most) + ", and " + std::to_string(most + 4)) !=
        std::string::npos);

  recipe = std::make_shared<Recipe>(*testing::TripleRecipe(100, {3}));
  while (recipe->passes[0].buffers.size() <= engine.facts().max_buffers_in_pass) {
    recipe->passes[0].buffers.push_back(static_cast<int>(recipe->buffers.size()));
    recipe->passes[0].writes.push_back(false);
    recipe->buffers.push_back({Buffer::Kind::kTemporary, 400});
  }
  request.recipe = recipe;
  caught = Catch([&] { engine.Run(request); });
  REQUIRE(caught);
  CHECK(caught->message.find("number of buffers in a pass") != std::string::npos);
  RoundTrip(engine, 1000, {3}, 1);
}

TEST_CASE("gpu: what the device refuses only when it runs names its pass, and spares the others") {
  // Bound memory that is smaller than the kernel's type.
  auto small = std::make_shared<Recipe>(*testing::TripleRecipe(4, {3, 5}));
  auto text = std::string(*testing::TripleText());
  text.replace(text.find("given: array<u32>"), 17, "given: array<u32, 64>");
  small->passes[1].name = "needs more";
  small->passes[1].wgsl = std::make_shared<const std::string>(text);
  Engine& engine = SharedEngine();
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t round = 0; round < 10; ++round) RoundTrip(engine, 1000, {3 + t}, round);
    });
  }
  std::vector<uint32_t> in(4), out(4);
  for (int round = 0; round < 10; ++round) {
    Request request{small, {testing::WordPlane(in.data(), 4)}, {testing::WordPlane(out.data(), 4)}};
    const auto caught = Catch([&] { engine.Run(request); });
    REQUIRE(caught);
    CHECK(caught->code == Code::kGpuFailed);
    CHECK(caught->message.find("the GPU refuses the pass \"needs more\"") != std::string::npos);
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("gpu: a lost device is replaced, and its requests are done again without a wrong word") {
  Slots slots(1 << 20, 16);
  const auto engine = OpenEngine();
  engine->Register(slots.memory());
  std::atomic<int> running{8};
  std::vector<std::thread> threads;
  std::atomic<int> lost_twice{0};
  for (uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const uint32_t words = 200'000 + t;
      for (uint32_t round = 0; round < 12; ++round) {
        try {
          RoundTrip(*engine, 50'000 + t, {3, 5}, round);
          Fill(slots.words(2 * t), words, round);
          Request request{testing::TripleRecipe(words, {t, 7}),
                          {testing::WordPlane(slots.words(2 * t), words)},
                          {testing::WordPlane(slots.words(2 * t + 1), words)}};
          engine->Run(request);
          testing::ExpectTriple(slots.words(2 * t), slots.words(2 * t + 1), words, {t, 7});
        } catch (const Error& error) {
          CHECK(error.code() == Code::kGpuFailed);
          CHECK(std::string(error.what()).find("lost twice") != std::string::npos);
          ++lost_twice;
        }
      }
      --running;
    });
  }
  uint64_t asked = 0;
  while (running.load() > 0 && asked < 5) {
    // The next loss only after the one before, and some work in between.
    const EngineStats stats = engine->stats();
    if (stats.devices_lost == asked && stats.requests > asked * 20) {
      engine->LoseDevice();
      ++asked;
    }
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(engine->stats().devices_lost >= 3);
  CHECK(engine->stats().redone > 0);
  CHECK(lost_twice.load() == 0);
  engine->Forget(slots.memory().base);
}

TEST_CASE("gpu: closing ends what waits, and a closed engine says so") {
  const auto engine = OpenEngine();
  std::vector<std::thread> threads;
  std::atomic<int> closed{0};
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t round = 0;; ++round) {
        const auto caught = Catch([&] { RoundTrip(*engine, 30'000, {3 + t}, round); });
        if (!caught) continue;
        CHECK(caught->message == "the GPU engine was closed");
        ++closed;
        break;
      }
    });
  }
  while (engine->stats().requests < 20) std::this_thread::yield();
  engine->Close();
  for (std::thread& thread : threads) thread.join();
  CHECK(closed.load() == 4);
  engine->Close();
}

TEST_CASE("gpu: without a driver, or a library, the error says what was tried and what helps") {
  testing::UseSoftwareAdapter();
  const auto opens = [](const char* drivers, const char* library) {
    const std::string before = std::getenv("VK_ICD_FILENAMES");
    setenv("VK_ICD_FILENAMES", drivers, 1);
    EngineOptions options;
    options.library = library;
    const auto caught = Catch([&] { static_cast<void>(Engine::Open(options)); });
    setenv("VK_ICD_FILENAMES", before.c_str(), 1);
    REQUIRE(caught);
    CHECK(caught->code == Code::kGpuUnavailable);
    return caught->message;
  };
  const std::string none = opens("/nowhere/driver.json", "");
  CHECK(none.find("finds no Vulkan adapter") != std::string::npos);
  CHECK(none.find("VK_ICD_FILENAMES is \"/nowhere/driver.json\"") != std::string::npos);
  CHECK(none.find("libvulkan1") != std::string::npos);
  const std::string lost = opens("", "/nowhere/libdawn.so");
  CHECK(lost.find("/nowhere/libdawn.so: cannot open shared object file") != std::string::npos);
  CHECK(lost.find("TILECAST_DAWN") != std::string::npos);
  const std::string other = opens("", "libm.so.6");
  CHECK(other.find("of another revision of Dawn") != std::string::npos);
}

TEST_CASE("gpu: an adapter is chosen by a part of its name, and a wrong name lists what there is") {
  EngineOptions options;
  options.adapter = "swiftshader";
  CHECK(OpenEngine(options)->facts().software);
  options.adapter = "GeForce";
  const auto caught = Catch([&] { static_cast<void>(Engine::Open(options)); });
  REQUIRE(caught);
  CHECK(caught->code == Code::kGpuUnavailable);
  CHECK(caught->message.find("no GPU's name has \"GeForce\" in it; there is SwiftShader") == 0);
}

}  // namespace
}  // namespace tilecast::gpu
