// SPDX-License-Identifier: MIT
// Tiles for viewers: given without a copy, at most so many at once, and never at the run's expense.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "exec_support.h"
#include "tiff/tiff_reader.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint64_t kSlotBytes = kSide * kSide * 4;
constexpr uint32_t kPeak = 3;  // slots of one job of SegmentProgram

// SegmentProgram, whose image is view 0 and whose labels are view 1, with outlines and centroids.
Program ViewedProgram() {
  Program p = SegmentProgram();
  const auto after = [&](OpKind kind, int reg, OpKind viewer, int view, int output) {
    const auto at = std::find_if(p.code.begin(), p.code.end(),
                                 [&](const Instruction& op) { return op.kind == kind; });
    Instruction op = Make(viewer, reg, -1);
    op.view = view;
    op.output = output;
    p.code.insert(at + 1, op);
  };
  after(OpKind::kWriteImage, 0, OpKind::kView, 0, 0);
  after(OpKind::kWriteLabels, 2, OpKind::kCentroids, 1, -1);
  after(OpKind::kWriteLabels, 2, OpKind::kOutline, 1, -1);
  after(OpKind::kWriteLabels, 2, OpKind::kView, 1, 1);
  return p;
}

std::vector<Job> Jobs(const ScratchFolder& folder, int count) {
  std::vector<Job> jobs;
  for (int n = 0; n < count; ++n) jobs.push_back(MakeJob(folder, n % 8));
  return jobs;
}

ExecutorOptions ViewOptions(int threads, int view_slots, double wait_ms = 0) {
  ExecutorOptions options = Options(threads);
  options.view_slots = view_slots;
  options.view_wait_ms = wait_ms;
  return options;
}

struct Viewed {
  Viewed(int threads, int view_slots, double wait_ms = 0)
      : pool(TilePool::Create(kSlotBytes, kPeak * static_cast<uint32_t>(threads) +
                                              static_cast<uint32_t>(view_slots))),
        executor(pool, ViewOptions(threads, view_slots, wait_ms)),
        collector(executor) {
    for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
    executor.AddProgram(ViewedProgram());
  }
  std::vector<JobResult> Run(int count) {
    executor.Start(Jobs(folder, count), collector.OnResults(), [](FunctionCall*) {});
    std::vector<JobResult> results = collector.WaitForAll();
    executor.Join();
    std::sort(results.begin(), results.end(), [](auto& a, auto& b) { return a.job < b.job; });
    return results;
  }
  // The oracle: max projection of the two planes of job n, read again.
  std::vector<uint16_t> Expected(int n) {
    std::vector<uint16_t> out(kSide * kSide), next(kSide * kSide);
    for (int k = 0; k < 2; ++k) {
      TiffReader reader;
      reader.Open(folder.path() + "/plane" + std::to_string((n + k) % 4) + ".tif");
      reader.ReadPlane(0, 0, PackedPlane(next.data(), DType::kU16, kSide, kSide));
      for (size_t i = 0; i < out.size(); ++i) out[i] = std::max(out[i], next[i]);
    }
    return out;
  }

  ScratchFolder folder;
  std::shared_ptr<TilePool> pool;
  Executor executor;
  Collector collector;
};

}  // namespace

TEST_CASE("a viewed tile stays as it was written, whatever its slot's job did afterwards") {
  Viewed run(2, 40);
  const auto results = run.Run(20);
  REQUIRE(results.size() == 20);
  CHECK(run.pool->Stats().free == run.pool->slots() - 40);
  for (int n = 0; n < 20; ++n) {
    const JobResult& r = results[static_cast<size_t>(n)];
    REQUIRE_MESSAGE(r.ok, r.message);
    REQUIRE(r.views.size() == 2);
    const ViewResult& image = r.views[0];
    CHECK(image.view == 0);
    CHECK(image.dtype == DType::kU16);
    CHECK(image.height == kSide);
    CHECK(image.width == kSide);
    REQUIRE(run.pool->IsCurrent(image.loan));
    const auto expected = run.Expected(n % 8);
    CHECK(std::memcmp(run.pool->data(image.loan.slot), expected.data(), expected.size() * 2) == 0);
    const ViewResult& labels = r.views[1];
    CHECK(labels.view == 1);
    CHECK(labels.dtype == DType::kI32);
    const auto* pixels = reinterpret_cast<const int32_t*>(run.pool->data(labels.loan.slot));
    CHECK(std::count(pixels, pixels + kSide * kSide, 0) < kSide * kSide);
    REQUIRE(r.outlines.size() == 1);
    CHECK(r.outlines[0].view == 1);
    CHECK(r.outlines[0].outlines.labels == std::vector<int32_t>{1, 2});
    REQUIRE(r.centroids.size() == 1);
    CHECK(r.centroids[0].labels == std::vector<int32_t>{1, 2});
    // Each object is there where its centroid is: both are convex.
    for (size_t i = 0; i < 2; ++i) {
      const auto y = static_cast<int64_t>(r.centroids[0].points[2 * i]);
      const auto x = static_cast<int64_t>(r.centroids[0].points[2 * i + 1]);
      CHECK(pixels[y * kSide + x] == static_cast<int32_t>(i) + 1);
    }
  }
  for (const JobResult& r : results) {
    for (const ViewResult& view : r.views) run.pool->Release(view.loan);
  }
  CHECK(run.pool->Stats().free == run.pool->slots());
  CHECK(run.executor.Views().given == 40);
  CHECK(run.executor.Views().held == 0);
}

TEST_CASE("viewers that give nothing back do not stop the run, which goes on without tiles") {
  for (const int threads : {1, 4}) {
    Viewed run(threads, 3);
    const auto results = run.Run(60);
    REQUIRE(results.size() == 60);
    size_t tiles = 0;
    for (const JobResult& r : results) {
      REQUIRE_MESSAGE(r.ok, r.message);
      tiles += r.views.size();
      CHECK(r.outlines.size() == 1);
    }
    CHECK(tiles <= 3);
    CHECK(tiles > 0);
    const ViewStats stats = run.executor.Views();
    CHECK(stats.given == tiles);
    CHECK(stats.refused >= 120 - 3);
    CHECK(stats.held == static_cast<int>(tiles));
    CHECK(stats.waited_ms == 0);
    CHECK(run.pool->Stats().free == run.pool->slots() - tiles);
  }
}

TEST_CASE("a tile's credit comes back when its last lease ends, without being told") {
  Viewed run(1, 2);
  auto results = run.Run(1);
  REQUIRE(results[0].views.size() == 2);
  const Loan image = results[0].views[0].loan, labels = results[0].views[1].loan;
  run.pool->AddLease(image);  // a second viewer
  run.pool->Release(image);
  CHECK(run.Run(1)[0].views.empty());
  run.pool->Release(image);
  results = run.Run(1);
  REQUIRE(results[0].views.size() == 1);
  CHECK(results[0].views[0].view == 0);
  run.pool->Release(results[0].views[0].loan);
  run.pool->Release(labels);
  CHECK(run.Run(1)[0].views.size() == 2);
}

TEST_CASE("a job that fails or is cancelled gives no tile and keeps no slot") {
  Viewed run(2, 8);
  std::filesystem::resize_file(run.folder.path() + "/plane3.tif", 300);  // jobs 2, 3, 6 and 7
  std::vector<JobResult> results = run.Run(8);
  int failed = 0;
  const auto give_back = [&] {
    for (const JobResult& r : results) {
      if (!r.ok) CHECK(r.views.empty());
      failed += r.ok ? 0 : 1;
      for (const ViewResult& view : r.views) run.pool->Release(view.loan);
    }
    CHECK(run.pool->Stats().free == run.pool->slots());
  };
  give_back();
  CHECK(failed == 4);
  run.executor.Start(Jobs(run.folder, 400), run.collector.OnResults(), [](FunctionCall*) {});
  run.executor.Cancel();
  results = run.collector.WaitForAll();
  run.executor.Join();
  give_back();
}

TEST_CASE("what is stored with another dtype is given as it is stored, and no slot is lost") {
  Viewed run(1, 2);
  std::vector<Job> jobs = Jobs(run.folder, 1);
  jobs[0].outputs[0].dtype = DType::kF32;
  run.executor.Start(jobs, run.collector.OnResults(), [](FunctionCall*) {});
  auto results = run.collector.WaitForAll();
  run.executor.Join();
  REQUIRE(results[0].views.size() == 2);
  const ViewResult& image = results[0].views[0];
  CHECK(image.dtype == DType::kF32);
  const auto* pixels = reinterpret_cast<const float*>(run.pool->data(image.loan.slot));
  const auto expected = run.Expected(0);
  CHECK(std::equal(expected.begin(), expected.end(), pixels));
  for (const ViewResult& view : results[0].views) run.pool->Release(view.loan);
  CHECK(run.pool->Stats().free == run.pool->slots());
}

TEST_CASE("what is stored with another size, or would not fit a slot, is not given") {
  for (const bool size : {true, false}) {
    Viewed run(1, 2);
    std::vector<Job> jobs = Jobs(run.folder, 1);
    if (size) {
      jobs[0].outputs[0].height = 2 * kSide;
    } else {
      jobs[0].outputs[0].dtype = DType::kF64;
      jobs[0].outputs[0].levels = 1;
    }
    run.executor.Start(jobs, run.collector.OnResults(), [](FunctionCall*) {});
    auto results = run.collector.WaitForAll();
    run.executor.Join();
    REQUIRE_MESSAGE(results[0].ok, results[0].message);
    REQUIRE(results[0].views.size() == 1);
    CHECK(results[0].views[0].view == 1);
    run.pool->Release(results[0].views[0].loan);
    CHECK(run.pool->Stats().free == run.pool->slots());
    CHECK(run.Run(1)[0].views.size() == 2);
  }
}

TEST_CASE("waiting for viewers uses up its budget and no more, and ends when a tile comes back") {
  Viewed run(2, 2, 60);
  auto results = run.Run(20);
  ViewStats stats = run.executor.Views();
  CHECK(stats.waited_ms >= 60);
  CHECK(stats.given == 2);
  for (const JobResult& r : results) CHECK(r.ok);

  // A viewer that lets go while the run goes on gets every tile: the budget here is an hour.
  Viewed patient(2, 2, 3.6e6);
  std::mutex mutex;
  std::condition_variable ready;
  std::vector<JobResult> all;
  patient.executor.Start(
      Jobs(patient.folder, 50),
      [&] {
        const std::lock_guard lock(mutex);
        ready.notify_one();
      },
      [](FunctionCall*) {});
  for (bool finished = false; !finished;) {
    std::unique_lock lock(mutex);
    ready.wait_for(lock, std::chrono::milliseconds(50));
    lock.unlock();
    for (JobResult& r : patient.executor.Drain(&finished)) {
      for (const ViewResult& view : r.views) patient.pool->Release(view.loan);
      all.push_back(std::move(r));
    }
  }
  REQUIRE(all.size() == 50);
  CHECK(std::all_of(all.begin(), all.end(), [](const JobResult& r) { return r.ok; }));
  CHECK(std::none_of(all.begin(), all.end(), [](const JobResult& r) { return r.views.empty(); }));
}

TEST_CASE("cancelling ends a wait for viewers") {
  Viewed run(1, 1, 3.6e6);
  run.executor.Start(Jobs(run.folder, 10), run.collector.OnResults(), [](FunctionCall*) {});
  // The first job holds the only tile from here on; the second waits for an hour, or for this.
  bool finished = false;
  std::vector<JobResult> results;
  while (results.empty()) {
    results = run.executor.Drain(&finished);
    std::this_thread::yield();
  }
  run.executor.Cancel();
  run.executor.Join();
  CHECK(run.executor.Views().given >= 1);
}

TEST_CASE("results that nobody takes give their tiles back with the executor") {
  const ScratchFolder folder;
  for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
  const auto pool = TilePool::Create(kSlotBytes, kPeak + 4);
  {
    Executor executor(pool, ViewOptions(1, 4));
    executor.AddProgram(ViewedProgram());
    executor.Start(Jobs(folder, 2), [] {}, [](FunctionCall*) {});
    executor.Join();
    CHECK(pool->Stats().free == kPeak);
  }
  CHECK(pool->Stats().free == pool->slots());
}

TEST_CASE("a slot whose memory a viewer keeps counts as held until the pool has replaced it") {
  Viewed run(1, 2);
  auto results = run.Run(1);
  REQUIRE(results[0].views.size() == 2);
  for (const ViewResult& view : results[0].views) {
    const PoolExport name = run.pool->Export(view.loan);
    run.pool->Release(view.loan);
    CHECK(run.pool->HandOver(name.name));
  }
  // Whether or not the fresh objects are there yet, the job has what it needs; once they are, it
  // gives tiles again.
  for (size_t given = 0; given < 2;) {
    results = run.Run(1);
    REQUIRE_MESSAGE(results[0].ok, results[0].message);
    given = results[0].views.size();
    for (const ViewResult& view : results[0].views) run.pool->Release(view.loan);
    std::this_thread::yield();
  }
  CHECK(run.pool->Stats().missing == 0);
}

TEST_CASE("a pool that has no room for viewers beside a job is refused") {
  const auto pool = TilePool::Create(kSlotBytes, kPeak + 3);
  Executor executor(pool, ViewOptions(1, 4));
  CHECK_THROWS_WITH(executor.AddProgram(ViewedProgram()),
                    "a job of this pipeline needs 3 slots at once, viewers may hold 4 more, and "
                    "the pool has 6");
}

TEST_CASE("without view slots a program with views runs as one without") {
  Viewed run(2, 0);
  const auto results = run.Run(10);
  for (const JobResult& r : results) {
    CHECK(r.ok);
    CHECK(r.views.empty());
  }
  CHECK(run.pool->Stats().free == run.pool->slots());
}
