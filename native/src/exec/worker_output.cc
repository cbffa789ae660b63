// SPDX-License-Identifier: MIT
// What leaves a job: table rows, Zarr planes with their pyramids, thumbnails, and what viewers get.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "exec/worker.h"
#include "ops/arithmetic.h"
#include "ops/resample.h"

namespace tilecast {

void AppendNumber(std::string& text, double v) {
  char buffer[32];
  if (std::isnan(v)) return;  // an empty CSV field
  const auto whole = static_cast<int64_t>(v);
  const auto end = std::abs(v) < 9e15 && static_cast<double>(whole) == v
                       ? std::to_chars(buffer, buffer + sizeof buffer, whole)
                       : std::to_chars(buffer, buffer + sizeof buffer, v);
  text.append(buffer, end.ptr);
}

namespace {

constexpr double kPi = 3.14159265358979323846;

double Value(const Column& c, const ShapeRow& s, const IntensityRow* i) {
  switch (c.kind) {
    case Column::Kind::kLabel:
      return s.label;
    case Column::Kind::kArea:
      return static_cast<double>(s.area);
    case Column::Kind::kCentroidY:
      return s.centroid_y;
    case Column::Kind::kCentroidX:
      return s.centroid_x;
    case Column::Kind::kBoxY0:
      return s.y0;
    case Column::Kind::kBoxX0:
      return s.x0;
    case Column::Kind::kBoxY1:
      return s.y1;
    case Column::Kind::kBoxX1:
      return s.x1;
    case Column::Kind::kPerimeter:
      return s.perimeter;
    case Column::Kind::kEccentricity:
      return s.eccentricity;
    case Column::Kind::kMajorAxis:
      return s.major_axis;
    case Column::Kind::kMinorAxis:
      return s.minor_axis;
    case Column::Kind::kOrientation:
      return s.orientation;
    case Column::Kind::kEquivalentDiameter:
      return std::sqrt(static_cast<double>(s.area) * 4 / kPi);
    case Column::Kind::kExtent:
      return static_cast<double>(s.area) /
             (static_cast<double>(s.y1 - s.y0) * static_cast<double>(s.x1 - s.x0));
    case Column::Kind::kFormFactor:
      return 4 * kPi * static_cast<double>(s.area) / (s.perimeter * s.perimeter);
    case Column::Kind::kSolidity:
      return s.solidity;
    case Column::Kind::kEmpty:
      return std::numeric_limits<double>::quiet_NaN();
    case Column::Kind::kIntegrated:
      return i->integrated;
    case Column::Kind::kMean:
      return i->mean;
    case Column::Kind::kMin:
      return i->min;
    case Column::Kind::kMax:
      return i->max;
    default:
      if (i->more == nullptr) throw Error(Code::kInternal, "a column was not measured");
      return i->more[c.more()];
  }
}

}  // namespace

ShapeFeatures FeaturesOf(const Instruction& measure) {
  ShapeFeatures features;
  for (const Column& c : measure.columns) {
    features.perimeter |= c.kind == Column::Kind::kPerimeter;
    features.perimeter |= c.kind == Column::Kind::kFormFactor;
    features.eccentricity |=
        c.kind >= Column::Kind::kEccentricity && c.kind <= Column::Kind::kOrientation;
    features.solidity |= c.kind == Column::Kind::kSolidity;
  }
  return features;
}

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
  PartResult& part = result.parts.at(static_cast<size_t>(op.part));
  const std::string& prefix = job.row_prefixes.at(static_cast<size_t>(op.part));
  part.sums.resize(op.columns.size(), 0.0);
  for (size_t row = 0; row < shapes.size(); ++row) {
    const ShapeRow& shape = shapes[row];
    if (shape.area == 0) continue;  // a gap in a user's numbering
    result.rows += prefix;
    for (size_t c = 0; c < op.columns.size(); ++c) {
      const Column& column = op.columns[c];
      const IntensityRow* intensity =
          column.image < 0 ? nullptr : &intensities[static_cast<size_t>(column.image)][row];
      const double v = Value(column, shape, intensity);
      if (c > 0) result.rows += ',';
      AppendNumber(result.rows, v);
      if (!std::isnan(v)) part.sums[c] += v;
    }
    result.rows += '\n';
    ++part.objects;
  }
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
    // A sample is enough for a display range, and cheap: every k-th pixel, about 16 Ki of them.
    const auto step = static_cast<int64_t>(
        std::max(1.0, std::sqrt(static_cast<double>(level.pixels()) / 16384.0)));
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
    if (!sample_.empty()) {
      const auto nth = [&](double q) {
        const auto at = sample_.begin() +
                        static_cast<ptrdiff_t>(q * static_cast<double>(sample_.size() - 1) + 0.5);
        std::nth_element(sample_.begin(), at, sample_.end());
        return static_cast<double>(*at);
      };
      const double low = nth(0.001), high = nth(0.999);
      PartResult& part = result.parts.at(static_cast<size_t>(op.part));
      part.low = part.has_range ? std::min(part.low, low) : low;
      part.high = part.has_range ? std::max(part.high, high) : high;
      part.has_range = true;
    }
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
  const int64_t longest = std::max(in.height, in.width);
  const int64_t factor =
      (longest + context_.options.thumbnail_px - 1) / context_.options.thumbnail_px;
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
    const auto label = [&](int64_t y, int64_t x) {
      return sampled[static_cast<size_t>(y * thumb.width + x)];
    };
    thumb.outline.resize(size);
    for (int64_t y = 0; y < thumb.height; ++y) {
      for (int64_t x = 0; x < thumb.width; ++x) {
        const int32_t here = label(y, x);
        const bool edge = here != 0 && ((x > 0 && label(y, x - 1) != here) ||
                                        (x + 1 < thumb.width && label(y, x + 1) != here) ||
                                        (y > 0 && label(y - 1, x) != here) ||
                                        (y + 1 < thumb.height && label(y + 1, x) != here));
        thumb.outline[static_cast<size_t>(y * thumb.width + x)] = edge ? 1 : 0;
      }
    }
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
  for (const ShapeRow& shape : shapes_) {
    if (shape.area == 0) continue;  // a gap in a user's numbering
    centroids.labels.push_back(shape.label);
    centroids.points.push_back(static_cast<float>(shape.centroid_y));
    centroids.points.push_back(static_cast<float>(shape.centroid_x));
  }
  result.centroids.push_back(std::move(centroids));
}

}  // namespace tilecast
