// SPDX-License-Identifier: MIT
// What the executor's tests share: planes of two squares, a program that segments them, and a
// collector of results.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "exec/executor.h"
#include "scratch_folder.h"
#include "tiff_fixture.h"

namespace tilecast {

inline constexpr int64_t kSide = 48;

// Two bright squares on a dim slope; `seed` moves them a little.
inline std::string MakePlane(const std::string& folder, int seed) {
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

inline Instruction Make(OpKind kind, int in, int out) {
  Instruction op;
  op.kind = kind;
  op.in = in;
  op.out = out;
  op.stage = "test";
  return op;
}

// project(2 planes) -> write -> gaussian -> otsu + label -> write -> measure
inline Program SegmentProgram() {
  Program p;
  Instruction project = Make(OpKind::kProject, -1, 0);
  project.sources = {0, 1};
  p.code.push_back(project);
  Instruction image = Make(OpKind::kWriteImage, 0, -1);
  image.output = 0;
  p.code.push_back(image);
  Instruction gaussian = Make(OpKind::kApply, 0, 1);
  gaussian.row = &FindOp("gaussian");
  gaussian.arguments = OpArguments(*gaussian.row);
  gaussian.arguments.Set("sigma", 1.5);
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

inline Job MakeJob(const ScratchFolder& folder, int n) {
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

inline ExecutorOptions Options(int threads) {
  ExecutorOptions options;
  options.threads = threads;
  options.image_encoding.separator = options.label_encoding.separator = '.';
  return options;
}

}  // namespace tilecast
