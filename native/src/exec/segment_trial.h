// SPDX-License-Identifier: MIT
// Measures how fast the processor and the GPU do a segment, by doing it both ways on made-up tiles
// of the same size.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "exec/gpu_segments.h"
#include "gpu/engine.h"

namespace tilecast {

struct SegmentRates {
  std::string key, title;
  double cpu = 0, gpu = 0;  // tiles a second; gpu 0: it failed
  std::string why;          // it failed
};

struct TrialOptions {
  int cores = 1;
  int workers = 1;        // that wait for the GPU
  double seconds = 0.15;  // for each engine, and at least one tile a worker
  // Bytes of tiles; fewer workers try where it does not suffice, and none where one job takes more
  // than four times as much (kPoolMemory).
  uint64_t memory = 1 << 29;
};

// The rates of every segment of the plan. All cores work for the processor's
// rate; as many workers as a run has wait for the GPU's, which has compiled its kernels before, and
// copies tiles as it would in a run. The tiles are nuclei on a noisy background, since the time of
// labels and measurements depends on what is there.
std::vector<SegmentRates> TrySegments(const GpuPlan& plan,
                                      const std::shared_ptr<gpu::Engine>& engine,
                                      const TrialOptions& options);

}  // namespace tilecast
