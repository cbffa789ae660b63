// SPDX-License-Identifier: MIT
// Ranges, histograms, percentiles and Li's sums from parts of an image.
#include "ops/plane_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "error.h"
#include "ops/arithmetic.h"
#include "ops/counts.h"
#include "ops/histogram.h"
#include "ops/kernels/kernels.h"

namespace tilecast {
namespace {

// Unsigned integers in the order of the numbers.
template <class T>
uint64_t KeyOf(T value) {
  if constexpr (std::is_same_v<T, float>) {
    const auto bits = std::bit_cast<uint32_t>(value);
    return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
  } else if constexpr (std::is_same_v<T, double>) {
    const auto bits = std::bit_cast<uint64_t>(value);
    return bits >> 63 != 0 ? ~bits : bits | (uint64_t{1} << 63);
  } else {
    return static_cast<uint64_t>(static_cast<int64_t>(value) - std::numeric_limits<T>::min());
  }
}

double NumberOf(DType dtype, uint64_t key) {
  return Visit(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>) {
      const auto k = static_cast<uint32_t>(key);
      return static_cast<double>(std::bit_cast<float>(k >> 31 != 0 ? k & 0x7fffffffu : ~k));
    } else if constexpr (std::is_same_v<T, double>) {
      return std::bit_cast<double>(key >> 63 != 0 ? key & ~(uint64_t{1} << 63) : ~key);
    } else {
      return static_cast<double>(static_cast<int64_t>(key) + std::numeric_limits<T>::min());
    }
  });
}

constexpr int64_t kDigit = 65536;

int64_t LeastOf(DType dtype) {
  return dtype == DType::kI8 ? -128 : dtype == DType::kI16 ? -32768 : 0;
}

}  // namespace

void RangeStatistic::Add(const Plane& part, int64_t, int64_t) {
  RowRange range{HUGE_VAL, -HUGE_VAL, false};
  const auto row = Kernels().range[static_cast<int>(part.dtype)];
  for (int64_t y = 0; y < part.height; ++y) row(part.row<std::byte>(y), part.width, &range);
  const std::lock_guard lock(mutex_);
  range_.min = std::min(range_.min, range.min);
  range_.max = std::max(range_.max, range.max);
  nan_ |= range.nan;
}

bool RangeStatistic::EndRound() {
  if (nan_) throw Error(Code::kInvalidArgument, "range: the image has NaN pixels");
  return false;
}

LevelStatistic::LevelStatistic(std::string op, DType dtype) : op_(std::move(op)), dtype_(dtype) {
  RequireCountable(op_, dtype);
  if (IsFloat(dtype)) range_.emplace();
}

void LevelStatistic::Add(const Plane& part, int64_t y, int64_t x) {
  if (range_) return range_->Add(part, y, x);
  if (bins32_ || bins64_) {
    FloatCounts counts{};
    if (bins32_) {
      bins32_->Count(part, counts);
    } else {
      bins64_->Count(part, counts);
    }
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < counts.size(); ++i) bin_counts_[i] += counts[i];
    return;
  }
  thread_local ValueCounts values;
  CountValues(part, values);
  const std::lock_guard lock(mutex_);
  if (value_counts_.empty()) value_counts_.resize(DTypeSize(dtype_) == 1 ? 256 : kDigit);
  const auto first = static_cast<size_t>(values.low - LeastOf(dtype_));
  for (size_t i = 0; i < values.counts.size(); ++i) value_counts_[first + i] += values.counts[i];
}

template <class T>
void LevelStatistic::Finish(const FloatBins<T>& bins) {
  std::vector<T> centers;
  bins.Finish(bin_counts_, counts, centers);
  levels.assign(centers.begin(), centers.end());
}

bool LevelStatistic::EndRound() {
  if (range_) {
    range_->EndRound();
    const MinMax range = range_->range();
    range_.reset();
    bool constant = false;
    if (dtype_ == DType::kF32) {
      constant = bins32_.emplace(op_, range).constant();
    } else {
      constant = bins64_.emplace(op_, range).constant();
    }
    if (!constant) return true;
    counts.assign(1, 1.0f);
    levels.assign(1, range.min);
    return false;
  }
  if (bins32_) {
    Finish(*bins32_);
  } else if (bins64_) {
    Finish(*bins64_);
  } else {
    const auto used = [](uint64_t n) { return n != 0; };
    const auto first = std::find_if(value_counts_.begin(), value_counts_.end(), used);
    const auto last = std::find_if(value_counts_.rbegin(), value_counts_.rend(), used).base();
    counts.assign(first, last);
    for (auto at = first; at != last; ++at)
      levels.push_back(static_cast<double>(LeastOf(dtype_) + (at - value_counts_.begin())));
  }
  return false;
}

PercentileStatistic::PercentileStatistic(DType dtype, int64_t pixels, std::vector<double> qs)
    : dtype_(dtype), pixels_(pixels), qs_(std::move(qs)) {
  for (const double q : qs_) {
    if (!(q >= 0 && q <= 100)) {
      throw Error(Code::kInvalidArgument,
                  "percentile: q must be within 0..100, got " + std::to_string(q));
    }
    const int64_t below = PercentileRank(q, pixels).below;
    targets_.push_back({0, below, 0});
    targets_.push_back({0, std::min(below + 1, pixels - 1), 0});
  }
  shift_ = static_cast<int>(std::max<size_t>(2, DTypeSize(dtype)) - 2) * 8;
  Share();
}

void PercentileStatistic::Share() {
  shared_.clear();
  for (Target& t : targets_) {
    const auto at = std::find(shared_.begin(), shared_.end(), t.prefix);
    t.counts = static_cast<size_t>(at - shared_.begin());
    if (at == shared_.end()) shared_.push_back(t.prefix);
  }
  counts_.assign(shared_.size(), std::vector<uint64_t>(kDigit));
}

void PercentileStatistic::Add(const Plane& part, int64_t, int64_t) {
  thread_local std::vector<uint32_t> local;
  local.assign(shared_.size() * kDigit, 0);
  bool nan = false;
  Visit(part.dtype, [&](auto zero) {
    using T = decltype(zero);
    const bool whole = shift_ + 16 >= static_cast<int>(8 * sizeof(T));  // no digits before this one
    for (int64_t y = 0; y < part.height; ++y) {
      const T* const row = part.row<T>(y);
      for (int64_t x = 0; x < part.width; ++x) {
        if constexpr (IsFloat(DTypeOf<T>::value)) nan |= row[x] != row[x];
        const uint64_t key = KeyOf(row[x]) >> shift_;
        const uint64_t digit = key & (kDigit - 1), prefix = whole ? 0 : key >> 16;
        for (size_t i = 0; i < shared_.size(); ++i) {
          if (shared_[i] == prefix) ++local[i * kDigit + digit];
        }
      }
    }
  });
  const std::lock_guard lock(mutex_);
  nan_ |= nan;
  for (size_t i = 0; i < shared_.size(); ++i) {
    for (int64_t d = 0; d < kDigit; ++d)
      counts_[i][static_cast<size_t>(d)] += local[i * kDigit + static_cast<size_t>(d)];
  }
}

bool PercentileStatistic::EndRound() {
  if (nan_) throw Error(Code::kInvalidArgument, "percentile: the image has NaN pixels");
  for (Target& t : targets_) {
    const std::vector<uint64_t>& counts = counts_[t.counts];
    uint64_t digit = 0;
    while (digit + 1 < counts.size() && t.rank >= static_cast<int64_t>(counts[digit]))
      t.rank -= static_cast<int64_t>(counts[digit++]);
    t.prefix = t.prefix << 16 | digit;
  }
  if (shift_ > 0) {
    shift_ -= 16;
    Share();
    return true;
  }
  for (size_t i = 0; i < qs_.size(); ++i) {
    values.push_back(PercentileRank(qs_[i], pixels_)
                         .Between(NumberOf(dtype_, targets_[2 * i].prefix),
                                  NumberOf(dtype_, targets_[2 * i + 1].prefix)));
  }
  return false;
}

LiStatistic::LiStatistic(DType dtype, int64_t height, int64_t width)
    : dtype_(dtype),
      pixels_(height * width),
      fore_(static_cast<size_t>(height)),
      all_(static_cast<size_t>(height)) {}

void LiStatistic::Add(const Plane& part, int64_t y, int64_t x) {
  if (!search_) return range_.Add(part, y, x);
  int64_t above = 0;
  for (int64_t row = 0; row < part.height; ++row) {
    double &fore = fore_[static_cast<size_t>(y + row)], &all = all_[static_cast<size_t>(y + row)];
    if (dtype_ == DType::kF32) {
      AddLiRow(part.row<float>(row), part.width, static_cast<float>(range_.range().min),
               search_->threshold(), fore, all, above);
    } else {
      AddLiRow(part.row<double>(row), part.width, range_.range().min, search_->threshold(), fore,
               all, above);
    }
  }
  above_ += above;
}

bool LiStatistic::EndRound() {
  if (!search_) {
    range_.EndRound();
    const MinMax& range = range_.range();
    if (!std::isfinite(range.min) || !std::isfinite(range.max))
      throw Error(Code::kInvalidArgument, "li: pixel values must be finite");
    result_ = range.min;
    if (range.min == range.max) return false;
    search_.emplace(dtype_, range, pixels_);
    return true;
  }
  LiSides sides{0, 0, above_.exchange(0)};
  for (size_t y = 0; y < fore_.size(); ++y) {
    sides.fore += fore_[y];
    sides.back += all_[y] - fore_[y];
  }
  std::fill(fore_.begin(), fore_.end(), 0);
  std::fill(all_.begin(), all_.end(), 0);
  if (search_->Take(sides)) return true;
  result_ = search_->result();
  return false;
}

}  // namespace tilecast
