// SPDX-License-Identifier: MIT
// Backwards through the program for the parts that a block comes from, then forwards to make them.
#include "exec/block_thread.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "exec/source_check.h"
#include "ops/arithmetic.h"
#include "ops/resample.h"

namespace tilecast {
namespace {

using Clock = std::chrono::steady_clock;

// Chunks of several slices are wanted once a slice.
constexpr size_t kCacheBytes = size_t{32} << 20;

}  // namespace

BlockThread::BlockThread(TilePool& pool, const ExecutorOptions& options,
                         const std::atomic<bool>& cancel,
                         const std::vector<BlockResource>& resources)
    : pool_(pool),
      options_(options),
      cancel_(cancel),
      resources_(resources),
      zarr_reader_(ZarrReadOptions{kCacheBytes}),
      level_reader_(ZarrReadOptions{0}) {}

BlockThread::~BlockThread() {
  for (const Loan loan : reserved_) pool_.Release(loan);
}

void BlockThread::Reserve(const BlockPlan& plan, const BlockFacts& facts) {
  plan_ = &plan;
  facts_ = &facts;
  if (!reserved_.empty()) return;
  std::vector<Loan> loans(static_cast<size_t>(BlockSlots(plan.program)));
  pool_.LoanManyBlocking(static_cast<uint32_t>(loans.size()), loans.data(), &cancel_);
  reserved_ = loans;
  free_ = loans;
  registers_.resize(plan.values.size());
  seconds_.assign(plan.program.code.size(), 0);
}

Loan BlockThread::Take() {
  if (free_.empty()) throw Error(Code::kInternal, "a block needs more slots than were reserved");
  const Loan loan = free_.back();
  free_.pop_back();
  return loan;
}

Plane BlockThread::Place(Loan loan, DType dtype, const Region& part) const {
  const Plane plane = PackedPlane(pool_.data(loan.slot), dtype, part.height, part.width);
  if (static_cast<uint64_t>(plane.bytes()) > pool_.slot_bytes()) {
    throw Error(Code::kSlotTooSmall, "a block's part of " + std::to_string(plane.bytes()) +
                                         " bytes does not fit a slot");
  }
  return plane;
}

Plane BlockThread::Hold(int reg, const Region& part) {
  Register& r = registers_[static_cast<size_t>(reg)];
  r.loan = Take();
  r.plane = Place(*r.loan, plan_->value(reg).dtype, part);
  r.held = part;
  return r.plane;
}

Plane BlockThread::PartIn(int reg, const Region& part) const {
  const Register& r = registers_[static_cast<size_t>(reg)];
  if (!r.held.Contains(part)) throw Error(Code::kInternal, "a block lacks a part of its input");
  return PartOf(r.plane, r.held, part);
}

void BlockThread::Release(Register& reg) {
  if (reg.loan) free_.push_back(*reg.loan);
  reg.loan.reset();
}

void BlockThread::ReleaseAll() {
  for (Register& r : registers_) Release(r);
  free_ = reserved_;
}

void BlockThread::RunBand(const BlockPass& pass, int64_t band, const std::atomic<bool>& stop) {
  const int64_t y = band * pass.block.height;
  for (int64_t x = 0; x < pass.image.width; x += pass.block.width) {
    if (cancel_) throw Error(Code::kCancelled, "cancelled");
    if (stop) return;
    RunBlock(pass, {y, x, std::min(pass.block.height, pass.image.height - y),
                    std::min(pass.block.width, pass.image.width - x)});
  }
}

void BlockThread::RunBlock(const BlockPass& pass, const Region& block) {
  const std::vector<Instruction>& code = plan_->program.code;
  ReleaseAll();
  need_.assign(registers_.size(), Region{});
  for (const BlockTask* task : pass.tasks) {
    for (const int r : task->inputs)
      need_[static_cast<size_t>(r)] = Around(need_[static_cast<size_t>(r)], block);
  }
  for (size_t i = code.size(); i-- > 0;) {
    if (code[i].kind == OpKind::kPlace) {
      const Region& canvas = need_[static_cast<size_t>(code[i].inputs[0])];
      if (canvas.empty()) continue;
      Region& in = need_[static_cast<size_t>(code[i].in)];
      in = Around(in, plan_->PlacedPart(i, canvas));
      continue;
    }
    if (code[i].out < 0 || plan_->HoldsObjects(i) || plan_->TakesWhole(i)) continue;
    const Region& out = need_[static_cast<size_t>(code[i].out)];
    if (out.empty()) continue;
    const Region in = plan_->InputOf(i, out);
    ForInputs(code[i], [&](int r) {
      need_[static_cast<size_t>(r)] = Around(need_[static_cast<size_t>(r)], in);
    });
  }
  auto task = pass.tasks.begin();
  for (size_t i = 0; i < code.size(); ++i) {
    at_ = &code[i];
    const auto begin = Clock::now();
    const int out = code[i].out;
    if (out >= 0 && !need_[static_cast<size_t>(out)].empty())
      Compute(i, need_[static_cast<size_t>(out)]);
    if (code[i].kind == OpKind::kPlace) PlaceOnCanvas(i);
    for (; task != pass.tasks.end() && (*task)->at == i; ++task) {
      parts_.clear();
      for (const int r : (*task)->inputs) parts_.push_back(PartIn(r, block));
      (*task)->Take(parts_, block, writer_);
    }
    for (size_t r = 0; r < registers_.size(); ++r) {
      if (plan_->last_use[r] == static_cast<int>(i)) Release(registers_[r]);
    }
    seconds_[i] += std::chrono::duration<double>(Clock::now() - begin).count();
  }
  at_ = nullptr;
}

void BlockThread::Compute(size_t i, const Region& out) {
  const Instruction& op = plan_->program.code[i];
  const Region made = plan_->Made(i, out);
  if (plan_->HoldsObjects(i)) {
    PaintObjects(*facts_->objects[static_cast<size_t>(op.out)], out.y, out.x, Hold(op.out, out));
    return;
  }
  if (plan_->TakesWhole(i)) {
    const Plane& whole = facts_->planes[static_cast<size_t>(op.out)]->plane;
    registers_[static_cast<size_t>(op.out)] = {{}, whole, WholeOf(whole.height, whole.width)};
    return;
  }
  switch (op.kind) {
    case OpKind::kRead:
      ReadPart(plan_->job.sources.at(static_cast<size_t>(op.sources.at(0))), made,
               Hold(op.out, made));
      break;
    case OpKind::kProject:
    case OpKind::kProjectRegs:
      Project(op, made);
      break;
    case OpKind::kCanvas: {
      const Plane canvas = Hold(op.out, out);
      std::memset(canvas.data, 0, static_cast<size_t>(canvas.bytes()));
      break;
    }
    case OpKind::kThreshold:
      Threshold(PartIn(op.in, out), facts_->instructions[i].threshold, Hold(op.out, out));
      break;
    case OpKind::kApply:
      Apply(i, out, made);
      break;
    default:
      throw Error(Code::kInternal, "an instruction has no result by blocks");
  }
}

void BlockThread::Apply(size_t i, const Region& out, const Region& made) {
  const Instruction& op = plan_->program.code[i];
  const BlockFacts::Of& known = facts_->instructions[i];
  const Region source = plan_->InputOf(i, out);
  const Plane in = PartIn(op.in, source);
  others_.clear();
  if (op.resource >= 0) {
    const BlockResource& r = resources_.at(static_cast<size_t>(op.resource));
    const BlockPlan::Value& whole = plan_->value(op.in);
    if (r.height != whole.height || r.width != whole.width) {
      throw Error(Code::kOpShape, "the illumination image is " + std::to_string(r.width) + " x " +
                                      std::to_string(r.height) + " px and the plane " +
                                      std::to_string(whole.width) + " x " +
                                      std::to_string(whole.height));
    }
    auto* const field =
        const_cast<float*>(r.field->data());  // planes do not tell what is read only
    others_.push_back(PartOf(PackedPlane(field, DType::kF32, r.height, r.width),
                             WholeOf(r.height, r.width), source));
  }
  for (const int r : op.inputs) others_.push_back(PartIn(r, source));
  CheckInput(*op.row, in, others_);
  std::optional<MinMax> range;
  const OpCall call{known.arguments, in, others_, Hold(op.out, made), scratch_, &range};
  if (op.row->run_part == nullptr) return op.row->run(call);
  const BlockPlan::Value &whole_in = plan_->value(op.in), &whole_out = plan_->value(op.out);
  op.row->run_part(call, {{whole_in.height, whole_in.width},
                          {whole_out.height, whole_out.width},
                          source,
                          made,
                          known.facts});
}

void BlockThread::PlaceOnCanvas(size_t i) {
  const Instruction& op = plan_->program.code[i];
  const Register& canvas = registers_[static_cast<size_t>(op.inputs[0])];
  if (need_[static_cast<size_t>(op.inputs[0])].empty()) return;
  const Region part = plan_->PlacedPart(i, canvas.held);
  if (part.empty()) return;
  const MosaicPlan& mosaic = plan_->job.mosaics[static_cast<size_t>(op.mosaic)];
  // As if all of the image were there: no pixel outside the part is seen in this one of the canvas.
  const Plane held = PartIn(op.in, part);
  const auto first = reinterpret_cast<uintptr_t>(held.data) -
                     static_cast<uintptr_t>(part.y * held.stride) -
                     static_cast<uintptr_t>(part.x) * DTypeSize(held.dtype);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address outside the part is no pointer yet
  const Plane image{reinterpret_cast<std::byte*>(first), held.dtype, mosaic.image_height,
                    mosaic.image_width, held.stride};
  PlaceImage(mosaic, static_cast<size_t>(op.image), image, op.blend, op.placing, canvas.held.y,
             canvas.held.x, canvas.plane);
}

void BlockThread::Project(const Instruction& op, const Region& made) {
  projector_.Begin(op.projection, static_cast<int64_t>(op.a));
  const bool reads = op.kind == OpKind::kProject;
  const DType dtype = reads ? plan_->job.sources.at(static_cast<size_t>(op.sources[0])).dtype
                            : plan_->value(op.inputs[0]).dtype;
  const Plane out = Hold(op.out, made);
  std::vector<Loan> beside;
  const auto temporary = [&](DType d) {
    beside.push_back(Take());
    return Place(beside.back(), d, made);
  };
  const Plane sums =
      HasAccumulator(op.projection) ? temporary(projector_.AccumulatorOf(dtype)) : out;
  const size_t count = reads ? op.sources.size() : op.inputs.size();
  Plane next;
  if (reads) next = temporary(dtype);
  for (size_t k = 0; k < count; ++k) {
    if (reads) {
      ReadPart(plan_->job.sources.at(static_cast<size_t>(op.sources[k])), made, next);
    } else {
      next = PartIn(op.inputs[k], made);
    }
    if (k == 0) {
      projector_.First(next, sums);
    } else {
      projector_.Next(next, sums);
    }
  }
  projector_.Finish(static_cast<int64_t>(count), sums, out);
  free_.insert(free_.end(), beside.begin(), beside.end());
}

void BlockThread::CloseSource() {
  if (open_ == nullptr) return;
  open_ = nullptr;
  reader_.Close();
}

void BlockThread::ReadPart(const Source& source, const Region& part, const Plane& dst) {
  if (source.array) {
    if (source.chunks) {
      zarr_reader_.Read(*source.array, *source.chunks, source.index, part.y, part.x, dst);
    } else {
      zarr_reader_.Read(*source.array, source.index, part.y, part.x, dst);
    }
    bytes_read_ += zarr_reader_.bytes_read();
    return;
  }
  int64_t before = 0;
  if (open_ != &source) {
    CloseSource();
    if (source.parts) {
      reader_.Open(*source.parts);
    } else {
      reader_.Open(source.path);
    }
    CheckUnchanged(source, reader_.layout(source.page));
    open_ = &source;
  } else {
    before = reader_.bytes_read();
  }
  reader_.ReadRegion(source.page, 0, source.sample, part.y, part.x, dst);
  bytes_read_ += reader_.bytes_read() - before;
}

void BlockThread::MakeChunk(const ZarrArray& below, std::span<const int64_t> index,
                            PlaneShape plane, bool labels, const Region& chunk, PlaneParts& level) {
  ReleaseAll();
  const Plane to = Place(Take(), below.dtype, chunk);
  const Loan loan = Take();
  const int64_t bottom = std::min(2 * chunk.bottom(), plane.height);
  const int64_t width = std::min(2 * chunk.right(), plane.width) - 2 * chunk.x;
  // As many rows at once as the slot holds; pairs of rows stay together.
  const int64_t row_bytes = width * static_cast<int64_t>(DTypeSize(below.dtype));
  const int64_t rows =
      std::max<int64_t>(2, static_cast<int64_t>(pool_.slot_bytes()) / row_bytes / 2 * 2);
  for (int64_t top = 2 * chunk.y; top < bottom; top += rows) {
    const Region part{top, 2 * chunk.x, std::min(rows, bottom - top), width};
    const Plane from = Place(loan, below.dtype, part);
    level_reader_.Read(below, index, part.y, part.x, from);
    const Plane half = PartOf(to, chunk, {top / 2, chunk.x, HalfSize(part.height), chunk.width});
    if (labels) {
      HalveStride(from, half);
    } else {
      HalveMean(from, half);
    }
  }
  bytes_written_ += writer_.WritePart(to, chunk.y, chunk.x, level);
}

}  // namespace tilecast
