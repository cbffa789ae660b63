// SPDX-License-Identifier: MIT
// One job whose images are too large for a slot, run by all threads of the executor together:
// passes over blocks, as many as its statistics, objects and pyramids need.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "exec/block_plan.h"
#include "exec/block_tasks.h"
#include "exec/block_thread.h"
#include "exec/executor.h"

namespace tilecast {

class BlockJob {
 public:
  BlockJob(TilePool& pool, const ExecutorOptions& options, const std::atomic<bool>& cancel,
           std::vector<BlockResource> resources, const Program& program, const Job& job, int index,
           int threads);

  // Called by every one of the threads, numbered from 0; returns to all when the job is over. Never
  // throws.
  void Run(int thread);

  // Afterwards. None when it was cancelled before it began.
  std::optional<JobResult> TakeResult();
  int program() const { return job_.program; }
  void AddTimes(std::vector<double>& seconds) const;

 private:
  // What an instruction has left behind, to be put together in the order of the program.
  struct Left {
    std::string rows;
    PartResult part;
    bool has_part = false;
    std::optional<ThumbnailImage> thumbnail;
    std::optional<OutlineResult> outline;
    std::optional<CentroidResult> centroids;
  };
  // A level of a written plane's pyramid that is to be made.
  struct Level {
    size_t at = 0;  // the instruction that wrote it
    int level = 1;
    PlaneShape below;  // of the plane, one level down
  };

  // By the first thread, while the others wait.
  void Lead() noexcept;
  void Begin();
  void EndPass();
  void Plan();
  bool PlanLevel();
  bool PlanTasks();
  void Consider(size_t i);
  void ConsiderMeasure(size_t i);
  void ConsiderThumbnail(size_t i);
  void AddStatistic(size_t i);
  void AddWrite(size_t i);
  bool AddWhole(size_t i);
  const Objects* NeedObjects(size_t i, int reg);
  bool Ready(int reg) const;
  void Finish();

  void Work(int thread);
  void Wait();
  void Fail(const Instruction* at) noexcept;  // in a catch block

  TilePool& pool_;
  const ExecutorOptions& options_;
  const std::atomic<bool>& cancel_;
  const std::vector<BlockResource> resources_;
  const Program& program_;
  const Job& job_;
  const int threads_;
  int active_ = 1;  // threads that there are slots for

  std::optional<BlockPlan> plan_;
  BlockFacts facts_;
  std::vector<char> considered_;  // by instruction: its task is there, or was
  std::vector<char> asked_;       // by instruction: its statistic is being gathered, or was
  std::vector<char> wanted_;      // by register: its objects are being collected
  std::vector<std::unique_ptr<BlockTask>> tasks_;
  std::vector<Left> left_;
  std::vector<Level> levels_;
  std::unique_ptr<PlaneParts> level_parts_;  // of the level that is being made
  const Instruction* at_ = nullptr;          // that the first thread is at, for errors

  // The pass in hand: bands of blocks, or rows of chunks of a level.
  BlockPass pass_;
  std::function<void(BlockThread&, int64_t)> row_;
  int64_t rows_ = 0;
  std::atomic<int64_t> next_row_{0};

  std::vector<std::unique_ptr<BlockThread>> workers_;
  JobResult result_;
  bool begun_ = false, over_ = false;  // written by the first thread while the others wait
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::condition_variable turned_;
  int waiting_ = 0;    // guarded by mutex_
  uint64_t turn_ = 0;  // guarded by mutex_
};

}  // namespace tilecast
