// SPDX-License-Identifier: MIT
// Each task adds its blocks up so that the result does not depend on how the image was cut.
#include "exec/block_tasks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "exec/job_output.h"
#include "ops/arithmetic.h"
#include "ops/kernels/kernels.h"
#include "ops/resample.h"

namespace tilecast {

HeldPlane::HeldPlane(DType dtype, int64_t height, int64_t width)
    : memory(static_cast<size_t>(height * width) * DTypeSize(dtype)),
      plane(PackedPlane(memory.data(), dtype, height, width)) {}

void PlanesTask::Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) {
  for (size_t k = 0; k < planes_.size(); ++k) {
    const Plane& whole = planes_[k].plane;
    const Plane to = PartOf(whole, WholeOf(whole.height, whole.width), block);
    for (int64_t y = 0; y < block.height; ++y) {
      std::memcpy(to.row<std::byte>(y), parts[k].row<std::byte>(y),
                  static_cast<size_t>(to.row_bytes()));
    }
  }
}

bool PlanesTask::End() {
  done_(planes_);
  planes_.clear();
  return true;
}

bool StatisticTask::End() {
  if (statistic_->EndRound()) return false;
  done_();
  return true;
}

void ObjectsTask::Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) {
  if (std::isnan(value_)) {
    parts_->AddLabels(parts[0], block.y, block.x);
  } else {
    parts_->AddMask(parts[0], value_, block.y, block.x);
  }
}

bool ObjectsTask::End() {
  done_(*parts_);
  parts_.reset();
  return true;
}

MeasureTask::MeasureTask(size_t at, std::vector<int> inputs, const Objects& objects)
    : BlockTask(at, std::move(inputs)), objects_(objects) {
  images_.resize(this->inputs.size());
}

void MeasureTask::Add(Image& image, const Plane& part, const Region& block) {
  struct Seen {
    int32_t object;
    SpanSums sums;
  };
  thread_local std::vector<Seen> seen;
  seen.clear();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto span = Kernels().span[static_cast<int>(part.dtype)];
  const auto size = static_cast<int64_t>(DTypeSize(part.dtype));
  for (int64_t y = block.y; y < block.bottom(); ++y) {
    const std::byte* const row = part.row<std::byte>(y - block.y);
    ForRunsIn(objects_, y, block.x, block.right(), [&](const Run& run, int64_t x0, int64_t x1) {
      SpanSums sums{0, 0, kInf, -kInf, false};
      const std::byte* const pixels = row + (x0 - block.x) * size;
      span(pixels, x1 - x0, &sums);
      if (image.real) {
        double& sum = image.run_sums[static_cast<size_t>(&run - objects_.runs.data())];
        if (x0 == run.x0) {
          sum = sums.real;
        } else {
          // The rest of a run that the block to the left began.
          Visit(part.dtype, [&](auto zero) {
            const auto* const rest = reinterpret_cast<const decltype(zero)*>(pixels);
            for (int64_t x = 0; x < x1 - x0; ++x) sum += static_cast<double>(rest[x]);
          });
        }
      }
      seen.push_back({run.label - 1, sums});
    });
  }
  const std::lock_guard lock(mutex_);
  for (const Seen& s : seen) {
    const auto object = static_cast<size_t>(s.object);
    if (!image.real) image.sums[object] += s.sums.integer;
    Extremes& e = image.extremes[object];
    e.min = std::min(e.min, s.sums.min);
    e.max = std::max(e.max, s.sums.max);
    e.nan |= s.sums.nan;
  }
}

void MeasureTask::Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) {
  {
    const std::lock_guard lock(mutex_);
    for (size_t k = 0; k < images_.size(); ++k) {
      Image& image = images_[k];
      if (!image.extremes.empty() || objects_.count == 0) continue;
      image.real = IsFloat(parts[k].dtype);
      image.extremes.assign(static_cast<size_t>(objects_.count), {HUGE_VAL, -HUGE_VAL, false});
      if (image.real) {
        image.run_sums.assign(objects_.runs.size(), 0);
      } else {
        image.sums.assign(static_cast<size_t>(objects_.count), 0);
      }
    }
  }
  if (objects_.count == 0) return;
  for (size_t k = 0; k < images_.size(); ++k) Add(images_[k], parts[k], block);
}

bool MeasureTask::End() {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto count = static_cast<size_t>(objects_.count);
  std::vector<int64_t> areas(count);
  for (const Run& run : objects_.runs) areas[static_cast<size_t>(run.label) - 1] += run.x1 - run.x0;
  rows.resize(images_.size());
  std::vector<double> totals;
  for (size_t k = 0; k < images_.size() && count > 0; ++k) {
    const Image& image = images_[k];
    totals.assign(count, 0);
    for (size_t i = 0; image.real && i < objects_.runs.size(); ++i)
      totals[static_cast<size_t>(objects_.runs[i].label) - 1] += image.run_sums[i];
    rows[k].resize(count);
    for (size_t i = 0; i < count; ++i) {
      const double total = image.real ? totals[i] : static_cast<double>(image.sums[i]);
      const Extremes& e = image.extremes[i];
      if (areas[i] == 0) {
        rows[k][i] = {0, kNan, kNan, kNan};
      } else {
        rows[k][i] = {total, total / static_cast<double>(areas[i]), e.nan ? kNan : e.min,
                      e.nan ? kNan : e.max};
      }
    }
  }
  images_.clear();
  return true;
}

WriteTask::WriteTask(size_t at, int input, const PlaneTarget& target, const ZarrEncoding& encoding,
                     DType dtype, bool samples, int64_t height, int64_t width)
    : BlockTask(at, {input}),
      plane_(target, encoding),
      dtype_(dtype),
      step_(samples ? SampleStep(height * width) : 0) {
  if (!samples) return;
  const auto picked = [&](int64_t side) { return (side - step_ / 2 + step_ - 1) / step_; };
  across_ = picked(width);
  sample_.assign(static_cast<size_t>(picked(height) * across_),
                 std::numeric_limits<float>::quiet_NaN());
}

void WriteTask::Take(std::span<const Plane> parts, const Region& block, PlaneWriter& writer) {
  Plane part = parts[0];
  if (step_ > 0) {
    const auto first = [&](int64_t at) {
      return at <= step_ / 2 ? 0 : (at - step_ / 2 + step_ - 1) / step_;
    };
    Visit(part.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = first(block.y); step_ / 2 + i * step_ < block.bottom(); ++i) {
        const T* const row = part.row<T>(step_ / 2 + i * step_ - block.y);
        for (int64_t j = first(block.x); step_ / 2 + j * step_ < block.right(); ++j) {
          const int64_t x = step_ / 2 + j * step_ - block.x;
          sample_[static_cast<size_t>(i * across_ + j)] = static_cast<float>(row[x]);
        }
      }
    });
  }
  if (part.dtype != dtype_) {  // a field whose channels differ in dtype
    thread_local std::vector<std::byte> converted;
    converted.resize(static_cast<size_t>(part.pixels()) * DTypeSize(dtype_));
    const Plane to = PackedPlane(converted.data(), dtype_, part.height, part.width);
    Rescale(part, 1, 0, to);
    part = to;
  }
  written_ += writer.WritePart(part, block.y, block.x, plane_);
}

bool WriteTask::End() {
  written_ += plane_.Finish();
  return true;
}

std::vector<float> WriteTask::sample() {
  std::erase_if(sample_, [](float v) { return !std::isfinite(v); });
  return std::move(sample_);
}

ThumbnailTask::ThumbnailTask(size_t at, int input, int64_t height, int64_t width, int64_t factor)
    : BlockTask(at, {input}), height_(height), width_(width), factor_(factor) {
  image.height = (height + factor - 1) / factor;
  image.width = (width + factor - 1) / factor;
  sums_.assign(static_cast<size_t>(height * image.width), 0);
}

void ThumbnailTask::Take(std::span<const Plane> parts, const Region& block, PlaneWriter&) {
  const Plane& part = parts[0];
  Visit(part.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = block.y; y < block.bottom(); ++y) {
      const T* const row = part.row<T>(y - block.y) - block.x;
      double* const sums = sums_.data() + y * image.width;
      for (int64_t x = block.x; x < block.right();) {
        const int64_t cell = x / factor_, end = std::min((cell + 1) * factor_, block.right());
        double sum = sums[cell];
        for (; x < end; ++x) sum += static_cast<double>(row[x]);
        sums[cell] = sum;
      }
    }
  });
}

bool ThumbnailTask::End() {
  image.pixels.resize(static_cast<size_t>(image.height * image.width));
  std::vector<double> cells(static_cast<size_t>(image.width));
  for (int64_t by = 0; by < image.height; ++by) {
    std::fill(cells.begin(), cells.end(), 0);
    const int64_t y0 = by * factor_, y1 = std::min(y0 + factor_, height_);
    for (int64_t y = y0; y < y1; ++y) {
      for (size_t bx = 0; bx < cells.size(); ++bx)
        cells[bx] += sums_[static_cast<size_t>(y) * cells.size() + bx];
    }
    for (size_t bx = 0; bx < cells.size(); ++bx) {
      const auto x0 = static_cast<int64_t>(bx) * factor_;
      const int64_t width = std::min(x0 + factor_, width_) - x0;
      image.pixels[static_cast<size_t>(by) * cells.size() + bx] =
          static_cast<float>(cells[bx] / static_cast<double>(width * (y1 - y0)));
    }
  }
  std::vector<double>().swap(sums_);
  return true;
}

}  // namespace tilecast
