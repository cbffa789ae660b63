// SPDX-License-Identifier: MIT
// Programs and the executor: slots reserved, results and failures reported once each, everything
// given back.
#include <doctest/doctest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "exec/executor.h"
#include "scratch_folder.h"
#include "tiff_fixture.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

namespace {

constexpr int64_t kSide = 48;

// Two bright squares on a dim slope; `seed` moves them a little.
std::string MakePlane(const std::string& folder, int seed) {
  std::string data;
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      const bool a = y >= 5 + seed % 3 && y < 15 && x >= 5 && x < 15;
      const bool b = y >= 30 && y < 40 && x >= 28 && x < 42;
      const auto v = static_cast<uint16_t>((a || b ? 1000 : 100) + x);
      data += static_cast<char>(v & 0xff);
      data += static_cast<char>(v >> 8);
    }
  }
  TiffFixture tiff;
  tiff.Grey(kSide, kSide, 16, kSide, 1, {data});
  tiff.Page();
  const std::string path = folder + "/plane" + std::to_string(seed) + ".tif";
  tiff.Save(path);
  return path;
}

Instruction Make(OpKind kind, int in, int out) {
  Instruction op;
  op.kind = kind;
  op.in = in;
  op.out = out;
  op.stage = "test";
  return op;
}

// project(2 planes) -> write -> gaussian -> otsu + label -> write -> measure
Program SegmentProgram() {
  Program p;
  Instruction project = Make(OpKind::kProject, -1, 0);
  project.sources = {0, 1};
  p.code.push_back(project);
  Instruction image = Make(OpKind::kWriteImage, 0, -1);
  image.output = 0;
  p.code.push_back(image);
  Instruction gaussian = Make(OpKind::kGaussian, 0, 1);
  gaussian.a = 1.5;
  p.code.push_back(gaussian);
  Instruction label = Make(OpKind::kLabel, 1, 2);
  label.method = ThresholdMethod::kOtsu;
  p.code.push_back(label);
  Instruction labels = Make(OpKind::kWriteLabels, 2, -1);
  labels.output = 1;
  p.code.push_back(labels);
  Instruction measure = Make(OpKind::kMeasure, 2, -1);
  measure.inputs = {0};
  measure.columns = {
      {Column::Kind::kLabel, -1}, {Column::Kind::kArea, -1}, {Column::Kind::kMax, 0}};
  p.code.push_back(measure);
  p.registers = 3;
  return p;
}

Job MakeJob(const ScratchFolder& folder, int n) {
  Job job;
  job.index = n;
  for (int k = 0; k < 2; ++k) {
    job.sources.push_back({folder.path() + "/plane" + std::to_string((n + k) % 4) + ".tif", 0, 0,
                           kSide, kSide, DType::kU16});
  }
  const std::string dir = folder.path() + "/out/" + std::to_string(n);
  job.outputs.push_back({dir, "0", kSide, kSide, DType::kU16, 2});
  job.outputs.push_back({dir + "/labels", "0", kSide, kSide, DType::kI32, 2});
  job.row_prefixes = {"P," + std::to_string(n) + ","};
  return job;
}

class Collector {
 public:
  explicit Collector(Executor& executor) : executor_(executor) {}
  std::function<void()> OnResults() {
    return [this] {
      const std::lock_guard lock(mutex_);
      ++calls_;
      ready_.notify_one();
    };
  }
  std::vector<JobResult> WaitForAll() {
    std::vector<JobResult> all;
    for (bool finished = false; !finished;) {
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [&] { return calls_ > 0; });
        calls_ = 0;
      }
      for (JobResult& r : executor_.Drain(&finished)) all.push_back(std::move(r));
    }
    return all;
  }

 private:
  Executor& executor_;
  std::mutex mutex_;
  std::condition_variable ready_;
  int calls_ = 0;
};

ExecutorOptions Options(int threads) {
  ExecutorOptions options;
  options.threads = threads;
  options.image_encoding.separator = options.label_encoding.separator = '.';
  return options;
}

}  // namespace

TEST_CASE("a program reserves the slots that are alive at its fullest point") {
  Program p = SegmentProgram();
  p.Finalize();
  CHECK(p.last_use == std::vector<int>{5, 3, 5});
  // While labelling: the image (kept for measuring), the blurred image, the labels. Writing labels
  // needs one for the pyramid, but the blurred image is gone by then.
  CHECK(p.slots == 3);
  Program bad = SegmentProgram();
  bad.code[2].in = 7;
  CHECK_THROWS_WITH(bad.Finalize(), "register 7 of a program with 3");
}

TEST_CASE(
    "every job is reported once, its slots come back, and any number of threads gives the same "
    "rows") {
  const ScratchFolder folder;
  for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
  std::vector<std::string> first;
  for (const int threads : {1, 4}) {
    const auto pool = TilePool::Create(kSide * kSide * 4, static_cast<uint32_t>(3 * threads));
    Executor executor(pool, Options(threads));
    executor.AddProgram(SegmentProgram());
    Collector collector(executor);
    std::vector<Job> jobs;
    for (int n = 0; n < 40; ++n) jobs.push_back(MakeJob(folder, n));
    executor.Start(std::move(jobs), collector.OnResults(), [](FunctionCall*) {});
    std::vector<JobResult> results = collector.WaitForAll();
    executor.Join();
    REQUIRE(results.size() == 40);
    std::sort(results.begin(), results.end(), [](auto& a, auto& b) { return a.job < b.job; });
    std::vector<std::string> rows;
    for (int n = 0; n < 40; ++n) {
      const JobResult& r = results[static_cast<size_t>(n)];
      CHECK(r.job == n);
      REQUIRE_MESSAGE(r.ok, r.message);
      CHECK(r.parts.at(0).objects == 2);
      CHECK(r.pixels == 2 * kSide * kSide);
      CHECK(r.rows.starts_with("P," + std::to_string(n) + ",1,"));
      rows.push_back(r.rows);
    }
    if (first.empty()) first = rows;
    CHECK(rows == first);
    CHECK(pool->Stats().free == pool->slots());
  }
}

TEST_CASE(
    "a job that fails says where and why, erases what it would have shadowed, and stops no other") {
  const ScratchFolder folder;
  for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
  const auto run = [&] {
    const auto pool = TilePool::Create(kSide * kSide * 4, 6);
    Executor executor(pool, Options(2));
    executor.AddProgram(SegmentProgram());
    Collector collector(executor);
    executor.Start({MakeJob(folder, 0), MakeJob(folder, 1), MakeJob(folder, 2)},
                   collector.OnResults(), [](FunctionCall*) {});
    auto results = collector.WaitForAll();
    std::sort(results.begin(), results.end(), [](auto& a, auto& b) { return a.job < b.job; });
    CHECK(pool->Stats().free == 6);
    return results;
  };
  REQUIRE(run()[2].ok);
  const std::string shard = folder.path() + "/out/2/0/c.0.0.0";
  CHECK(std::filesystem::exists(shard));
  std::filesystem::resize_file(folder.path() + "/plane3.tif", 300);  // jobs 2 and 3 read it
  const auto results = run();
  CHECK(results[0].ok);
  CHECK(results[1].ok);
  REQUIRE_FALSE(results[2].ok);
  CHECK(results[2].code == Code::kTiffDamaged);
  CHECK(results[2].path == folder.path() + "/plane3.tif");
  CHECK(results[2].stage == "test");
  CHECK_FALSE(std::filesystem::exists(shard));
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/out/2/labels/1/c.0.0.0"));
}

TEST_CASE("a file that changed since the plate was opened is refused") {
  const ScratchFolder folder;
  for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
  const auto pool = TilePool::Create(kSide * kSide * 4, 3);
  Executor executor(pool, Options(1));
  executor.AddProgram(SegmentProgram());
  Collector collector(executor);
  Job job = MakeJob(folder, 0);
  job.sources[1].height = 50;
  executor.Start({job}, collector.OnResults(), [](FunctionCall*) {});
  const auto results = collector.WaitForAll();
  REQUIRE(results.size() == 1);
  CHECK(results[0].code == Code::kOpShape);
  CHECK(results[0].message ==
        folder.path() +
            "/plane1.tif, page 0: the file changed since the plate was opened: it "
            "was 48 x 50 uint16 and is 48 x 48 uint16");
}

TEST_CASE("cancelling ends the run with every begun job reported and all slots back") {
  const ScratchFolder folder;
  for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
  const auto pool = TilePool::Create(kSide * kSide * 4, 6);
  Executor executor(pool, Options(2));
  executor.AddProgram(SegmentProgram());
  std::vector<Job> jobs;
  for (int n = 0; n < 400; ++n) jobs.push_back(MakeJob(folder, n % 8));
  Collector collector(executor);
  executor.Start(std::move(jobs), collector.OnResults(), [](FunctionCall*) {});
  executor.Cancel();
  const auto results = collector.WaitForAll();
  executor.Join();
  std::set<int> seen;
  for (const JobResult& r : results) {
    CHECK(seen.insert(r.job).second);
    if (!r.ok) CHECK(r.code == Code::kCancelled);
  }
  CHECK(seen.size() < 400);
  CHECK(pool->Stats().free == 6);
}

TEST_CASE("a function is called with its tile and its failure becomes the job's") {
  const ScratchFolder folder;
  MakePlane(folder.path(), 0);
  const auto pool = TilePool::Create(kSide * kSide * 4, 4);
  Executor executor(pool, Options(2));
  Program p;
  Instruction read = Make(OpKind::kRead, -1, 0);
  read.sources = {0};
  p.code.push_back(read);
  Instruction fn = Make(OpKind::kFunction, 0, 1);
  fn.resource = executor.AddFunction();
  fn.dtype = DType::kF32;
  p.code.push_back(fn);
  p.registers = 2;
  executor.AddProgram(p);
  std::vector<Job> jobs;
  for (int n = 0; n < 6; ++n) {
    Job job;
    job.index = n;
    job.sources.push_back({folder.path() + "/plane0.tif", 0, 0, kSide, kSide, DType::kU16});
    jobs.push_back(job);
  }
  Collector collector(executor);
  executor.Start(std::move(jobs), collector.OnResults(), [&](FunctionCall* call) {
    const auto* in = reinterpret_cast<const uint16_t*>(pool->data(call->in.slot));
    CHECK(in[0] == 100);
    if (call->job->index == 3) {
      call->failed = true;
      call->message = "no";
    }
    call->Complete();
  });
  auto results = collector.WaitForAll();
  REQUIRE(results.size() == 6);
  for (const JobResult& r : results) {
    CHECK(r.ok == (r.job != 3));
    if (r.job == 3) CHECK(r.message == "no");
  }
}
