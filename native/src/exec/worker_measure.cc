// SPDX-License-Identifier: MIT
// Measurements beyond sums over runs: spread, texture and colocalisation of objects; planes.
#include <algorithm>
#include <limits>

#include "exec/job_output.h"
#include "exec/worker.h"
#include "ops/arithmetic.h"
#include "ops/colocalization.h"
#include "ops/focus.h"
#include "ops/intensity.h"
#include "ops/quality.h"
#include "ops/spread.h"
#include "ops/texture.h"

namespace tilecast {
namespace {

template <class Which>
bool Any(const Instruction& op, Which which) {
  return std::any_of(op.columns.begin(), op.columns.end(), which);
}

bool Within(Column::Kind kind, Column::Kind first, Column::Kind end) {
  return kind >= first && kind < end;
}

}  // namespace

void Executor::Worker::MeasureMore(const Instruction& op, const Objects& objects) {
  using Kind = Column::Kind;
  if (!Any(op, [](const Column& c) { return c.kind >= Kind::kDeviation; })) return;
  thread_local std::vector<SpreadRow> spread;
  thread_local std::vector<HaralickRow> texture;
  thread_local std::vector<ColocalizationRow> compared;
  const int images = static_cast<int>(op.inputs.size());
  const size_t width = size_t{Column::kOfOne} + op.inputs.size() * size_t{Column::kCompared};
  more_.resize(std::max(more_.size(), op.inputs.size()));
  for (int k = 0; k < images; ++k) {
    const auto wants = [&](Kind first, Kind end) {
      return Any(op, [&](const Column& c) { return c.image == k && Within(c.kind, first, end); });
    };
    std::vector<IntensityRow>& rows = intensities_[static_cast<size_t>(k)];
    std::vector<double>& more = more_[static_cast<size_t>(k)];
    more.resize(rows.size() * width);
    const Plane& image = plane(op.inputs[static_cast<size_t>(k)]);
    // Puts a row's values where Column::more says.
    const auto put = [&](size_t row, Column first, const double* values, size_t count) {
      std::copy_n(values, count, more.data() + row * width + first.more());
    };
    if (wants(Kind::kDeviation, Kind::kTexture)) {
      MeasureSpread(objects, image, spread);
      for (size_t i = 0; i < rows.size(); ++i) {
        const SpreadRow& s = spread[i];
        const double values[] = {s.deviation, s.lower_quartile, s.median, s.upper_quartile};
        put(i, {Kind::kDeviation, k}, values, 4);
      }
    }
    if (wants(Kind::kTexture, Kind::kPearson)) {
      MeasureHaralick(objects, plane(op.in), image, op.texture, texture);
      for (size_t i = 0; i < rows.size(); ++i)
        put(i, {Kind::kTexture, k}, texture[i].data(), texture[i].size());
    }
    for (int other = 0; other < images; ++other) {
      const auto compares = [&](const Column& c) { return c.image == k && c.other == other; };
      if (!Any(op, compares)) continue;
      MeasureColocalization(objects, image, plane(op.inputs[static_cast<size_t>(other)]),
                            op.manders_percent, compared);
      for (size_t i = 0; i < rows.size(); ++i) {
        const ColocalizationRow& c = compared[i];
        const double values[] = {c.pearson, c.overlap, c.manders1, c.manders2};
        put(i, {Kind::kPearson, k, other}, values, 4);
      }
    }
    for (size_t i = 0; i < rows.size(); ++i) rows[i].more = more.data() + i * width;
  }
}

void Executor::Worker::MeasurePlane(const Instruction& op, const Job& job, JobResult& result) {
  using Kind = PlaneColumn::Kind;
  const PlaneMeasurement& wanted = op.of_plane;
  const Plane& in = plane(op.in);
  const auto wants = [&](Kind first, Kind last) {
    return std::any_of(wanted.columns.begin(), wanted.columns.end(),
                       [&](const PlaneColumn& c) { return c.kind >= first && c.kind <= last; });
  };
  const PlaneQuality quality = MeasureQuality(in, wanted.saturation);
  SharpnessRow sharpness{};
  if (wants(Kind::kBrenner, Kind::kTenengrad)) sharpness = MeasureSharpness(in);
  const double laplacian = wants(Kind::kLaplacian, Kind::kLaplacian) ? FocusScore(in) : 0;
  std::vector<uint64_t> counts;
  if (wants(Kind::kHistogram, Kind::kHistogram))
    Histogram(in, wanted.bins, wanted.low, wanted.high, counts);
  std::vector<ColocalizationRow> compared;
  compared.reserve(op.inputs.size());
  for (const int other : op.inputs)
    compared.push_back(Colocalization(in, plane(other), op.manders_percent));
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto value = [&](const PlaneColumn& c) {
    switch (c.kind) {
      case Kind::kEmpty:
        return kNan;
      case Kind::kMean:
        return quality.mean;
      case Kind::kDeviation:
        return quality.deviation;
      case Kind::kMin:
        return quality.min;
      case Kind::kMax:
        return quality.max;
      case Kind::kPercentile:
        return quality.nan ? kNan : Percentile(in, c.at);
      case Kind::kSaturated:
        return quality.saturated;
      case Kind::kHistogram:
        return static_cast<double>(counts[static_cast<size_t>(c.at)]);
      case Kind::kLaplacian:
        return laplacian;
      case Kind::kBrenner:
        return sharpness.brenner;
      case Kind::kTenengrad:
        return sharpness.tenengrad;
      case Kind::kVariance:
        return quality.deviation * quality.deviation / quality.mean;
      default:
        break;
    }
    const ColocalizationRow& row = compared[static_cast<size_t>(c.image)];
    return c.kind == Kind::kPearson    ? row.pearson
           : c.kind == Kind::kOverlap  ? row.overlap
           : c.kind == Kind::kManders1 ? row.manders1
                                       : row.manders2;
  };
  result.plane_rows += job.plane_prefixes.at(static_cast<size_t>(op.part));
  result.plane_rows += wanted.cell;
  for (const PlaneColumn& c : wanted.columns) {
    result.plane_rows += ',';
    AppendNumber(result.plane_rows, value(c));
  }
  result.plane_rows += '\n';
}

}  // namespace tilecast
