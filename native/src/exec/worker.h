// SPDX-License-Identifier: MIT
// One worker thread's state: its reader, its writer, the registers of the job in hand.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "exec/core_limit.h"
#include "exec/executor.h"
#include "exec/gpu_work.h"
#include "exec/thread_clock.h"
#include "ops/gaussian.h"
#include "ops/measure.h"
#include "tiff/tiff_reader.h"
#include "zarr/plane_reader.h"

namespace tilecast {

// The instruction's name in timings, in snake case.
std::string TimingName(const Instruction& op);

struct WorkerContext {
  TilePool& pool;
  const ExecutorOptions& options;
  const std::atomic<bool>& cancel;
  const std::function<void(FunctionCall*)>& on_call;
  ViewBudget& views;
  CoreLimit& cores;
  GpuWork* gpu = nullptr;  // without: everything is the processor's
};

class Executor::Worker {
 public:
  Worker(const WorkerContext& context, const std::vector<Program>& programs,
         std::vector<Resource>& resources);

  // Never throws: a failure becomes part of the result.
  JobResult Run(int index, const Job& job);
  void AddTimes(std::vector<std::vector<double>>& seconds, CpuTimes& cpu) const;

 private:
  friend class SegmentTrial;

  struct Register {
    std::optional<Loan> loan;
    Plane plane;
    std::optional<MinMax> range;
    int objects = -1;        // index into objects_, for labels
    bool unpainted = false;  // labels that are in objects_ only, until somebody wants their pixels
    bool labelled = false;   // objects_ has them as LabelRuns gives them
    bool viewed = false;     // its slot is in the result, and stays as it is
  };

  // Runs instruction i, or the chain or segment that begins there; gives the last one of it.
  size_t Step(const GpuPlan* plan, size_t i, const Job& job, JobResult& result);
  // Runs the segment on the GPU. False when the processor has to, and nothing was done.
  bool RunSegment(const GpuPlan& plan, size_t segment, const Job& job, JobResult& result);
  void Execute(const Instruction& op, const Job& job, JobResult& result);
  void Spend(size_t instruction, double seconds);
  void Release(Register& reg);
  // A register with memory for a plane of that shape; kSlotTooSmall when a slot cannot hold it.
  Plane Allocate(int reg, DType dtype, int64_t height, int64_t width);
  Plane Place(Loan loan, DType dtype, int64_t height, int64_t width) const;
  Loan Take();
  void GiveBack(Loan loan) { free_.push_back(loan); }

  const Plane& plane(int reg) {
    Register& r = registers_[static_cast<size_t>(reg)];
    if (r.unpainted) Paint(r);
    return r.plane;
  }
  void Paint(Register& labels);
  // Opens the source's file and throws kOpShape when it is no longer what the catalogue says.
  void OpenSource(const Source& source);
  void ReadSource(const Source& source, const Plane& dst, JobResult& result);
  void Project(const Instruction& op, const Job& job, JobResult& result);
  void ProjectRegisters(const Instruction& op);
  void WeighRegisters(const Instruction& op);
  void StackRange(const Instruction& op);
  void StretchRegister(const Instruction& op);
  // Runs the chain first..last (one instruction, as a rule), and adds up the time of each.
  void Apply(size_t first, size_t last);
  void Label(const Instruction& op);
  void Measure(const Instruction& op, const Job& job, JobResult& result);
  void AddRows(const Instruction& op, const Job& job, const std::vector<ShapeRow>& shapes,
               const std::vector<std::vector<IntensityRow>>& intensities, JobResult& result);
  // Spread, texture and colocalisation, as far as the columns ask for them, beside intensities_.
  void MeasureMore(const Instruction& op, const Objects& objects);
  void MeasurePlane(const Instruction& op, const Job& job, JobResult& result);
  void Write(const Instruction& op, const Job& job, bool labels, JobResult& result);
  void WriteRuns(const Objects& objects, const Output& output, JobResult& result);
  void View(const Instruction& op, const Job& job, JobResult& result);
  void Outline(const Instruction& op, JobResult& result);
  void Centroids(const Instruction& op, JobResult& result);
  void Align(const Instruction& op, const Job& job);
  void Canvas(const Instruction& op, const Job& job);
  void Move(const Instruction& op, const Job& job);
  void PlaceOnCanvas(const Instruction& op, const Job& job);
  void MakeThumbnail(const Instruction& op, JobResult& result);
  void Function(const Instruction& op, const Job& job);
  double ThresholdValue(const Instruction& op);
  const Objects& ObjectsOf(int reg);

  WorkerContext context_;
  const std::vector<Program>& programs_;
  std::vector<Resource>& resources_;
  TiffReader reader_;
  std::optional<ZarrPlaneReader> zarr_reader_;  // made for the first plane of an array
  PlaneWriter writer_;
  std::vector<Register> registers_;
  std::vector<Loan> free_;  // the job's reservation, not in a register now
  std::vector<Objects> objects_;
  Objects halved_[2];  // levels of labels
  int objects_used_ = 0;
  std::vector<ShapeRow> shapes_;
  OutlineTracer tracer_;
  int credits_ = 0;  // tiles that the job may still give to viewers
  std::vector<std::vector<IntensityRow>> intensities_;
  std::vector<std::vector<double>> more_;  // by image: what its rows' `more` point into
  StackProjector projector_;
  OpScratch scratch_;
  OpScratch strips_;  // between the ops of a chain
  std::vector<float> sample_;
  std::vector<std::byte> converted_;
  // Of the job in hand.
  const Program* program_ = nullptr;
  const GpuPlan* plan_ = nullptr;
  int number_ = 0;  // of the program that was added

  std::vector<std::vector<double>> seconds_;  // [program][instruction]
  CpuTimes cpu_;
  ThreadClock clock_;
};

}  // namespace tilecast
