// SPDX-License-Identifier: MIT
// One thread's part in a large image: reads and computes the parts of registers that a block is
// made from, each in a slot, and hands blocks to tasks.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "exec/block_plan.h"
#include "exec/block_tasks.h"
#include "exec/executor.h"
#include "exec/stack_projector.h"
#include "tiff/tiff_reader.h"
#include "zarr/plane_reader.h"

namespace tilecast {

// A field or an estimate of the executor, by its number.
struct BlockResource {
  IlluminationEstimator* estimator = nullptr;
  const std::vector<float>* field = nullptr;
  int64_t height = 0, width = 0;
};

// What passes have found out so far about each instruction; written between passes only.
struct BlockFacts {
  struct Of {
    bool settled = false;   // whatever it asked for is known
    double threshold = 0;   // kThreshold, kLabel
    OpArguments arguments;  // kApply
    PlaneFacts facts;       // kApply
  };
  std::vector<Of> instructions;
  std::vector<std::unique_ptr<Objects>> objects;   // by register; of those that are there
  std::vector<std::unique_ptr<HeldPlane>> planes;  // by register; results of ops on whole images
};

// A pass over the blocks of one image size.
struct BlockPass {
  PlaneShape image, block;
  std::vector<BlockTask*> tasks;  // by `at`
};

class BlockThread {
 public:
  BlockThread(TilePool& pool, const ExecutorOptions& options, const std::atomic<bool>& cancel,
              const std::vector<BlockResource>& resources);
  ~BlockThread();
  BlockThread(const BlockThread&) = delete;
  BlockThread& operator=(const BlockThread&) = delete;

  // Before the first block: waits for the slots.
  void Reserve(const BlockPlan& plan, const BlockFacts& facts);
  // Takes the blocks of one band, from left to right. `stop` is looked at between blocks.
  void RunBand(const BlockPass& pass, int64_t band, const std::atomic<bool>& stop);

  // One chunk of a pyramid's level, from the level below, of which the plane has `plane`.
  void MakeChunk(const ZarrArray& below, std::span<const int64_t> index, PlaneShape plane,
                 bool labels, const Region& chunk, PlaneParts& level);

  // The instruction in hand, for errors; null: none.
  const Instruction* at() const { return at_; }
  const std::vector<double>& seconds() const { return seconds_; }
  int64_t bytes_read() const { return bytes_read_; }
  int64_t bytes_written() const { return bytes_written_; }

 private:
  struct Register {
    std::optional<Loan> loan;
    Plane plane;
    Region held;
  };

  void RunBlock(const BlockPass& pass, const Region& block);
  void Compute(size_t i, const Region& out);
  void Apply(size_t i, const Region& out, const Region& made);
  void PlaceOnCanvas(size_t i);
  void Project(const Instruction& op, const Region& made);
  void ReadPart(const Source& source, const Region& part, const Plane& dst);
  void CloseSource();
  Loan Take();
  Plane Place(Loan loan, DType dtype, const Region& part) const;
  Plane Hold(int reg, const Region& part);
  Plane PartIn(int reg, const Region& part) const;
  void Release(Register& reg);
  void ReleaseAll();

  TilePool& pool_;
  const ExecutorOptions& options_;
  const std::atomic<bool>& cancel_;
  const std::vector<BlockResource>& resources_;
  const BlockPlan* plan_ = nullptr;
  const BlockFacts* facts_ = nullptr;
  std::vector<Loan> reserved_, free_;
  std::vector<Register> registers_;
  std::vector<Region> need_;
  std::vector<Plane> parts_, others_;
  TiffReader reader_;
  const Source* open_ = nullptr;  // whose file reader_ has open
  ZarrPlaneReader zarr_reader_, level_reader_;
  PlaneWriter writer_;
  StackProjector projector_;
  OpScratch scratch_;
  const Instruction* at_ = nullptr;
  std::vector<double> seconds_;  // by instruction
  int64_t bytes_read_ = 0, bytes_written_ = 0;
};

}  // namespace tilecast
