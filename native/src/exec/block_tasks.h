// SPDX-License-Identifier: MIT
// What passes over the blocks of a large image are for: statistics, objects, measurements, written
// planes, pictures. A task takes blocks from all threads; blocks of the same rows come one after
// the other, from left to right.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "exec/executor.h"
#include "exec/program.h"
#include "exec/region.h"
#include "ops/measure.h"
#include "ops/object_parts.h"
#include "ops/plane_statistics.h"
#include "zarr/plane_writer.h"

namespace tilecast {

class BlockTask {
 public:
  // `at`: the instruction that it is for. `inputs`: the registers whose blocks it takes, all of one
  // size.
  BlockTask(size_t at, std::vector<int> inputs) : at(at), inputs(std::move(inputs)) {}
  virtual ~BlockTask() = default;

  // One block of each input; `writer` is the thread's.
  virtual void Take(std::span<const Plane> parts, const Region& block, PlaneWriter& writer) = 0;
  // After a pass over all blocks, from one thread: false when it needs another pass.
  virtual bool End() = 0;

  // Blocks begin at multiples of it.
  virtual PlaneShape Step() const { return {1, 1}; }

  const size_t at;
  const std::vector<int> inputs;
};

// A whole image in memory of its own, small enough for a slot.
struct HeldPlane {
  HeldPlane(DType dtype, int64_t height, int64_t width);

  std::vector<std::byte> memory;
  Plane plane;
};

// Puts whole images together; `done` takes them.
class PlanesTask : public BlockTask {
 public:
  PlanesTask(size_t at, std::vector<int> inputs, std::vector<HeldPlane> planes,
             std::function<void(std::vector<HeldPlane>&)> done)
      : BlockTask(at, std::move(inputs)), planes_(std::move(planes)), done_(std::move(done)) {}
  void Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) override;
  bool End() override;

 private:
  std::vector<HeldPlane> planes_;
  std::function<void(std::vector<HeldPlane>&)> done_;
};

// Gathers a statistic; `done` has it when it is known.
class StatisticTask : public BlockTask {
 public:
  StatisticTask(size_t at, int input, std::unique_ptr<PlaneStatistic> statistic,
                std::function<void()> done)
      : BlockTask(at, {input}), statistic_(std::move(statistic)), done_(std::move(done)) {}
  void Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) override {
    statistic_->Add(parts[0], block.y, block.x);
  }
  bool End() override;

 private:
  std::unique_ptr<PlaneStatistic> statistic_;
  std::function<void()> done_;
};

// Collects the runs of a mask, {pixel > value}, or of labels; `done` takes them.
class ObjectsTask : public BlockTask {
 public:
  ObjectsTask(size_t at, int input, std::unique_ptr<ObjectParts> parts, double value,
              std::function<void(ObjectParts&)> done)
      : BlockTask(at, {input}), parts_(std::move(parts)), value_(value), done_(std::move(done)) {}
  void Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) override;
  bool End() override;

 private:
  std::unique_ptr<ObjectParts> parts_;
  double value_;
  std::function<void(ObjectParts&)> done_;
};

// Intensities of objects on some images, as MeasureIntensity adds them up.
class MeasureTask : public BlockTask {
 public:
  MeasureTask(size_t at, std::vector<int> inputs, const Objects& objects);
  void Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) override;
  bool End() override;

  std::vector<std::vector<IntensityRow>> rows;  // by input, then by object

 private:
  struct Extremes {
    double min, max;
    bool nan;
  };
  struct Image {
    bool real = false;
    // Floats: the sum of each run so far, added up in order at the end as if it were one image.
    std::vector<double> run_sums;
    std::vector<int64_t> sums;       // integers: of each object, guarded by mutex_
    std::vector<Extremes> extremes;  // of each object, guarded by mutex_
  };
  void Add(Image& image, const Plane& part, const Region& block);

  const Objects& objects_;
  std::vector<Image> images_;
  std::mutex mutex_;
};

// Writes a plane's first level, and looks for its display range.
class WriteTask : public BlockTask {
 public:
  WriteTask(size_t at, int input, const PlaneTarget& target, const ZarrEncoding& encoding,
            DType dtype, bool samples, int64_t height, int64_t width);
  void Take(std::span<const Plane> parts, const Region& block, PlaneWriter& writer) override;
  bool End() override;

  PlaneShape Step() const override { return {plane_.chunk_height(), plane_.chunk_width()}; }

  int64_t written() const { return written_; }
  // Every k-th pixel along both sides, but NaN and infinities.
  std::vector<float> sample();

 private:
  PlaneParts plane_;
  const DType dtype_;
  const int64_t step_;  // of the sample; 0: none
  int64_t across_ = 0;
  std::vector<float> sample_;
  std::atomic<int64_t> written_{0};
};

// Block means for the report; sums of rows are kept so that they are added up in the order of the
// rows, as BlockMean does.
class ThumbnailTask : public BlockTask {
 public:
  ThumbnailTask(size_t at, int input, int64_t height, int64_t width, int64_t factor);
  void Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) override;
  bool End() override;

  ThumbnailImage image;

 private:
  const int64_t height_, width_, factor_;
  std::vector<double> sums_;  // [row][cell]
};

// Reduces a plane for an estimate of the illumination; blocks begin at multiples of its factor.
class CollectTask : public BlockTask {
 public:
  CollectTask(size_t at, int input, IlluminationEstimator& estimator, int index, float background)
      : BlockTask(at, {input}), estimator_(estimator), index_(index), background_(background) {}
  void Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) override {
    estimator_.AddPart(index_, block.y, block.x, parts[0], background_);
  }
  bool End() override { return true; }
  PlaneShape Step() const override { return {estimator_.factor(), estimator_.factor()}; }

 private:
  IlluminationEstimator& estimator_;
  int index_;
  float background_;
};

}  // namespace tilecast
