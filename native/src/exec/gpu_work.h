// SPDX-License-Identifier: MIT
// The GPU's share of an executor's work: plans and recipes by the shape of a job, and the account
// of what ran where.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "exec/gpu_recipe.h"
#include "exec/gpu_segments.h"
#include "gpu/engine.h"
#include "shm/tile_pool.h"

namespace tilecast {

// What became of the segments of one key.
struct SegmentAccount {
  std::string key, title;
  std::vector<std::string> stages;
  uint64_t tiles = 0;                      // that the GPU did
  double seconds = 0;                      // that their workers waited for it, all of them together
  std::map<std::string, uint64_t> redone;  // by reason: tiles that the processor did after all
};

struct GpuAccount {
  std::vector<SegmentAccount> segments;
  std::vector<CpuInstruction> on_cpu;
};

// Any thread.
class GpuWork {
 public:
  // Segments whose key is in `left` are the processor's.
  GpuWork(std::shared_ptr<gpu::Engine> engine, std::shared_ptr<TilePool> pool,
          std::set<std::string> left);
  ~GpuWork();
  GpuWork(const GpuWork&) = delete;
  GpuWork& operator=(const GpuWork&) = delete;

  // The plan of program number `index` for such sources; null where the GPU has no part in it, or
  // the pool cannot hold a job of it beside `reserved` slots.
  const GpuPlan* PlanOf(int index, const Program& program, std::vector<TileShape> sources,
                        int reserved);
  // The recipe of a plan's segment, made at its first use, when illuminations are known: `field`
  // gives them. Null where there is none (any more): the account says why.
  struct Field {
    int64_t height = 0, width = 0;
    const std::vector<float>& pixels;
  };
  const SegmentRecipe* RecipeOf(const GpuPlan& plan, size_t segment,
                                const std::function<Field(int resource)>& field);

  // kGpuFailed.
  void Run(gpu::Request& request) { engine_->Run(request); }

  void NoteDone(const GpuPlan& plan, size_t segment, double seconds);
  // `failed`: the device, not the pixels: after some in a row, the segment is the processor's.
  void NoteRedone(const GpuPlan& plan, size_t segment, const std::string& why, bool failed);

  GpuAccount Account() const;

 private:
  struct Segment {
    SegmentAccount account;
    int failures = 0;  // in a row
    bool given_up = false;
  };
  struct Made {
    std::unique_ptr<SegmentRecipe> recipe;
    std::string why;  // there is none
  };

  Segment& Of(const GpuPlan& plan, size_t segment);
  FieldData Upload(int resource, const Field& field);

  const std::shared_ptr<gpu::Engine> engine_;
  const std::shared_ptr<TilePool> pool_;
  const std::set<std::string> left_;

  mutable std::mutex mutex_;
  std::map<std::pair<int, std::string>, std::unique_ptr<GpuPlan>> plans_;
  std::map<std::pair<const GpuPlan*, size_t>, Made> recipes_;
  std::map<int, FieldData> fields_;
  std::map<std::string, Segment> segments_;  // by key
  std::map<std::string, CpuInstruction> on_cpu_;
};

}  // namespace tilecast
