// SPDX-License-Identifier: MIT
// What leaves a job: table rows, Zarr planes with their pyramids, thumbnails, and what viewers get.
#include <algorithm>
#include <cmath>

#include "exec/job_output.h"
#include "exec/worker.h"
#include "ops/arithmetic.h"
#include "ops/resample.h"

namespace tilecast {
void Executor::Worker::Measure(const Instruction& op, const Job& job, JobResult& result) {
  const Objects& objects = ObjectsOf(op.in);
  MeasureShapes(objects, FeaturesOf(op), shapes_);
  intensities_.resize(std::max(intensities_.size(), op.inputs.size()));
  for (size_t k = 0; k < op.inputs.size(); ++k) {
    MeasureIntensity(objects, plane(op.inputs[k]), intensities_[k]);
  }
  MeasureMore(op, objects);
  AddRows(op, job, shapes_, intensities_, result);
}

void Executor::Worker::AddRows(const Instruction& op, const Job& job,
                               const std::vector<ShapeRow>& shapes,
                               const std::vector<std::vector<IntensityRow>>& intensities,
                               JobResult& result) {
  const auto part = static_cast<size_t>(op.part);
  AppendRows(op, shapes, intensities, job.row_prefixes.at(part), result.rows,
             result.parts.at(part));
}

void Executor::Worker::Write(const Instruction& op, const Job& job, bool labels,
                             JobResult& result) {
  const Output& output = job.outputs.at(static_cast<size_t>(op.output));
  const ZarrEncoding& encoding =
      labels ? context_.options.label_encoding : context_.options.image_encoding;
  const Register& r = registers_[static_cast<size_t>(op.in)];
  if (labels && r.labelled)
    return WriteRuns(objects_[static_cast<size_t>(r.objects)], output, result);
  Plane level = plane(op.in);
  if (!labels) {
    const int64_t step = SampleStep(level.pixels());
    sample_.clear();
    Visit(level.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t y = step / 2; y < level.height; y += step) {
        const T* row = level.row<T>(y);
        for (int64_t x = step / 2; x < level.width; x += step) {
          const auto v = static_cast<float>(row[x]);
          if (std::isfinite(v)) sample_.push_back(v);
        }
      }
    });
    AddRange(sample_, result.parts.at(static_cast<size_t>(op.part)));
  }
  if (level.dtype != output.dtype) {  // a field whose channels differ in dtype
    converted_.resize(static_cast<size_t>(level.pixels()) * DTypeSize(output.dtype));
    const Plane to = PackedPlane(converted_.data(), output.dtype, level.height, level.width);
    Rescale(level, 1, 0, to);
    level = to;
  }
  PlaneTarget target{output.dir + "/0", output.lead, output.height, output.width};
  result.bytes_written += writer_.Write(level, target, encoding);
  if (output.levels <= 1) return;
  // Levels 1.. share one slot: together they are at most a third of level 0 (and a few edge
  // pixels).
  const Loan loan = Take();
  std::byte* at = context_.pool.data(loan.slot);
  const std::byte* end = at + context_.pool.slot_bytes();
  for (int n = 1; n < output.levels; ++n) {
    const Plane next = PackedPlane(at, level.dtype, HalfSize(level.height), HalfSize(level.width));
    if (next.data + next.bytes() > end)
      throw Error(Code::kSlotTooSmall, "a pyramid does not fit a slot");
    if (labels) {
      HalveStride(level, next);
    } else {
      HalveMean(level, next);
    }
    target.dir = output.dir + "/" + std::to_string(n);
    target.height = HalfSize(target.height);
    target.width = HalfSize(target.width);
    result.bytes_written += writer_.Write(next, target, encoding);
    at += (next.bytes() + 63) / 64 * 64;
    level = next;
  }
  GiveBack(loan);
}

// Labels go from their runs into the files; no pixel of them is painted.
void Executor::Worker::WriteRuns(const Objects& objects, const Output& output, JobResult& result) {
  PlaneTarget target{"", output.lead, output.height, output.width};
  const Objects* level = &objects;
  for (int n = 0; n < output.levels; ++n) {
    if (n > 0) {
      HalveObjects(*level, halved_[n % 2]);
      level = &halved_[n % 2];
      target.height = HalfSize(target.height);
      target.width = HalfSize(target.width);
    }
    target.dir = output.dir + "/" + std::to_string(n);
    result.bytes_written += writer_.Write(*level, target, context_.options.label_encoding);
  }
}

void Executor::Worker::MakeThumbnail(const Instruction& op, JobResult& result) {
  const Plane in = plane(op.in);
  const int64_t factor = ThumbnailFactor(in.height, in.width, context_.options.thumbnail_px);
  ThumbnailImage thumb;
  thumb.height = (in.height + factor - 1) / factor;
  thumb.width = (in.width + factor - 1) / factor;
  const auto size = static_cast<size_t>(thumb.height * thumb.width);
  thumb.pixels.resize(size);
  BlockMean(in, factor, PackedPlane(thumb.pixels.data(), DType::kF32, thumb.height, thumb.width));
  if (!op.inputs.empty()) {
    const Register& labels = registers_[static_cast<size_t>(op.inputs[0])];
    // The pixel in the middle of each block.
    std::vector<int32_t> sampled(size), row(static_cast<size_t>(labels.plane.width));
    for (int64_t y = 0; y < thumb.height; ++y) {
      const int64_t from = std::min(y * factor + factor / 2, labels.plane.height - 1);
      const int32_t* pixels = row.data();
      if (labels.unpainted) {
        PaintLabelRow(objects_[static_cast<size_t>(labels.objects)], from, row.data());
      } else {
        pixels = labels.plane.row<int32_t>(from);
      }
      for (int64_t x = 0; x < thumb.width; ++x) {
        sampled[static_cast<size_t>(y * thumb.width + x)] =
            pixels[std::min(x * factor + factor / 2, labels.plane.width - 1)];
      }
    }
    DrawOutlines(sampled, thumb);
  }
  result.thumbnails.push_back(std::move(thumb));
}

// Viewers get one plane, wherever they read it: one that is stored with another dtype (a field
// whose channels differ) is converted into the credit's slot, one that is stored with another size
// is shown from the store.
void Executor::Worker::View(const Instruction& op, const Job& job, JobResult& result) {
  Register& r = registers_[static_cast<size_t>(op.in)];
  if (credits_ == 0 || r.viewed) return;
  if (r.unpainted) Paint(r);
  Loan loan = *r.loan;
  Plane shown = r.plane;
  if (op.output >= 0) {
    const Output& stored = job.outputs.at(static_cast<size_t>(op.output));
    if (stored.height != shown.height || stored.width != shown.width) return;
    if (stored.dtype != shown.dtype) {
      const int64_t bytes = shown.pixels() * static_cast<int64_t>(DTypeSize(stored.dtype));
      if (static_cast<uint64_t>(bytes) > context_.pool.slot_bytes()) return;
      loan = Take();
      shown = Place(loan, stored.dtype, shown.height, shown.width);
      Rescale(r.plane, 1, 0, shown);
    }
  }
  --credits_;
  r.viewed = loan.slot == r.loan->slot;
  result.views.push_back({op.view, loan, shown.height, shown.width, shown.dtype});
}

void Executor::Worker::Outline(const Instruction& op, JobResult& result) {
  result.outlines.push_back({op.view, {}});
  tracer_.Trace(ObjectsOf(op.in), false, result.outlines.back().outlines);
}

void Executor::Worker::Centroids(const Instruction& op, JobResult& result) {
  MeasureShapes(ObjectsOf(op.in), {}, shapes_);
  CentroidResult centroids;
  centroids.view = op.view;
  AddCentroids(shapes_, centroids);
  result.centroids.push_back(std::move(centroids));
}

}  // namespace tilecast
