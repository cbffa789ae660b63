// SPDX-License-Identifier: MIT
// What ops must know of a whole image, gathered from its parts: the same to the last bit as from
// the image at once.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "image.h"
#include "ops/float_bins.h"
#include "ops/gaussian.h"
#include "ops/li_search.h"

namespace tilecast {

// Gathered in rounds: each pixel of the image once a round, in parts.
class PlaneStatistic {
 public:
  virtual ~PlaneStatistic() = default;
  // A part whose first pixel is (y, x) of the image. From any thread; but parts of the same row
  // come one after the other, from left to right.
  virtual void Add(const Plane& part, int64_t y, int64_t x) = 0;
  // After a round, from one thread: whether another one is needed.
  virtual bool EndRound() = 0;
};

// Range (histogram.h).
class RangeStatistic : public PlaneStatistic {
 public:
  void Add(const Plane& part, int64_t y, int64_t x) override;
  bool EndRound() override;
  const MinMax& range() const { return range_; }

 private:
  std::mutex mutex_;
  MinMax range_{HUGE_VAL, -HUGE_VAL};  // guarded by mutex_
  bool nan_ = false;                   // guarded by mutex_
};

// CountLevels (histogram.h). 8- and 16-bit integers take one round, floats two.
class LevelStatistic : public PlaneStatistic {
 public:
  // kOpDtype for 32-bit integers.
  LevelStatistic(std::string op, DType dtype);
  void Add(const Plane& part, int64_t y, int64_t x) override;
  bool EndRound() override;

  std::vector<float> counts;
  std::vector<double> levels;

 private:
  template <class T>
  void Finish(const FloatBins<T>& bins);

  const std::string op_;
  const DType dtype_;
  std::optional<RangeStatistic> range_;  // floats, first round
  std::optional<FloatBins<float>> bins32_;
  std::optional<FloatBins<double>> bins64_;
  std::mutex mutex_;
  FloatCounts bin_counts_{};            // guarded by mutex_
  std::vector<uint64_t> value_counts_;  // guarded by mutex_; by value - the dtype's least
  int64_t pixels_ = 0;                  // guarded by mutex_
};

// Percentiles (arithmetic.h) of several q at once: order statistics by digits of 16 bits, the most
// significant first. One round for 8 and 16 bits, two for 32, four for float64.
class PercentileStatistic : public PlaneStatistic {
 public:
  // kInvalidArgument for a q outside 0..100.
  PercentileStatistic(DType dtype, int64_t pixels, std::vector<double> qs);
  void Add(const Plane& part, int64_t y, int64_t x) override;
  bool EndRound() override;

  // In the order of `qs`.
  std::vector<double> values;

 private:
  // A rank that is looked for: the leading digits of its pixel, and its rank among the pixels that
  // share those.
  struct Target {
    uint64_t prefix = 0;
    int64_t rank = 0;
    size_t counts = 0;  // which of counts_
  };
  void Share();

  const DType dtype_;
  const int64_t pixels_;
  const std::vector<double> qs_;
  int shift_ = 0;                 // of the digit that this round counts
  std::vector<Target> targets_;   // two a q
  std::vector<uint64_t> shared_;  // the prefixes of this round, each once
  std::mutex mutex_;
  std::vector<std::vector<uint64_t>> counts_;  // guarded by mutex_
  bool nan_ = false;                           // guarded by mutex_
};

// LiThreshold of a float image (thresholds.h): a round for the range, then one an iteration.
class LiStatistic : public PlaneStatistic {
 public:
  LiStatistic(DType dtype, int64_t height, int64_t width);
  void Add(const Plane& part, int64_t y, int64_t x) override;
  bool EndRound() override;
  double result() const { return result_; }

 private:
  const DType dtype_;
  const int64_t pixels_;
  RangeStatistic range_;
  std::optional<LiSearch> search_;
  std::vector<double> fore_, all_;  // of each row so far
  std::atomic<int64_t> above_{0};
  double result_ = 0;
};

}  // namespace tilecast
