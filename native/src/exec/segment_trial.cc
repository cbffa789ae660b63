// SPDX-License-Identifier: MIT
// A trial is a worker without files: its registers are filled once, and the segment runs again and
// again.
#include "exec/segment_trial.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>

#include "bench/scene.h"
#include "exec/worker.h"
#include "ops/arithmetic.h"
#include "ops/histogram.h"
#include "ops/label.h"

namespace tilecast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSceneSide = 512;

// The scene side by side until the tile is full: a picture of any size for the price of a small
// one.
void Tessellate(const Plane& scene, const Plane& out) {
  const auto size = static_cast<int64_t>(DTypeSize(out.dtype));
  for (int64_t y = 0; y < out.height; ++y) {
    const std::byte* from = scene.row<std::byte>(y % scene.height);
    for (int64_t x = 0; x < out.width; x += scene.width) {
      const int64_t count = std::min(scene.width, out.width - x);
      std::memcpy(out.row<std::byte>(y) + x * size, from, static_cast<size_t>(count * size));
    }
  }
}

// A tile as a segment may find it: an image; of 8 bits, one that is dark between the objects, so
// that it can also be a mask; of int32, labels.
bench::OwnedPlane MakeTile(const TileShape& shape) {
  bench::OwnedPlane tile(shape.dtype, shape.height, shape.width);
  const Plane& out = tile.plane();
  const bench::OwnedPlane scene = bench::Nuclei(kSceneSide);
  if (out.dtype == DType::kI32) {
    Objects objects;
    const bench::OwnedPlane labels(DType::kI32, kSceneSide, kSceneSide);
    LabelRuns(scene.plane(), Otsu(scene.plane(), {}), {}, objects);
    PaintLabels(objects, labels.plane());
    Tessellate(labels.plane(), out);
    return tile;
  }
  const bench::OwnedPlane image(out.dtype, kSceneSide, kSceneSide);
  if (DTypeSize(out.dtype) == 1) {
    const double otsu = Otsu(scene.plane(), {});
    Rescale(scene.plane(), 100 / otsu, -100, image.plane());
  } else {
    Rescale(scene.plane(), 1, 0, image.plane());
  }
  Tessellate(image.plane(), out);
  return tile;
}

}  // namespace

// One segment, tried with one number of workers.
class SegmentTrial {
 public:
  SegmentTrial(const GpuPlan& plan, size_t segment, std::shared_ptr<gpu::Engine> engine,
               const TrialOptions& options)
      : plan_(plan), segment_(segment), options_(options) {
    uint64_t slot_bytes = 4096;
    for (const TileShape& t : plan.tiles) {
      // A mean's accumulator has 8 bytes a pixel.
      slot_bytes = std::max(slot_bytes, static_cast<uint64_t>(t.height * t.width) * 8);
    }
    // Slots of the whole plan, and its inputs', which stay.
    slots_ = static_cast<uint32_t>(plan.slots) +
             static_cast<uint32_t>(plan.segments[segment].inputs.size());
    if (slot_bytes * slots_ > options.memory * 4) {
      throw Error(Code::kPoolMemory, "one job's tiles take " +
                                         std::to_string((slot_bytes * slots_) >> 20) +
                                         " MiB, which is too much for a trial");
    }
    const auto fit = static_cast<int>(options.memory / (slot_bytes * slots_));
    workers_ = std::clamp(fit, 1, std::max(options.workers, options.cores));
    pool_ = TilePool::Create(slot_bytes, slots_ * static_cast<uint32_t>(workers_));
    executor_options_.threads = workers_;
    work_ = std::make_unique<GpuWork>(std::move(engine), pool_, std::set<std::string>());
    MakeResources();
    for (const int r : plan.segments[segment].inputs) {
      tiles_.push_back(MakeTile(plan.tiles[static_cast<size_t>(r)]));
    }
  }

  SegmentRates Run() {
    const GpuSegment& s = plan_.segments[segment_];
    SegmentRates rates{s.key, s.title, 0, 0, {}};
    rates.cpu = Measure(std::min(workers_, options_.cores), false);
    // Once alone: kernels are compiled, buffers made. And again: where the GPU were slower even if
    // every worker had one like it, that is known well enough.
    once_ = true;
    Measure(1, true);
    if (failures_ == 0) rates.gpu = Measure(1, true);
    once_ = false;
    if (failures_ == 0 && rates.gpu * workers_ > rates.cpu) rates.gpu = Measure(workers_, true);
    if (failures_ != 0) {
      rates.gpu = 0;
      const GpuAccount account = work_->Account();
      for (const SegmentAccount& a : account.segments) {
        if (!a.redone.empty()) rates.why = a.redone.begin()->first;
      }
    }
    return rates;
  }

 private:
  // Illuminations: even ones, of the tiles' size.
  void MakeResources() {
    for (const Instruction& op : plan_.program.code) {
      if (op.resource < 0) continue;
      const auto at = static_cast<size_t>(op.resource);
      if (resources_.size() <= at) resources_.resize(at + 1);
      if (op.kind != OpKind::kApply || !resources_[at].field.empty()) continue;
      const TileShape& t = plan_.tiles[static_cast<size_t>(op.in)];
      resources_[at].height = t.height;
      resources_[at].width = t.width;
      resources_[at].field.assign(static_cast<size_t>(t.height * t.width), 1.0f);
    }
  }

  // Tiles a second of so many workers.
  double Measure(int workers, bool gpu) {
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::atomic<int64_t> tiles{0};
    Clock::time_point begin;
    std::vector<std::thread> threads;
    threads.reserve(static_cast<size_t>(workers));
    CoreLimit cores(options_.cores);
    for (int w = 0; w < workers; ++w) {
      threads.emplace_back([&] {
        bool ready_said = false;
        const auto wait_for_start = [&] {
          ready_said = true;
          ++ready;
          while (!go) std::this_thread::yield();
          return begin;
        };
        try {
          tiles += Work(gpu, cores, wait_for_start);
        } catch (const std::exception&) {
          ++failures_;
        }
        if (!ready_said) ++ready;
      });
    }
    while (ready < workers) std::this_thread::yield();
    begin = Clock::now();
    go = true;
    for (std::thread& t : threads) t.join();
    const std::chrono::duration<double> took = Clock::now() - begin;
    return static_cast<double>(tiles) / took.count();
  }

  template <class Start>
  int64_t Work(bool gpu, CoreLimit& cores, const Start& start) {
    const GpuSegment& s = plan_.segments[segment_];
    const std::atomic<bool> cancel{false};
    const std::function<void(FunctionCall*)> none;
    ViewBudget views(*pool_, 0, 0);
    const WorkerContext context{*pool_, executor_options_, cancel, none, views, cores, work_.get()};
    const std::vector<Program> programs(1, plan_.program);
    Executor::Worker worker(context, programs, resources_);
    worker.program_ = &plan_.program;
    worker.plan_ = &plan_;
    worker.registers_.assign(static_cast<size_t>(plan_.program.registers), {});
    std::vector<Loan> loans(slots_);
    pool_->LoanManyBlocking(slots_, loans.data(), nullptr);
    worker.free_ = loans;
    Job job;
    JobResult result;
    for (const Instruction& op : plan_.program.code) {
      job.row_prefixes.resize(std::max(job.row_prefixes.size(), static_cast<size_t>(op.part) + 1));
    }
    int64_t done = 0;
    try {
      for (size_t i = 0; i < s.inputs.size(); ++i) {
        const Plane& tile = tiles_[i].plane();
        const Plane to = worker.Allocate(s.inputs[i], tile.dtype, tile.height, tile.width);
        std::memcpy(to.data, tile.data, static_cast<size_t>(tile.bytes()));
      }
      const auto begin = start();
      const CoreLimit::Turn turn(cores);
      do {
        result.rows.clear();
        result.parts.assign(job.row_prefixes.size(), {});
        worker.objects_used_ = 0;
        if (gpu) {
          if (!worker.RunSegment(plan_, segment_, job, result)) {
            ++failures_;
            break;
          }
        } else {
          for (int i = s.first; i <= s.last; ++i) {
            const auto first = i;
            i = static_cast<int>(worker.Step(nullptr, static_cast<size_t>(i), job, result));
            Release(worker, first, i);
          }
        }
        for (const int r : s.outputs) worker.Release(worker.registers_[static_cast<size_t>(r)]);
        for (const int r : s.inputs) worker.registers_[static_cast<size_t>(r)].objects = -1;
        ++done;
      } while (!once_ &&
               std::chrono::duration<double>(Clock::now() - begin).count() < options_.seconds);
    } catch (...) {
      for (const Loan loan : loans) pool_->Release(loan);
      throw;
    }
    for (const Loan loan : loans) pool_->Release(loan);
    return done;
  }

  // What a run would give back after instructions first to last; the inputs stay for the next
  // round.
  void Release(Executor::Worker& worker, int first, int last) {
    const GpuSegment& s = plan_.segments[segment_];
    for (int r = 0; r < plan_.program.registers; ++r) {
      const int use = plan_.program.last_use[static_cast<size_t>(r)];
      const bool input = std::find(s.inputs.begin(), s.inputs.end(), r) != s.inputs.end();
      if (!input && use >= first && use <= last) {
        worker.Release(worker.registers_[static_cast<size_t>(r)]);
      }
    }
  }

  const GpuPlan& plan_;
  const size_t segment_;
  const TrialOptions options_;
  ExecutorOptions executor_options_;
  uint32_t slots_ = 0;
  int workers_ = 1;
  std::shared_ptr<TilePool> pool_;
  std::unique_ptr<GpuWork> work_;
  std::vector<Executor::Resource> resources_;
  std::vector<bench::OwnedPlane> tiles_;  // the inputs
  bool once_ = false;
  std::atomic<int> failures_{0};
};

std::vector<SegmentRates> TrySegments(const GpuPlan& plan,
                                      const std::shared_ptr<gpu::Engine>& engine,
                                      const TrialOptions& options) {
  std::vector<SegmentRates> rates;
  rates.reserve(plan.segments.size());
  for (size_t s = 0; s < plan.segments.size(); ++s) {
    rates.push_back(SegmentTrial(plan, s, engine, options).Run());
  }
  return rates;
}

}  // namespace tilecast
