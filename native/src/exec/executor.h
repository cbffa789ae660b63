// SPDX-License-Identifier: MIT
// Runs jobs on native threads, from decoding to the last write, and hands finished ones back in
// batches.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "error.h"
#include "exec/aligner.h"
#include "exec/core_limit.h"
#include "exec/estimator.h"
#include "exec/gpu_work.h"
#include "exec/program.h"
#include "exec/view_budget.h"
#include "ops/outline.h"
#include "shm/tile_pool.h"
#include "zarr/plane_writer.h"

namespace tilecast {

// A picture for the report: block means, and where object outlines run (empty when there are no
// labels).
struct ThumbnailImage {
  int64_t height = 0, width = 0;
  std::vector<float> pixels;
  std::vector<uint8_t> outline;
};

// What one part of a job (a channel, as a rule) gives.
struct PartResult {
  int64_t objects = 0;       // rows
  std::vector<double> sums;  // of each column over the rows
  double low = 0, high = 0;  // 0.1 and 99.9 percentile of a sample of the written image
  bool has_range = false;
};

// A tile that viewers may keep: its lease belongs to whoever takes the result.
struct ViewResult {
  int view = 0;  // Instruction::view
  Loan loan;
  int64_t height = 0, width = 0;
  DType dtype = DType::kU8;
};

struct OutlineResult {
  int view = 0;
  Outlines outlines;
};

struct CentroidResult {
  int view = 0;
  std::vector<int32_t> labels;
  std::vector<float> points;  // y, x, y, x, ... px, mean of pixel centres
};

struct JobResult {
  int job = 0;
  bool ok = false;
  // Set when !ok.
  Code code = Code::kInternal;
  std::string stage, message, path;
  int64_t page = -1, offset = -1;
  // Set when ok.
  std::string rows;               // CSV lines
  std::string plane_rows;         // the same, of planes
  std::vector<PartResult> parts;  // as Job::row_prefixes
  std::vector<ThumbnailImage> thumbnails;
  std::vector<ViewResult> views;  // at most one for each kView
  std::vector<OutlineResult> outlines;
  std::vector<CentroidResult> centroids;
  int64_t bytes_read = 0, bytes_written = 0, pixels = 0;

  // Within a catch: what was thrown becomes what the job failed of.
  void FailOfThrown() noexcept;
};

// A user's function is called with a tile in one slot and fills another; the thread waits meanwhile
// (the core is the function's).
struct FunctionCall {
  int resource = 0;
  Loan in, out;
  Plane image;
  DType out_dtype = DType::kF32;
  const Job* job = nullptr;
  int source = -1;  // of the job: the plane that the image is of, or the first of those
  // Filled by the host before Complete().
  bool failed = false;
  std::string message;

  std::mutex mutex;
  std::condition_variable done;
  bool finished = false;
  void Complete() {
    const std::lock_guard lock(mutex);
    finished = true;
    done.notify_one();
  }
};

struct StageTime {
  std::string stage;
  std::string op;  // "read", "write", or the op's name
  double seconds = 0;
};

// Processor time of all worker threads, seconds: unlike that of StageTime without what they waited
// for files, other processes and the GPU.
struct CpuTimes {
  double read = 0;     // decoding and projecting from files
  double compute = 0;  // everything between
  double write = 0;    // compressing and writing
  double blocked = 0;  // no processor time: that reading and writing waited for files
};

struct ExecutorOptions {
  int threads = 1;
  // Of these, how many compute at a time; 0: all. With a GPU there are more threads than cores,
  // since they wait for it.
  int cores = 0;
  std::shared_ptr<gpu::Engine> gpu;
  std::set<std::string> not_on_gpu;  // keys of segments (gpu_segments.h)
  ZarrEncoding image_encoding;
  ZarrEncoding label_encoding;
  int64_t thumbnail_px = 160;  // longest side, at most
  // Tiles that viewers may hold at once: that many slots of the pool are theirs. A tile for which
  // there is none is left out of its job's result, at no cost to the job.
  int view_slots = 0;
  // How long all threads together may wait for viewers to let go, before they begin a job.
  double view_wait_ms = 0;
  // Of a job that runs in blocks: what the runs of one mask or label image may take.
  uint64_t object_bytes = uint64_t{1} << 30;
};

class BlockJob;

class Executor {
 public:
  Executor(std::shared_ptr<TilePool> pool, ExecutorOptions options);
  ~Executor();  // cancels and joins
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Both before Start. Returns the number that instructions refer to.
  int AddProgram(Program program);
  int AddField(int64_t height, int64_t width, std::vector<float> field);
  int AddEstimator(int64_t height, int64_t width, int64_t factor, int images);
  int AddFunction();
  int AddAligner(std::unique_ptr<Aligner> aligner);
  // Turns an estimator into a field of the same number.
  void FinishEstimator(int resource, EstimateMethod method, double sigma);
  // What an aligner has found; it is empty then.
  std::vector<PairMatch> FinishAligner(int resource);
  // The field of a resource, for reports and tests.
  const std::vector<float>& field(int resource) const;

  // `on_results` and `on_call` are called on worker threads; on_results once when results wait to
  // be drained, not once a job.
  void Start(std::vector<Job> jobs, std::function<void()> on_results,
             std::function<void(FunctionCall*)> on_call);
  // Who drains takes over the leases of the results' views.
  std::vector<JobResult> Drain(bool* finished);
  // Jobs not begun are not run; the ones under way end at their next instruction with kCancelled.
  void Cancel();
  void Join();
  // What worker threads did; without what the GPU did.
  std::vector<StageTime> Timings() const;
  CpuTimes Processor() const;
  // Empty without a GPU.
  GpuAccount Gpu() const;
  ViewStats Views() { return views_.Stats(); }

 private:
  struct Resource {
    std::unique_ptr<IlluminationEstimator> estimator;
    std::unique_ptr<Aligner> aligner;
    std::vector<float> field;
    int64_t height = 0, width = 0;
  };
  class Worker;
  friend class SegmentTrial;

  void WorkerMain(int thread);
  void RunBlocks(int thread);
  void Push(JobResult result);

  std::shared_ptr<TilePool> pool_;
  ExecutorOptions options_;
  ViewBudget views_;
  CoreLimit cores_;
  std::unique_ptr<GpuWork> gpu_;
  std::vector<Program> programs_;
  std::vector<Resource> resources_;
  std::vector<Job> jobs_;
  std::vector<std::unique_ptr<BlockJob>> blocks_;  // of the jobs that run in blocks
  std::function<void()> on_results_;
  std::function<void(FunctionCall*)> on_call_;

  std::vector<std::thread> threads_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> cancel_{false};
  mutable std::mutex mutex_;
  std::vector<JobResult> results_;            // guarded by mutex_
  int running_ = 0;                           // guarded by mutex_
  bool notified_ = false;                     // guarded by mutex_
  std::vector<std::vector<double>> seconds_;  // [program][instruction], guarded by mutex_
  CpuTimes cpu_;                              // guarded by mutex_
};

}  // namespace tilecast
