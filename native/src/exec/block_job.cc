// SPDX-License-Identifier: MIT
// The order of passes: whatever can be done is done in the next one, until nothing is left.
#include "exec/block_job.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "exec/job_output.h"
#include "exec/worker.h"
#include "ops/histogram.h"
#include "ops/mosaic.h"
#include "ops/resample.h"
#include "ops/thresholds.h"
#include "ops/translate.h"

namespace tilecast {
namespace {

constexpr double kNoMask = std::numeric_limits<double>::quiet_NaN();  // ObjectsTask: not a mask

}  // namespace

BlockJob::BlockJob(TilePool& pool, const ExecutorOptions& options, const std::atomic<bool>& cancel,
                   std::vector<BlockResource> resources, const Program& program, const Job& job,
                   int index, int threads)
    : pool_(pool),
      options_(options),
      cancel_(cancel),
      resources_(std::move(resources)),
      program_(program),
      job_(job),
      threads_(threads) {
  result_.job = index;
  workers_.resize(static_cast<size_t>(threads));
}

void BlockJob::Run(int thread) {
  for (;;) {
    if (thread == 0) Lead();
    Wait();
    if (over_) break;
    Work(thread);
    Wait();
  }
}

// Until all threads are here.
void BlockJob::Wait() {
  std::unique_lock lock(mutex_);
  const uint64_t turn = turn_;
  if (++waiting_ == threads_) {
    waiting_ = 0;
    ++turn_;
    turned_.notify_all();
    return;
  }
  turned_.wait(lock, [&] { return turn_ != turn; });
}

void BlockJob::Fail(const Instruction* at) noexcept {
  JobResult failure;
  failure.FailOfThrown();
  if (at != nullptr) failure.stage = at->stage;
  const std::lock_guard lock(mutex_);
  failure.job = result_.job;
  if (!failed_) result_ = std::move(failure);
  failed_ = true;
}

void BlockJob::Work(int thread) {
  if (thread >= active_ || failed_) return;
  std::unique_ptr<BlockThread>& worker = workers_[static_cast<size_t>(thread)];
  try {
    if (!worker) {
      worker = std::make_unique<BlockThread>(pool_, options_, cancel_, resources_);
      worker->Reserve(*plan_, facts_);
    }
    for (int64_t row = next_row_++; row < rows_ && !failed_; row = next_row_++) {
      if (row_) {
        if (cancel_) throw Error(Code::kCancelled, "cancelled");
        row_(*worker, row);
      } else {
        worker->RunBand(pass_, row, failed_);
      }
    }
  } catch (...) {
    Fail(worker ? worker->at() : nullptr);
  }
}

void BlockJob::Lead() noexcept {
  at_ = nullptr;
  try {
    if (!begun_) {
      if (cancel_) {
        over_ = true;
        return;
      }
      begun_ = true;
      Begin();
    } else if (!failed_) {
      EndPass();
    }
    if (!failed_ && cancel_) throw Error(Code::kCancelled, "cancelled");
    if (!failed_) Plan();
    if (!failed_ && rows_ == 0) Finish();
  } catch (...) {
    Fail(at_);
  }
  over_ = failed_ || result_.ok;
  if (!over_) return;
  if (failed_) {
    // What it has not finished goes first, and then what is there.
    tasks_.clear();
    row_ = nullptr;
    level_parts_.reset();
    EraseOutputs(program_, job_, options_);
    for (const Instruction& op : program_.code) {
      if (op.kind == OpKind::kCollect)
        resources_[static_cast<size_t>(op.resource)].estimator->Drop(job_.index);
    }
  }
  facts_.objects.clear();
  facts_.planes.clear();
}

void BlockJob::Begin() {
  for (const auto& [path, text] : job_.files) WriteTextFile(path, text);
  plan_.emplace(program_, job_);
  if (const Instruction* unfit = plan_->Unfit(pool_.slot_bytes())) {
    at_ = unfit;
    throw Error(
        Code::kInvalidArgument,
        (unfit->kind == OpKind::kApply ? std::string(unfit->row->name) : TimingName(*unfit)) +
            " needs its whole image in one tile");
  }
  const int slots = BlockSlots(program_);
  active_ =
      std::clamp((static_cast<int>(pool_.slots()) - options_.view_slots) / slots, 1, threads_);
  const size_t n = program_.code.size(), registers = plan_->values.size();
  facts_.instructions.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const Instruction& op = program_.code[i];
    facts_.instructions[i].arguments = op.arguments;
    facts_.instructions[i].threshold = op.a;
    facts_.instructions[i].settled = !plan_->Asks(i);
  }
  facts_.objects.resize(registers);
  facts_.planes.resize(registers);
  considered_.assign(n, 0);
  asked_.assign(n, 0);
  wanted_.assign(registers, 0);
  left_.resize(n);
  result_.parts.resize(job_.row_prefixes.size());
  for (const Instruction& op : program_.code) {
    for (const int s : op.sources) {
      const Source& source = job_.sources.at(static_cast<size_t>(s));
      result_.pixels += source.height * source.width;
    }
  }
}

bool BlockJob::Ready(int reg) const {
  const auto i = static_cast<size_t>(plan_->value(reg).producer);
  if (plan_->HoldsObjects(i)) return facts_.objects[static_cast<size_t>(reg)] != nullptr;
  if (plan_->TakesWhole(i)) return facts_.planes[static_cast<size_t>(reg)] != nullptr;
  if (!facts_.instructions[i].settled) return false;
  bool ready = true;
  ForInputs(program_.code[i], [&](int r) { ready = ready && Ready(r); });
  if (program_.code[i].kind != OpKind::kCanvas) return ready;
  for (const Instruction& op : program_.code) {
    if (op.kind == OpKind::kPlace && op.inputs[0] == reg) ready = ready && Ready(op.in);
  }
  return ready;
}

// The objects of a register, or null after having them collected.
const Objects* BlockJob::NeedObjects(size_t i, int reg) {
  const auto r = static_cast<size_t>(reg);
  if (facts_.objects[r]) return facts_.objects[r].get();
  const BlockPlan::Value& whole = plan_->value(reg);
  if (wanted_[r] != 0 || !Ready(reg) || plan_->HoldsObjects(static_cast<size_t>(whole.producer)))
    return nullptr;
  wanted_[r] = 1;
  tasks_.push_back(std::make_unique<ObjectsTask>(
      i, reg, std::make_unique<ObjectParts>(whole.height, whole.width, options_.object_bytes),
      whole.dtype == DType::kI32 ? kNoMask : 0, [this, r](ObjectParts& parts) {
        auto objects = std::make_unique<Objects>();
        parts.Take(*objects);
        facts_.objects[r] = std::move(objects);
      }));
  return nullptr;
}

void BlockJob::AddStatistic(size_t i) {
  const Instruction& op = program_.code[i];
  BlockFacts::Of& of = facts_.instructions[i];
  const BlockPlan::Value& in = plan_->value(op.in);
  const auto add = [&](auto statistic, auto take) {
    auto* const raw = statistic.get();
    tasks_.push_back(std::make_unique<StatisticTask>(i, op.in, std::move(statistic),
                                                     [raw, take] { take(*raw); }));
  };
  if (op.kind == OpKind::kApply) {
    // One of the three: they settle the op together.
    const PlaneWants wants = op.row->wants(op.arguments);
    const auto settle = [&of, &op] {
      if (op.row->settle) op.row->settle(of.facts, of.arguments);
      of.settled = true;
    };
    if (wants.levels) {
      add(std::make_unique<LevelStatistic>(std::string(op.row->name), in.dtype),
          [&of, settle](LevelStatistic& s) {
            of.facts.counts = std::move(s.counts);
            of.facts.levels = std::move(s.levels);
            settle();
          });
    } else if (wants.range) {
      add(std::make_unique<RangeStatistic>(), [&of, settle](RangeStatistic& s) {
        of.facts.range = s.range();
        settle();
      });
    } else {
      add(std::make_unique<PercentileStatistic>(in.dtype, in.height * in.width, wants.percentiles),
          [&of, settle](PercentileStatistic& s) {
            of.facts.percentiles = std::move(s.values);
            settle();
          });
    }
    return;
  }
  if (op.method == ThresholdMethod::kLi && IsFloat(in.dtype)) {
    add(std::make_unique<LiStatistic>(in.dtype, in.height, in.width), [&of](LiStatistic& s) {
      of.threshold = s.result();
      of.settled = true;
    });
    return;
  }
  const char* const name = op.method == ThresholdMethod::kOtsu       ? "otsu"
                           : op.method == ThresholdMethod::kTriangle ? "triangle"
                           : op.method == ThresholdMethod::kLi       ? "li"
                                                                     : "yen";
  add(std::make_unique<LevelStatistic>(name, in.dtype),
      [&of, method = op.method, dtype = in.dtype](LevelStatistic& s) {
        of.threshold = method == ThresholdMethod::kOtsu ? OtsuOfLevels(dtype, s.counts, s.levels)
                       : method == ThresholdMethod::kTriangle ? TriangleOfLevels(s.counts, s.levels)
                       : method == ThresholdMethod::kLi       ? LiOfLevels(s.counts, s.levels)
                                                              : YenOfLevels(s.counts, s.levels);
        of.settled = true;
      });
}

void BlockJob::AddWrite(size_t i) {
  const Instruction& op = program_.code[i];
  const Output& output = job_.outputs.at(static_cast<size_t>(op.output));
  const bool labels = op.kind == OpKind::kWriteLabels;
  const BlockPlan::Value& in = plan_->value(op.in);
  tasks_.push_back(std::make_unique<WriteTask>(
      i, op.in, PlaneTarget{output.dir + "/0", output.lead, output.height, output.width},
      labels ? options_.label_encoding : options_.image_encoding, output.dtype, !labels, in.height,
      in.width));
}

// Adds the tasks that an instruction is due, and does what needs no pass.
void BlockJob::Consider(size_t i) {
  const Instruction& op = program_.code[i];
  if (considered_[i] != 0) return;
  at_ = &op;
  if (op.in >= 0 && !Ready(op.in)) return;
  BlockFacts::Of& of = facts_.instructions[i];
  if (!of.settled && asked_[i] == 0) {
    asked_[i] = 1;
    AddStatistic(i);
  }
  if (!of.settled) return;
  switch (op.kind) {
    case OpKind::kLabel: {
      const BlockPlan::Value& in = plan_->value(op.in);
      tasks_.push_back(std::make_unique<ObjectsTask>(
          i, op.in, std::make_unique<ObjectParts>(in.height, in.width, options_.object_bytes),
          of.threshold, [this, &op](ObjectParts& parts) {
            auto objects = std::make_unique<Objects>();
            parts.Label(op.label, *objects);
            facts_.objects[static_cast<size_t>(op.out)] = std::move(objects);
          }));
      break;
    }
    case OpKind::kApply:
      if (plan_->TakesWhole(i) && !AddWhole(i)) return;
      if (op.row->on_objects != nullptr) {
        const Objects* in = NeedObjects(i, op.in);
        if (in == nullptr) return;
        auto out = std::make_unique<Objects>();
        op.row->on_objects(of.arguments, *in, *out);
        facts_.objects[static_cast<size_t>(op.out)] = std::move(out);
      }
      break;
    case OpKind::kMove:
      if (!AddWhole(i)) return;
      break;
    case OpKind::kMeasure:
      return ConsiderMeasure(i);
    case OpKind::kThumbnail:
      if (job_.thumbnail) return ConsiderThumbnail(i);
      break;
    case OpKind::kWriteImage:
    case OpKind::kWriteLabels:
      AddWrite(i);
      break;
    case OpKind::kOutline: {
      const Objects* objects = NeedObjects(i, op.in);
      if (objects == nullptr) return;
      left_[i].outline.emplace().view = op.view;
      OutlineTracer().Trace(*objects, false, left_[i].outline->outlines);
      break;
    }
    case OpKind::kCentroids: {
      const Objects* objects = NeedObjects(i, op.in);
      if (objects == nullptr) return;
      std::vector<ShapeRow> shapes;
      MeasureShapes(*objects, {}, shapes);
      left_[i].centroids.emplace().view = op.view;
      AddCentroids(shapes, *left_[i].centroids);
      break;
    }
    case OpKind::kCollect: {
      const BlockResource& r = resources_.at(static_cast<size_t>(op.resource));
      const BlockPlan::Value& in = plan_->value(op.in);
      if (r.height != in.height || r.width != in.width) {
        throw Error(Code::kOpShape, "the illumination estimate of this channel is for images of " +
                                        std::to_string(r.width) + " x " + std::to_string(r.height) +
                                        " px, and one has " + std::to_string(in.width) + " x " +
                                        std::to_string(in.height));
      }
      tasks_.push_back(std::make_unique<CollectTask>(i, op.in, *r.estimator, job_.index,
                                                     static_cast<float>(op.a)));
      break;
    }
    default:
      break;  // views are of tiles, and there is none; what else there is has no task
  }
  considered_[i] = 1;
}

// An op on images that have become small enough for a slot: they are put together, and it is
// applied once.
bool BlockJob::AddWhole(size_t i) {
  const Instruction& op = program_.code[i];
  std::vector<int> inputs{op.in};
  inputs.insert(inputs.end(), op.inputs.begin(), op.inputs.end());
  std::vector<HeldPlane> planes;
  for (const int r : inputs) {
    if (!Ready(r)) return false;
    const BlockPlan::Value& v = plan_->value(r);
    planes.emplace_back(v.dtype, v.height, v.width);
  }
  tasks_.push_back(std::make_unique<PlanesTask>(
      i, std::move(inputs), std::move(planes), [this, i, &op](std::vector<HeldPlane>& whole) {
        const BlockPlan::Value& v = plan_->value(op.out);
        auto out = std::make_unique<HeldPlane>(v.dtype, v.height, v.width);
        if (op.kind == OpKind::kMove) {
          const MosaicPlan& mosaic = job_.mosaics.at(static_cast<size_t>(op.mosaic));
          Translate(whole[0].plane, mosaic.y.at(0), mosaic.x.at(0), op.spline, Outside::kZero,
                    out->plane);
          facts_.planes[static_cast<size_t>(op.out)] = std::move(out);
          return;
        }
        std::vector<Plane> others;
        for (size_t k = 1; k < whole.size(); ++k) others.push_back(whole[k].plane);
        CheckInput(*op.row, whole[0].plane, others);
        OpArguments& arguments = facts_.instructions[i].arguments;
        if (op.row->prepare) op.row->prepare(whole[0].plane, arguments);
        OpScratch scratch;
        std::optional<MinMax> range;
        op.row->run({arguments, whole[0].plane, others, out->plane, scratch, &range});
        facts_.planes[static_cast<size_t>(op.out)] = std::move(out);
      }));
  return true;
}

void BlockJob::ConsiderMeasure(size_t i) {
  const Instruction& op = program_.code[i];
  const Objects* objects = NeedObjects(i, op.in);
  if (objects == nullptr) return;
  for (const int r : op.inputs) {
    if (!Ready(r)) return;
    const BlockPlan::Value& image = plan_->value(r);
    if (image.height != objects->height || image.width != objects->width) {
      throw Error(Code::kOpShape, "measure: the intensity image is " + std::to_string(image.width) +
                                      " x " + std::to_string(image.height) + " px and the labels " +
                                      std::to_string(objects->width) + " x " +
                                      std::to_string(objects->height));
    }
  }
  considered_[i] = 1;
  left_[i].has_part = true;
  if (op.inputs.empty()) {
    std::vector<ShapeRow> shapes;
    MeasureShapes(*objects, FeaturesOf(op), shapes);
    AppendRows(op, shapes, {}, job_.row_prefixes.at(static_cast<size_t>(op.part)), left_[i].rows,
               left_[i].part);
    return;
  }
  tasks_.push_back(std::make_unique<MeasureTask>(i, op.inputs, *objects));
}

void BlockJob::ConsiderThumbnail(size_t i) {
  const Instruction& op = program_.code[i];
  if (!op.inputs.empty() && NeedObjects(i, op.inputs[0]) == nullptr) return;
  const BlockPlan::Value& in = plan_->value(op.in);
  tasks_.push_back(std::make_unique<ThumbnailTask>(
      i, op.in, in.height, in.width, ThumbnailFactor(in.height, in.width, options_.thumbnail_px)));
  considered_[i] = 1;
}

void BlockJob::EndPass() {
  if (row_) {
    row_ = nullptr;
    if (level_parts_) result_.bytes_written += level_parts_->Finish();
    level_parts_.reset();
    return;
  }
  for (BlockTask* task : pass_.tasks) {
    const size_t i = task->at;
    const Instruction& op = program_.code[i];
    at_ = &op;
    if (!task->End()) continue;
    Left& left = left_[i];
    if (auto* write = dynamic_cast<WriteTask*>(task)) {
      result_.bytes_written += write->written();
      const BlockPlan::Value& in = plan_->value(op.in);
      const int levels = job_.outputs.at(static_cast<size_t>(op.output)).levels;
      if (levels > 1) levels_.push_back({i, 1, {in.height, in.width}});
      std::vector<float> sample = write->sample();
      if (op.kind == OpKind::kWriteImage) {
        left.has_part = true;
        AddRange(sample, left.part);
      }
    } else if (auto* measure = dynamic_cast<MeasureTask*>(task)) {
      std::vector<ShapeRow> shapes;
      MeasureShapes(*facts_.objects[static_cast<size_t>(op.in)], FeaturesOf(op), shapes);
      AppendRows(op, shapes, measure->rows, job_.row_prefixes.at(static_cast<size_t>(op.part)),
                 left.rows, left.part);
    } else if (auto* thumbnail = dynamic_cast<ThumbnailTask*>(task)) {
      left.thumbnail = std::move(thumbnail->image);
      if (!op.inputs.empty()) {
        const Objects& objects = *facts_.objects[static_cast<size_t>(op.inputs[0])];
        const BlockPlan::Value& in = plan_->value(op.in);
        const int64_t factor = ThumbnailFactor(in.height, in.width, options_.thumbnail_px);
        std::vector<int32_t> labels(left.thumbnail->pixels.size());
        size_t cell = 0;
        for (int64_t y = 0; y < left.thumbnail->height; ++y) {
          for (int64_t x = 0; x < left.thumbnail->width; ++x, ++cell) {
            const int64_t row = std::min(y * factor + factor / 2, objects.height - 1);
            const int64_t column = std::min(x * factor + factor / 2, objects.width - 1);
            ForRunsIn(
                objects, row, column, column + 1,
                [&](const tilecast::Run& run, int64_t, int64_t) { labels[cell] = run.label; });
          }
        }
        DrawOutlines(labels, *left.thumbnail);
      }
    }
    std::erase_if(tasks_, [&](const auto& t) { return t.get() == task; });
  }
  pass_.tasks.clear();
}

void BlockJob::Plan() {
  rows_ = 0;
  next_row_ = 0;
  if (PlanLevel()) return;
  // What needs no pass may make more ready.
  for (size_t before = 0, after = 1; before != after;) {
    const auto count = [&] {
      return tasks_.size() +
             static_cast<size_t>(std::count(considered_.begin(), considered_.end(), char{1}));
    };
    before = count();
    for (size_t i = 0; i < program_.code.size(); ++i) Consider(i);
    after = count();
  }
  PlanTasks();
}

// The next level of a pyramid, if one is to be made.
bool BlockJob::PlanLevel() {
  if (levels_.empty()) return false;
  const Level level = levels_.front();
  levels_.erase(levels_.begin());
  const Instruction& op = program_.code[level.at];
  const Output& output = job_.outputs.at(static_cast<size_t>(op.output));
  const bool labels = op.kind == OpKind::kWriteLabels;
  const ZarrEncoding& encoding = labels ? options_.label_encoding : options_.image_encoding;
  PlaneTarget target{output.dir + "/" + std::to_string(level.level - 1), output.lead, output.height,
                     output.width};
  for (int n = 1; n < level.level; ++n) {
    target.height = HalfSize(target.height);
    target.width = HalfSize(target.width);
  }
  std::vector<int64_t> index;
  const ZarrArray below = ArrayOf(target, encoding, output.dtype, index);
  target = {output.dir + "/" + std::to_string(level.level), output.lead, HalfSize(target.height),
            HalfSize(target.width)};
  level_parts_ = std::make_unique<PlaneParts>(target, encoding);
  const PlaneShape plane{HalfSize(level.below.height), HalfSize(level.below.width)};
  const int64_t ch = level_parts_->chunk_height(), cw = level_parts_->chunk_width();
  rows_ = (plane.height + ch - 1) / ch;
  row_ = [=, this, shape = level.below](BlockThread& thread, int64_t row) {
    const int64_t y = row * ch;
    for (int64_t x = 0; x < plane.width; x += cw) {
      thread.MakeChunk(below, index, shape, labels,
                       {y, x, std::min(ch, plane.height - y), std::min(cw, plane.width - x)},
                       *level_parts_);
    }
  };
  if (level.level + 1 < output.levels) levels_.push_back({level.at, level.level + 1, plane});
  return true;
}

// A pass for all tasks over images of one size.
bool BlockJob::PlanTasks() {
  pass_.tasks.clear();
  if (tasks_.empty()) return false;
  const auto shape = [&](const BlockTask& task) {
    const BlockPlan::Value& in = plan_->value(task.inputs.at(0));
    return PlaneShape{in.height, in.width};
  };
  pass_.image = shape(*tasks_.front());
  PlaneShape step{1, 1};
  std::vector<int> wanted;
  for (const auto& task : tasks_) {
    if (shape(*task) != pass_.image) continue;
    pass_.tasks.push_back(task.get());
    wanted.insert(wanted.end(), task->inputs.begin(), task->inputs.end());
    const PlaneShape its = task->Step();
    step = {std::lcm(step.height, its.height), std::lcm(step.width, its.width)};
  }
  std::sort(pass_.tasks.begin(), pass_.tasks.end(),
            [](const BlockTask* a, const BlockTask* b) { return a->at < b->at; });
  pass_.block = plan_->BlockShape(wanted, pass_.image, step, pool_.slot_bytes(), 4 * active_);
  rows_ = (pass_.image.height + pass_.block.height - 1) / pass_.block.height;
  return true;
}

void BlockJob::Finish() {
  for (size_t i = 0; i < program_.code.size(); ++i) {
    if (considered_[i] == 0) throw Error(Code::kInternal, "an instruction was left undone");
    const Instruction& op = program_.code[i];
    Left& left = left_[i];
    result_.rows += left.rows;
    if (left.has_part) {
      PartResult& part = result_.parts.at(static_cast<size_t>(op.part));
      part.objects += left.part.objects;
      if (!left.part.sums.empty()) part.sums = left.part.sums;
      if (left.part.has_range) {
        part.low = part.has_range ? std::min(part.low, left.part.low) : left.part.low;
        part.high = part.has_range ? std::max(part.high, left.part.high) : left.part.high;
        part.has_range = true;
      }
    }
    if (left.thumbnail) result_.thumbnails.push_back(std::move(*left.thumbnail));
    if (left.outline) result_.outlines.push_back(std::move(*left.outline));
    if (left.centroids) result_.centroids.push_back(std::move(*left.centroids));
  }
  for (const auto& worker : workers_) {
    if (!worker) continue;
    result_.bytes_read += worker->bytes_read();
    result_.bytes_written += worker->bytes_written();
  }
  result_.ok = true;
}

std::optional<JobResult> BlockJob::TakeResult() {
  for (auto& worker : workers_) worker.reset();
  if (!begun_) return std::nullopt;
  return std::move(result_);
}

void BlockJob::AddTimes(std::vector<double>& seconds) const {
  for (const auto& worker : workers_) {
    if (!worker) continue;
    for (size_t i = 0; i < worker->seconds().size(); ++i) seconds[i] += worker->seconds()[i];
  }
}

}  // namespace tilecast
