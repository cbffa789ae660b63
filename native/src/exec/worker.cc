// SPDX-License-Identifier: MIT
// Runs one job: reserves its slots, executes its instructions, gives everything back whatever
// happens.
#include "exec/worker.h"

#include <algorithm>
#include <chrono>

#include "exec/job_output.h"
#include "exec/source_check.h"
#include "ops/arithmetic.h"
#include "ops/histogram.h"
#include "ops/intensity.h"
#include "ops/resample.h"
#include "ops/stack_range.h"
#include "ops/thresholds.h"

namespace tilecast {

std::string TimingName(const Instruction& op) {
  switch (op.kind) {
    case OpKind::kRead:
      return "read";
    case OpKind::kProject:
    case OpKind::kProjectRegs:
      return "project";
    case OpKind::kStackRange:
    case OpKind::kStretch:
      return "normalize";
    case OpKind::kWeighRegs:
      return "weigh_slices";
    case OpKind::kApply: {
      std::string name;
      for (const char c : op.row->name) {
        if (c >= 'A' && c <= 'Z') {
          name += '_';
          name += static_cast<char>(c - 'A' + 'a');
        } else {
          name += c;
        }
      }
      return name;
    }
    case OpKind::kThreshold:
      return "threshold";
    case OpKind::kLabel:
      return "label";
    case OpKind::kFunction:
      return "javascript";
    case OpKind::kMeasure:
      return "measure";
    case OpKind::kMeasurePlane:
      return "measure_plane";
    case OpKind::kWriteImage:
    case OpKind::kWriteLabels:
      return "write";
    case OpKind::kThumbnail:
      return "thumbnail";
    case OpKind::kCollect:
      return "estimate";
    case OpKind::kView:
      return "view";
    case OpKind::kOutline:
      return "outline";
    case OpKind::kCentroids:
      return "centroids";
    case OpKind::kAlign:
      return "align";
    case OpKind::kCanvas:
    case OpKind::kPlace:
      return "place";
    case OpKind::kMove:
      return "move";
  }
  return "?";
}

namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

// Decoded chunks that hold several slices are worth keeping, but not at a gigabyte for every eight
// cores.
size_t CacheBytes(int threads) {
  constexpr size_t all = size_t{1} << 30;
  return std::clamp<size_t>(all / static_cast<size_t>(threads), size_t{32} << 20,
                            size_t{128} << 20);
}

}  // namespace

Executor::Worker::Worker(const WorkerContext& context, const std::vector<Program>& programs,
                         std::vector<Resource>& resources)
    : context_(context), programs_(programs), resources_(resources) {
  for (const Program& p : programs) seconds_.emplace_back(p.code.size(), 0.0);
}

void Executor::Worker::AddTimes(std::vector<std::vector<double>>& seconds, CpuTimes& cpu) const {
  cpu.read += cpu_.read;
  cpu.compute += cpu_.compute;
  cpu.write += cpu_.write;
  cpu.blocked += cpu_.blocked;
  for (size_t p = 0; p < seconds_.size(); ++p) {
    for (size_t i = 0; i < seconds_[p].size(); ++i) seconds[p][i] += seconds_[p][i];
  }
}

JobResult Executor::Worker::Run(int index, const Job& job) {
  JobResult result;
  result.job = index;
  result.parts.resize(job.row_prefixes.size());
  number_ = job.program;
  program_ = &programs_[static_cast<size_t>(number_)];
  plan_ = context_.gpu == nullptr ? nullptr
                                  : context_.gpu->PlanOf(number_, *program_, SourceShapes(job),
                                                         context_.options.view_slots);
  int slots = program_->slots;
  if (plan_ != nullptr) {
    program_ = &plan_->program;
    slots = plan_->slots;
  }
  const Program& program = *program_;
  const Instruction* at = nullptr;
  std::optional<CoreLimit::Turn> turn;
  const int spare = context_.views.Acquire(program.views, context_.cancel);
  credits_ = spare;
  std::vector<Loan> reserved(static_cast<size_t>(slots + spare));
  bool have = false;
  try {
    for (const auto& [path, text] : job.files) WriteTextFile(path, text);
    context_.pool.LoanManyBlocking(static_cast<uint32_t>(reserved.size()), reserved.data(),
                                   &context_.cancel);
    have = true;
    // Only now: who has a turn never waits for who has slots.
    turn.emplace(context_.cores);
    // Last in, first out: the first slots taken are the ones most recently used.
    free_.assign(reserved.rbegin(), reserved.rend());
    registers_.assign(static_cast<size_t>(program.registers), Register{});
    objects_used_ = 0;
    for (size_t i = 0; i < program.code.size(); ++i) {
      if (context_.cancel) throw Error(Code::kCancelled, "cancelled");
      at = &program.code[i];
      const size_t first = i;
      i = Step(plan_, i, job, result);
      for (size_t r = 0; r < registers_.size(); ++r) {
        const int use = program.last_use[r];
        if (use >= static_cast<int>(first) && use <= static_cast<int>(i)) Release(registers_[r]);
      }
    }
    result.ok = true;
  } catch (...) {
    result.FailOfThrown();
  }
  if (!result.ok && at != nullptr) result.stage = at->stage;
  if (!result.ok) EraseOutputs(program, job, context_.options);
  registers_.clear();
  free_.clear();
  if (!result.ok) result.views.clear();
  std::vector<Loan> given;
  given.reserve(result.views.size());
  for (const ViewResult& view : result.views) given.push_back(view.loan);
  if (have) {
    for (const Loan loan : reserved) {
      const bool kept = std::any_of(given.begin(), given.end(),
                                    [&](Loan view) { return view.slot == loan.slot; });
      if (!kept) context_.pool.Release(loan);
    }
  }
  context_.views.Settle(spare, given);
  return result;
}

size_t Executor::Worker::Step(const GpuPlan* plan, size_t i, const Job& job, JobResult& result) {
  if (plan != nullptr) {
    const int segment = plan->SegmentAt(i);
    if (segment >= 0 && RunSegment(*plan, static_cast<size_t>(segment), job, result)) {
      return static_cast<size_t>(plan->segments[static_cast<size_t>(segment)].last);
    }
  }
  const Instruction& op = program_->code[i];
  const ThreadTimes before = clock_.Now();
  const auto begin = Clock::now();
  size_t last = i;
  if (op.kind == OpKind::kApply) {
    last = static_cast<size_t>(program_->chain_end[i]);
    Apply(i, last);
  } else {
    Execute(op, job, result);
    Spend(i, Seconds(Clock::now() - begin));
  }
  const ThreadTimes after = clock_.Now();
  const double spent = after.processor - before.processor;
  const bool reads = op.kind == OpKind::kRead || op.kind == OpKind::kProject;
  const bool writes = op.kind == OpKind::kWriteImage || op.kind == OpKind::kWriteLabels;
  (reads ? cpu_.read : writes ? cpu_.write : cpu_.compute) += spent;
  if (reads || writes) {
    const double queued = after.queued - before.queued;
    cpu_.blocked += std::max(0.0, Seconds(Clock::now() - begin) - spent - queued);
  }
  return last;
}

void Executor::Worker::Spend(size_t instruction, double seconds) {
  const size_t at =
      plan_ == nullptr ? instruction : static_cast<size_t>(plan_->origin[instruction]);
  seconds_[static_cast<size_t>(number_)][at] += seconds;
}

void Executor::Worker::Release(Register& reg) {
  if (reg.loan && !reg.viewed) GiveBack(*reg.loan);
  reg.loan.reset();
  reg.plane = {};
}

Loan Executor::Worker::Take() {
  if (free_.empty()) throw Error(Code::kInternal, "a job needs more slots than it reserved");
  const Loan loan = free_.back();
  free_.pop_back();
  return loan;
}

Plane Executor::Worker::Place(Loan loan, DType dtype, int64_t height, int64_t width) const {
  const Plane p = PackedPlane(context_.pool.data(loan.slot), dtype, height, width);
  if (static_cast<uint64_t>(p.bytes()) > context_.pool.slot_bytes()) {
    throw Error(Code::kSlotTooSmall, std::to_string(width) + " x " + std::to_string(height) +
                                         " px of " + std::string(DTypeName(dtype)) + " take " +
                                         std::to_string(p.bytes()) + " bytes and a slot has " +
                                         std::to_string(context_.pool.slot_bytes()));
  }
  return p;
}

Plane Executor::Worker::Allocate(int reg, DType dtype, int64_t height, int64_t width) {
  Register& r = registers_[static_cast<size_t>(reg)];
  r.loan = Take();
  r.plane = Place(*r.loan, dtype, height, width);
  return r.plane;
}

void Executor::Worker::OpenSource(const Source& source) {
  if (source.array) return;  // chunks that do not fit the array's description are damaged
  if (source.parts) {
    reader_.Open(*source.parts);
  } else {
    reader_.Open(source.path);
  }
  CheckUnchanged(source, reader_.layout(source.page));
}

void Executor::Worker::ReadSource(const Source& source, const Plane& dst, JobResult& result) {
  if (source.array) {
    if (!zarr_reader_) zarr_reader_.emplace(ZarrReadOptions{CacheBytes(context_.options.threads)});
    if (source.chunks) {
      zarr_reader_->Read(*source.array, *source.chunks, source.index, 0, 0, dst);
    } else {
      zarr_reader_->Read(*source.array, source.index, 0, 0, dst);
    }
    result.bytes_read += zarr_reader_->bytes_read();
    result.pixels += dst.pixels();
    return;
  }
  reader_.ReadPlane(source.page, source.sample, dst);
  result.bytes_read += reader_.bytes_read();
  result.pixels += dst.pixels();
  reader_.Close();
}

void Executor::Worker::Project(const Instruction& op, const Job& job, JobResult& result) {
  const Source& first = job.sources.at(static_cast<size_t>(op.sources.at(0)));
  OpenSource(first);
  projector_.Begin(op.projection, static_cast<int64_t>(op.a));
  const Plane out = Allocate(op.out, projector_.ResultOf(first.dtype), first.height, first.width);
  const bool in_place = StartsInPlace(op.projection);
  std::vector<Loan> temporary;
  const auto temp = [&](DType dtype) {
    temporary.push_back(Take());
    return Place(temporary.back(), dtype, first.height, first.width);
  };
  const Plane acc =
      HasAccumulator(op.projection) ? temp(projector_.AccumulatorOf(first.dtype)) : out;
  Plane next;
  for (size_t i = 0; i < op.sources.size(); ++i) {
    const Source& source = job.sources.at(static_cast<size_t>(op.sources[i]));
    if (i > 0) OpenSource(source);
    if (source.height != first.height || source.width != first.width ||
        source.dtype != first.dtype) {
      throw Error(Code::kOpShape,
                  "planes of one projection differ: " + std::to_string(first.width) + " x " +
                      std::to_string(first.height) + " " + std::string(DTypeName(first.dtype)) +
                      " and " + std::to_string(source.width) + " x " +
                      std::to_string(source.height) + " " + std::string(DTypeName(source.dtype)),
                  source.path, source.page);
    }
    if (i == 0 && in_place) {
      ReadSource(source, acc, result);  // straight into the result
      continue;
    }
    if (next.data == nullptr) next = temp(first.dtype);
    ReadSource(source, next, result);
    if (i == 0) {
      projector_.First(next, acc);
    } else {
      projector_.Next(next, acc);
    }
  }
  projector_.Finish(static_cast<int64_t>(op.sources.size()), acc, out);
  for (const Loan loan : temporary) GiveBack(loan);
}

void Executor::Worker::ProjectRegisters(const Instruction& op) {
  const Plane first = plane(op.inputs.at(0));
  projector_.Begin(op.projection, static_cast<int64_t>(op.a));
  const Plane out = Allocate(op.out, projector_.ResultOf(first.dtype), first.height, first.width);
  std::optional<Loan> loan;
  Plane acc = out;
  if (HasAccumulator(op.projection)) {
    loan = Take();
    acc = Place(*loan, projector_.AccumulatorOf(first.dtype), first.height, first.width);
  }
  projector_.First(first, acc);
  for (size_t i = 1; i < op.inputs.size(); ++i) projector_.Next(plane(op.inputs[i]), acc);
  projector_.Finish(static_cast<int64_t>(op.inputs.size()), acc, out);
  if (loan) GiveBack(*loan);
}

void Executor::Worker::WeighRegisters(const Instruction& op) {
  std::vector<Plane> planes;
  planes.reserve(op.inputs.size());
  for (const int input : op.inputs) planes.push_back(plane(input));
  const Plane like = planes.at(0);
  WeighPlanes(planes, op.weights, Allocate(op.out, DType::kF32, like.height, like.width));
}

void Executor::Worker::StackRange(const Instruction& op) {
  std::vector<Plane> planes;
  planes.reserve(op.inputs.size());
  for (const int input : op.inputs) planes.push_back(plane(input));
  const MinMax range = StackPercentiles(planes, op.low, op.high);
  double* const out = Allocate(op.out, DType::kF64, 1, 2).row<double>(0);
  out[0] = range.min;
  out[1] = range.max;
}

void Executor::Worker::StretchRegister(const Instruction& op) {
  const Plane in = plane(op.in);
  const double* const range = plane(op.inputs.at(0)).row<double>(0);
  Stretch(in, range[0], range[1], op.low, op.high, Allocate(op.out, op.dtype, in.height, in.width));
}

double Executor::Worker::ThresholdValue(const Instruction& op) {
  const Register& r = registers_[static_cast<size_t>(op.in)];
  switch (op.method) {
    case ThresholdMethod::kValue:
      return op.a;
    case ThresholdMethod::kOtsu:
      return Otsu(r.plane, r.range);
    case ThresholdMethod::kTriangle:
      return TriangleThreshold(r.plane);
    case ThresholdMethod::kLi:
      return LiThreshold(r.plane);
    case ThresholdMethod::kYen:
      return YenThreshold(r.plane);
  }
  return 0;
}

void Executor::Worker::Label(const Instruction& op) {
  const double value = ThresholdValue(op);
  if (static_cast<size_t>(objects_used_) == objects_.size()) objects_.emplace_back();
  Objects& objects = objects_[static_cast<size_t>(objects_used_)];
  const Plane in = plane(op.in);
  LabelRuns(in, value, op.label, objects);
  Allocate(op.out, DType::kI32, in.height, in.width);
  Register& out = registers_[static_cast<size_t>(op.out)];
  out.objects = objects_used_++;
  out.unpainted = out.labelled = true;
}

void Executor::Worker::Paint(Register& labels) {
  PaintLabels(objects_[static_cast<size_t>(labels.objects)], labels.plane);
  labels.unpainted = false;
}

const Objects& Executor::Worker::ObjectsOf(int reg) {
  Register& r = registers_[static_cast<size_t>(reg)];
  if (r.objects < 0) {  // labels that came from a user's function
    if (r.plane.dtype != DType::kI32) {
      throw Error(Code::kOpDtype,
                  "labels must be int32, and are " + std::string(DTypeName(r.plane.dtype)));
    }
    if (static_cast<size_t>(objects_used_) == objects_.size()) objects_.emplace_back();
    RunsFromLabels(r.plane, objects_[static_cast<size_t>(objects_used_)]);
    r.objects = objects_used_++;
  }
  return objects_[static_cast<size_t>(r.objects)];
}

void Executor::Worker::Function(const Instruction& op, const Job& job) {
  const Plane in = plane(op.in);
  const Plane out = Allocate(op.out, op.dtype, in.height, in.width);
  (void)out;
  FunctionCall call;
  call.resource = op.resource;
  call.in = *registers_[static_cast<size_t>(op.in)].loan;
  call.out = *registers_[static_cast<size_t>(op.out)].loan;
  call.image = in;
  call.out_dtype = op.dtype;
  call.job = &job;
  if (!op.sources.empty()) call.source = op.sources[0];
  context_.on_call(&call);
  std::unique_lock lock(call.mutex);
  call.done.wait(lock, [&] { return call.finished; });
  // Cancelling fails the calls that are waited for: the plane is cancelled then, not the function's
  // fault.
  if (call.failed) throw Error(context_.cancel ? Code::kCancelled : Code::kFunction, call.message);
}

void Executor::Worker::Execute(const Instruction& op, const Job& job, JobResult& result) {
  const auto like = [&](DType dtype) {
    return Allocate(op.out, dtype, plane(op.in).height, plane(op.in).width);
  };
  switch (op.kind) {
    case OpKind::kRead: {
      const Source& source = job.sources.at(static_cast<size_t>(op.sources.at(0)));
      OpenSource(source);
      ReadSource(source, Allocate(op.out, source.dtype, source.height, source.width), result);
      break;
    }
    case OpKind::kProject:
      Project(op, job, result);
      break;
    case OpKind::kProjectRegs:
      ProjectRegisters(op);
      break;
    case OpKind::kStackRange:
      StackRange(op);
      break;
    case OpKind::kStretch:
      StretchRegister(op);
      break;
    case OpKind::kWeighRegs:
      WeighRegisters(op);
      break;
    case OpKind::kApply:  // Step() has its chain run
      break;
    case OpKind::kThreshold: {
      const double value = ThresholdValue(op);
      Threshold(plane(op.in), value, like(DType::kU8));
      break;
    }
    case OpKind::kLabel:
      Label(op);
      break;
    case OpKind::kFunction:
      Function(op, job);
      break;
    case OpKind::kMeasure:
      Measure(op, job, result);
      break;
    case OpKind::kMeasurePlane:
      MeasurePlane(op, job, result);
      break;
    case OpKind::kWriteImage:
      Write(op, job, false, result);
      break;
    case OpKind::kWriteLabels:
      Write(op, job, true, result);
      break;
    case OpKind::kThumbnail:
      if (job.thumbnail) MakeThumbnail(op, result);
      break;
    case OpKind::kCollect: {
      Resource& r = resources_.at(static_cast<size_t>(op.resource));
      r.estimator->Add(job.index, plane(op.in), static_cast<float>(op.a));
      break;
    }
    case OpKind::kView:
      View(op, job, result);
      break;
    case OpKind::kOutline:
      Outline(op, result);
      break;
    case OpKind::kCentroids:
      Centroids(op, result);
      break;
    case OpKind::kAlign:
      Align(op, job);
      break;
    case OpKind::kCanvas:
      Canvas(op, job);
      break;
    case OpKind::kPlace:
      PlaceOnCanvas(op, job);
      break;
    case OpKind::kMove:
      Move(op, job);
      break;
  }
}

}  // namespace tilecast
