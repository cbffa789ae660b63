// SPDX-License-Identifier: MIT
// CSV rows, samples, outlines.
#include "exec/job_output.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

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

void AppendRows(const Instruction& measure, const std::vector<ShapeRow>& shapes,
                const std::vector<std::vector<IntensityRow>>& intensities,
                const std::string& prefix, std::string& rows, PartResult& part) {
  part.sums.resize(measure.columns.size(), 0.0);
  for (size_t row = 0; row < shapes.size(); ++row) {
    const ShapeRow& shape = shapes[row];
    if (shape.area == 0) continue;  // a gap in a user's numbering
    rows += prefix;
    for (size_t c = 0; c < measure.columns.size(); ++c) {
      const Column& column = measure.columns[c];
      const IntensityRow* intensity =
          column.image < 0 ? nullptr : &intensities[static_cast<size_t>(column.image)][row];
      const double v = Value(column, shape, intensity);
      if (c > 0) rows += ',';
      AppendNumber(rows, v);
      if (!std::isnan(v)) part.sums[c] += v;
    }
    rows += '\n';
    ++part.objects;
  }
}

int64_t SampleStep(int64_t pixels) {
  return static_cast<int64_t>(std::max(1.0, std::sqrt(static_cast<double>(pixels) / 16384.0)));
}

void AddRange(std::vector<float>& sample, PartResult& part) {
  if (sample.empty()) return;
  const auto nth = [&](double q) {
    const auto at =
        sample.begin() + static_cast<ptrdiff_t>(q * static_cast<double>(sample.size() - 1) + 0.5);
    std::nth_element(sample.begin(), at, sample.end());
    return static_cast<double>(*at);
  };
  const double low = nth(0.001), high = nth(0.999);
  part.low = part.has_range ? std::min(part.low, low) : low;
  part.high = part.has_range ? std::max(part.high, high) : high;
  part.has_range = true;
}

int64_t ThumbnailFactor(int64_t height, int64_t width, int64_t most_px) {
  return (std::max(height, width) + most_px - 1) / most_px;
}

void DrawOutlines(const std::vector<int32_t>& labels, ThumbnailImage& thumb) {
  const auto label = [&](int64_t y, int64_t x) {
    return labels[static_cast<size_t>(y * thumb.width + x)];
  };
  thumb.outline.resize(labels.size());
  for (int64_t y = 0; y < thumb.height; ++y) {
    for (int64_t x = 0; x < thumb.width; ++x) {
      const int32_t here = label(y, x);
      const bool edge =
          here != 0 &&
          ((x > 0 && label(y, x - 1) != here) || (x + 1 < thumb.width && label(y, x + 1) != here) ||
           (y > 0 && label(y - 1, x) != here) || (y + 1 < thumb.height && label(y + 1, x) != here));
      thumb.outline[static_cast<size_t>(y * thumb.width + x)] = edge ? 1 : 0;
    }
  }
}

void EraseOutputs(const Program& program, const Job& job, const ExecutorOptions& options) {
  for (const Instruction& op : program.code) {
    if (op.kind != OpKind::kWriteImage && op.kind != OpKind::kWriteLabels) continue;
    const Output& output = job.outputs.at(static_cast<size_t>(op.output));
    const ZarrEncoding& encoding =
        op.kind == OpKind::kWriteLabels ? options.label_encoding : options.image_encoding;
    PlaneTarget target{"", output.lead, output.height, output.width};
    for (int level = 0; level < output.levels; ++level) {
      target.dir = output.dir + "/" + std::to_string(level);
      try {
        PlaneWriter::Erase(target, encoding);
      } catch (const Error&) {
        // The job's own failure is what gets reported.
      }
      target.height = HalfSize(target.height);
      target.width = HalfSize(target.width);
    }
  }
}

void AddCentroids(const std::vector<ShapeRow>& shapes, CentroidResult& centroids) {
  for (const ShapeRow& shape : shapes) {
    if (shape.area == 0) continue;  // a gap in a user's numbering
    centroids.labels.push_back(shape.label);
    centroids.points.push_back(static_cast<float>(shape.centroid_y));
    centroids.points.push_back(static_cast<float>(shape.centroid_x));
  }
}

}  // namespace tilecast
