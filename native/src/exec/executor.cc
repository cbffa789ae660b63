// SPDX-License-Identifier: MIT
// Worker threads, the ready queue (a shared counter over the job list) and the batch of results.
#include "exec/executor.h"

#include <map>

#include "exec/block_job.h"
#include "exec/worker.h"

namespace tilecast {

void JobResult::FailOfThrown() noexcept {
  try {
    throw;
  } catch (const Error& e) {
    code = e.code();
    message = e.what();
    path = e.path();
    page = e.page();
    offset = e.offset();
  } catch (const std::bad_alloc&) {
    code = Code::kPoolMemory;
    message = "out of memory";
  } catch (const std::exception& e) {
    code = Code::kInternal;
    message = e.what();
  }
}

Executor::Executor(std::shared_ptr<TilePool> pool, ExecutorOptions options)
    : pool_(std::move(pool)),
      options_(std::move(options)),
      views_(*pool_, options_.view_slots, options_.view_wait_ms),
      cores_(options_.cores > 0 ? options_.cores : std::max(1, options_.threads)) {
  if (options_.gpu) gpu_ = std::make_unique<GpuWork>(options_.gpu, pool_, options_.not_on_gpu);
}

Executor::~Executor() {
  Cancel();
  Join();
  for (const JobResult& result : results_) {
    for (const ViewResult& view : result.views) pool_->Release(view.loan);
  }
}

int Executor::AddProgram(Program program) {
  program.Finalize();
  if (program.slots + options_.view_slots > static_cast<int>(pool_->slots())) {
    throw Error(Code::kInvalidArgument,
                "a job of this pipeline needs " + std::to_string(program.slots) + " slots at once" +
                    (options_.view_slots > 0
                         ? ", viewers may hold " + std::to_string(options_.view_slots) + " more,"
                         : "") +
                    " and the pool has " + std::to_string(pool_->slots()));
  }
  seconds_.emplace_back(program.code.size(), 0.0);
  programs_.push_back(std::move(program));
  return static_cast<int>(programs_.size()) - 1;
}

int Executor::AddField(int64_t height, int64_t width, std::vector<float> field) {
  resources_.push_back({nullptr, nullptr, std::move(field), height, width});
  return static_cast<int>(resources_.size()) - 1;
}

int Executor::AddEstimator(int64_t height, int64_t width, int64_t factor, int images) {
  resources_.push_back({std::make_unique<IlluminationEstimator>(height, width, factor, images),
                        nullptr,
                        {},
                        height,
                        width});
  return static_cast<int>(resources_.size()) - 1;
}

int Executor::AddFunction() {
  resources_.emplace_back();
  return static_cast<int>(resources_.size()) - 1;
}

int Executor::AddAligner(std::unique_ptr<Aligner> aligner) {
  resources_.emplace_back();
  resources_.back().aligner = std::move(aligner);
  return static_cast<int>(resources_.size()) - 1;
}

std::vector<PairMatch> Executor::FinishAligner(int resource) {
  Resource& r = resources_.at(static_cast<size_t>(resource));
  if (!r.aligner) throw Error(Code::kInvalidArgument, "resource is not an aligner");
  std::vector<PairMatch> out = r.aligner->Finish();
  r.aligner.reset();
  return out;
}

void Executor::FinishEstimator(int resource, EstimateMethod method, double sigma) {
  Resource& r = resources_.at(static_cast<size_t>(resource));
  if (!r.estimator) throw Error(Code::kInvalidArgument, "resource is not an estimator");
  r.field = r.estimator->Finish(method, sigma);
  r.estimator.reset();
}

const std::vector<float>& Executor::field(int resource) const {
  return resources_.at(static_cast<size_t>(resource)).field;
}

void Executor::Start(std::vector<Job> jobs, std::function<void()> on_results,
                     std::function<void(FunctionCall*)> on_call) {
  Join();
  jobs_ = std::move(jobs);
  on_results_ = std::move(on_results);
  on_call_ = std::move(on_call);
  next_ = 0;
  // A job in blocks has work for every thread.
  std::vector<BlockResource> resources;
  resources.reserve(resources_.size());
  for (Resource& r : resources_)
    resources.push_back({r.estimator.get(), &r.field, r.height, r.width});
  blocks_.clear();
  for (size_t i = 0; i < jobs_.size(); ++i) {
    if (!jobs_[i].in_blocks) continue;
    blocks_.push_back(std::make_unique<BlockJob>(*pool_, options_, cancel_, resources,
                                                 programs_[static_cast<size_t>(jobs_[i].program)],
                                                 jobs_[i], static_cast<int>(i), options_.threads));
  }
  const int count =
      blocks_.empty() ? std::max(1, std::min<int>(options_.threads, static_cast<int>(jobs_.size())))
                      : options_.threads;
  running_ = count;
  notified_ = false;
  for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { WorkerMain(i); });
}

void Executor::WorkerMain(int thread) {
  WorkerContext context{*pool_, options_, cancel_, on_call_, views_, cores_, gpu_.get()};
  Worker worker(context, programs_, resources_);
  while (!cancel_) {
    const size_t at = next_.fetch_add(1);
    if (at >= jobs_.size()) break;
    if (jobs_[at].in_blocks) continue;  // when the others are done
    Push(worker.Run(static_cast<int>(at), jobs_[at]));
  }
  RunBlocks(thread);
  std::function<void()> notify;
  {
    const std::lock_guard lock(mutex_);
    worker.AddTimes(seconds_, cpu_);
    // The last thread always notifies: that drain sees `finished`.
    if (--running_ == 0) notify = on_results_;
  }
  if (notify) notify();
}

// Every thread takes part in every one of them, also when the run is cancelled: they wait for each
// other.
void Executor::RunBlocks(int thread) {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    BlockJob& job = *blocks_[i];
    job.Run(thread);
    if (thread != 0) continue;
    {
      const std::lock_guard lock(mutex_);
      job.AddTimes(seconds_[static_cast<size_t>(job.program())]);
    }
    if (std::optional<JobResult> result = job.TakeResult()) Push(std::move(*result));
  }
}

void Executor::Push(JobResult result) {
  {
    const std::lock_guard lock(mutex_);
    results_.push_back(std::move(result));
    if (notified_) return;
    notified_ = true;
  }
  on_results_();
}

std::vector<JobResult> Executor::Drain(bool* finished) {
  const std::lock_guard lock(mutex_);
  std::vector<JobResult> out;
  out.swap(results_);
  notified_ = false;
  *finished = running_ == 0;
  return out;
}

void Executor::Cancel() {
  cancel_ = true;
  pool_->WakeAll();
}

void Executor::Join() {
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

std::vector<StageTime> Executor::Timings() const {
  const std::lock_guard lock(mutex_);
  std::map<std::pair<std::string, std::string>, double> sums;
  for (size_t p = 0; p < programs_.size(); ++p) {
    for (size_t i = 0; i < programs_[p].code.size(); ++i) {
      const Instruction& op = programs_[p].code[i];
      sums[{op.stage, TimingName(op)}] += seconds_[p][i];
    }
  }
  std::vector<StageTime> out;
  out.reserve(sums.size());
  for (const auto& [key, seconds] : sums) out.push_back({key.first, key.second, seconds});
  return out;
}

CpuTimes Executor::Processor() const {
  const std::lock_guard lock(mutex_);
  return cpu_;
}

GpuAccount Executor::Gpu() const {
  return gpu_ ? gpu_->Account() : GpuAccount{};
}

}  // namespace tilecast
