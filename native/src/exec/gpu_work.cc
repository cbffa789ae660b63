// SPDX-License-Identifier: MIT
// Plans and recipes are kept by what they depend on.
#include "exec/gpu_work.h"

#include <cstring>

#include "error.h"

namespace tilecast {
namespace {

constexpr int kFailuresInARow = 3;

std::string TextOf(const std::vector<TileShape>& sources) {
  std::string text;
  for (const TileShape& s : sources) {
    text += std::string(DTypeName(s.dtype)) + std::to_string(s.height) + "x" +
            std::to_string(s.width) + ";";
  }
  return text;
}

}  // namespace

GpuWork::GpuWork(std::shared_ptr<gpu::Engine> engine, std::shared_ptr<TilePool> pool,
                 std::set<std::string> left)
    : engine_(std::move(engine)), pool_(std::move(pool)), left_(std::move(left)) {
  TilePool* slots = pool_.get();
  engine_->Register({slots->base(), slots->slot_bytes(), slots->slots(),
                     [slots](uint32_t slot) { return slots->MappedEpoch(slot); }});
}

GpuWork::~GpuWork() {
  engine_->Forget(pool_->base());
}

const GpuPlan* GpuWork::PlanOf(int index, const Program& program, std::vector<TileShape> sources,
                               int reserved) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<GpuPlan>& plan = plans_[{index, TextOf(sources)}];
  if (!plan) {
    plan = std::make_unique<GpuPlan>(
        PlanForGpu(program, sources, [&](const GpuSegment& s) { return left_.count(s.key) == 0; }));
    for (const CpuInstruction& op : plan->on_cpu) {
      on_cpu_.emplace(op.stage + "\n" + op.title + "\n" + op.why, op);
    }
    if (plan->slots + reserved > static_cast<int>(pool_->slots())) plan->segments.clear();
  }
  return plan->segments.empty() ? nullptr : plan.get();
}

GpuWork::Segment& GpuWork::Of(const GpuPlan& plan, size_t segment) {
  const GpuSegment& s = plan.segments[segment];
  Segment& at = segments_[s.key];
  if (at.account.key.empty()) {
    at.account.key = s.key;
    at.account.title = s.title;
    at.account.stages = StagesOf(plan, s);
  }
  return at;
}

const SegmentRecipe* GpuWork::RecipeOf(const GpuPlan& plan, size_t segment,
                                       const std::function<Field(int resource)>& field) {
  const std::lock_guard lock(mutex_);
  Segment& at = Of(plan, segment);
  const auto [made, fresh] = recipes_.try_emplace({&plan, segment});
  if (fresh) {
    try {
      const auto shared = [&](int resource) { return Upload(resource, field(resource)); };
      made->second.recipe =
          std::make_unique<SegmentRecipe>(BuildRecipe(plan, plan.segments[segment], shared));
    } catch (const Error& e) {
      made->second.why = e.what();
    }
  }
  if (made->second.recipe && !at.given_up) return made->second.recipe.get();
  ++at.account.redone[at.given_up ? "the GPU failed several times in a row" : made->second.why];
  return nullptr;
}

FieldData GpuWork::Upload(int resource, const Field& field) {
  FieldData& at = fields_[resource];
  if (!at.data) {
    auto bytes = std::make_shared<std::vector<std::byte>>(field.pixels.size() * sizeof(float));
    std::memcpy(bytes->data(), field.pixels.data(), bytes->size());
    at = {std::move(bytes), field.height, field.width};
  }
  return at;
}

void GpuWork::NoteDone(const GpuPlan& plan, size_t segment, double seconds) {
  const std::lock_guard lock(mutex_);
  Segment& at = Of(plan, segment);
  at.failures = 0;
  ++at.account.tiles;
  at.account.seconds += seconds;
}

void GpuWork::NoteRedone(const GpuPlan& plan, size_t segment, const std::string& why, bool failed) {
  const std::lock_guard lock(mutex_);
  Segment& at = Of(plan, segment);
  ++at.account.redone[why];
  at.failures = failed ? at.failures + 1 : 0;
  if (at.failures == kFailuresInARow) at.given_up = true;
}

GpuAccount GpuWork::Account() const {
  const std::lock_guard lock(mutex_);
  GpuAccount account;
  for (const auto& [key, segment] : segments_) account.segments.push_back(segment.account);
  for (const auto& [key, op] : on_cpu_) account.on_cpu.push_back(op);
  return account;
}

}  // namespace tilecast
