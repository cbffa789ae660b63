// SPDX-License-Identifier: MIT
// Programs and the executor: slots reserved, results and failures reported once each, everything
// given back.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "exec_support.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

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
