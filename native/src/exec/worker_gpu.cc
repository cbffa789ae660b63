// SPDX-License-Identifier: MIT
// Runs a segment on the GPU: slots in, slots and table rows out, or nothing where the processor has
// to.
#include <chrono>
#include <cstring>

#include "exec/worker.h"

namespace tilecast {
namespace {

bool Matches(const Plane& plane, const TileShape& tile) {
  return plane.dtype == tile.dtype && plane.height == tile.height && plane.width == tile.width;
}

// Whether the processor has to find a threshold: gpu/segmentation.h, GpuThreshold.
bool Declined(const std::vector<std::byte>& words) {
  uint32_t flag = 0;
  std::memcpy(&flag, words.data() + sizeof flag, sizeof flag);
  return flag != 0;
}

}  // namespace

bool Executor::Worker::RunSegment(const GpuPlan& plan, size_t at, const Job& job,
                                  JobResult& result) {
  const GpuSegment& segment = plan.segments[at];
  for (const int r : segment.inputs) {  // the processor says what is wrong
    if (!Matches(plane(r), plan.tiles[static_cast<size_t>(r)])) return false;
  }
  const auto field = [&](int resource) -> GpuWork::Field {
    const Resource& r = resources_.at(static_cast<size_t>(resource));
    return {r.height, r.width, r.field};
  };
  GpuWork& gpu = *context_.gpu;
  const SegmentRecipe* recipe = gpu.RecipeOf(plan, at, field);
  if (recipe == nullptr) return false;

  gpu::Request request{recipe->recipe, {}, {}};
  for (const int r : segment.inputs) request.inputs.push_back(plane(r));
  for (const int r : segment.outputs) {
    const TileShape& t = plan.tiles[static_cast<size_t>(r)];
    request.outputs.push_back(Allocate(r, t.dtype, t.height, t.width));
  }
  const auto undo = [&](const std::string& why, bool failed) {
    gpu.NoteRedone(plan, at, why, failed);
    for (const int r : segment.outputs) Release(registers_[static_cast<size_t>(r)]);
    return false;
  };
  const auto begin = std::chrono::steady_clock::now();
  try {
    const CoreLimit::Pause pause(context_.cores);
    gpu.Run(request);
  } catch (const std::exception& e) {
    return undo(e.what(), true);
  }
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;

  if (request.doubtful()) return undo("an op that meets NaN or infinite pixels", false);
  for (const size_t words : recipe->thresholds) {
    if (Declined(request.results.at(words))) {
      return undo("the threshold of a plane with NaN, infinite or too few values", false);
    }
  }
  struct Rows {
    std::vector<ShapeRow> shapes;
    std::vector<std::vector<IntensityRow>> intensities;
  };
  std::vector<Rows> measured(recipe->measures.size());
  for (size_t m = 0; m < measured.size(); ++m) {
    const SegmentRecipe::Measure& measure = recipe->measures[m];
    std::vector<std::vector<std::byte>> bytes;
    bytes.reserve(measure.results.size());
    for (const size_t r : measure.results) bytes.push_back(std::move(request.results.at(r)));
    if (!gpu::DecodeMeasurements(measure.what, bytes, measured[m].shapes,
                                 measured[m].intensities)) {
      return undo("more objects in a plane than " + std::to_string(measure.what.capacity) +
                      ", or NaN pixels in them",
                  false);
    }
  }
  // Nothing was added to the result before everything had been decoded.
  for (size_t m = 0; m < measured.size(); ++m) {
    const Instruction& op = plan.program.code[static_cast<size_t>(recipe->measures[m].instruction)];
    AddRows(op, job, measured[m].shapes, measured[m].intensities, result);
  }
  // Labels are written from their runs.
  for (int i = segment.first; i <= segment.last; ++i) {
    const Instruction& op = plan.program.code[static_cast<size_t>(i)];
    if (op.kind != OpKind::kLabel ||
        plan.program.last_use[static_cast<size_t>(op.out)] <= segment.last) {
      continue;
    }
    ObjectsOf(op.out);
    registers_[static_cast<size_t>(op.out)].labelled = true;
  }
  gpu.NoteDone(plan, at, waited.count());
  return true;
}

}  // namespace tilecast
