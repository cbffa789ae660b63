// SPDX-License-Identifier: MIT
// Measurements of labels as passes, and their records as the CPU's rows.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "gpu/segmentation.h"
#include "gpu/segmentation_passes.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

constexpr int64_t kTileWidth = 64, kTileHeight = 32;
constexpr int64_t kMostSide = 65535;  // squares of coordinates stay within a word
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

uint32_t BiasOf(DType d) {
  switch (d) {
    case DType::kI8:
      return 0x80;
    case DType::kI16:
      return 0x8000;
    case DType::kI32:
      return 0x80000000;
    default:
      return 0;
  }
}

// A sum of `pixels` numbers below 2^bits in magnitude stays within 63 bits.
int FixedBits(int64_t pixels) {
  return 62 - static_cast<int>(std::bit_width(static_cast<uint64_t>(pixels)));
}

uint64_t ShapeWords(const ShapeFeatures& f) {
  return 9u + (f.eccentricity ? 6u : 0u) + (f.perimeter ? 3u : 0u);
}

std::array<uint32_t, 3> Tiles(const GpuPlane& p) {
  return {static_cast<uint32_t>((p.width + kTileWidth - 1) / kTileWidth),
          static_cast<uint32_t>((p.height + kTileHeight - 1) / kTileHeight), 1};
}

class Words {
 public:
  explicit Words(const std::vector<std::byte>& bytes) : bytes_(bytes) {}
  uint32_t operator[](size_t i) const {
    uint32_t word;
    std::memcpy(&word, bytes_.data() + 4 * i, 4);
    return word;
  }
  uint64_t Wide(size_t i) const { return (*this)[i] | static_cast<uint64_t>((*this)[i + 1]) << 32; }

 private:
  const std::vector<std::byte>& bytes_;
};

double ValueOfKey(uint32_t key, DType dtype) {
  if (dtype == DType::kF32) {
    const uint32_t bits = (key & 0x80000000) != 0 ? key ^ 0x80000000 : ~key;
    return static_cast<double>(std::bit_cast<float>(bits));
  }
  return static_cast<double>(static_cast<int64_t>(key) - static_cast<int64_t>(BiasOf(dtype)));
}

}  // namespace

std::optional<std::string> RefusesMeasure(DType labels, std::span<const DType> images,
                                          PlaneShape shape) {
  if (labels != DType::kI32) return "labels are int32";
  for (const DType d : images) {
    if (d == DType::kF64) return "a GPU has no float64";
  }
  if (shape.height > kMostSide || shape.width > kMostSide) return "a side above 65535 px";
  if (shape.height * shape.width >= int64_t{1} << 31) return "2^31 px or more";
  if (shape.height * shape.width == 0) return "no pixels";
  return std::nullopt;
}

GpuMeasurements EncodeMeasure(RecipeBuilder& recipe, const GpuPlane& labels,
                              const ShapeFeatures& features, std::span<const GpuPlane> images,
                              int64_t capacity) {
  GpuMeasurements out{capacity, labels.pixels(), features, {}, {}};
  const int status = recipe.Result(8);
  const int shapes =
      recipe.Result(static_cast<uint64_t>(capacity) * ShapeWords(features) * sizeof(uint32_t));
  out.results = {status, shapes};
  const auto height = B::U32("height", labels.height), width = B::U32("width", labels.width);
  const auto most = B::U32("capacity", capacity);
  const auto status_words = B::Words("status", status, true, "array<atomic<u32>>");
  const B::Replacement text[] = {{"moments", features.eccentricity ? "true" : "false"},
                                 {"perimeter", features.perimeter ? "true" : "false"}};
  recipe.Grid("measure_shapes", Tiles(labels),
              {B::Words("labels", labels.buffer, false, "array<i32>"),
               B::Words("records", shapes, true, "array<atomic<u32>>"), status_words},
              {height, width, most}, text);
  for (const GpuPlane& image : images) {
    const bool floats = image.dtype == DType::kF32;
    out.images.push_back(image.dtype);
    const int sums = recipe.Result(static_cast<uint64_t>(capacity) * 16);
    out.results.push_back(sums);
    const B::Replacement pixels[] = {
        {"floats", floats ? "true" : "false"},
        {"bias", std::to_string(BiasOf(image.dtype))},
        {"no_range", floats ? "" : "const range = array<u32, 4>(0u, 0u, 0u, 0u);"}};
    const auto bits = B::U32("bits", FixedBits(labels.pixels()));
    const auto read_labels = B::Words("labels", labels.buffer, false, "array<i32>");
    const auto records = B::Words("records", sums, true, "array<atomic<u32>>");
    if (floats) {
      const int range = EncodeFloatRange(recipe, image, true);
      out.results.push_back(range);
      recipe.Grid("measure_intensity", Tiles(labels),
                  {read_labels, B::Read("image", image), records, status_words,
                   B::Words("range", range, false)},
                  {height, width, most, bits}, pixels);
    } else {
      recipe.Grid("measure_intensity", Tiles(labels),
                  {read_labels, B::Read("image", image), records, status_words},
                  {height, width, most, bits}, pixels);
    }
  }
  return out;
}

bool DecodeMeasurements(const GpuMeasurements& what,
                        std::span<const std::vector<std::byte>> results,
                        std::vector<ShapeRow>& shapes,
                        std::vector<std::vector<IntensityRow>>& intensities) {
  const Words status(results[0]);
  if (status[0] > what.capacity || status[1] != 0) return false;
  const auto count = static_cast<size_t>(status[0]);
  const ShapeFeatures& features = what.features;
  shapes.assign(count, ShapeRow{0, 0, kNan, kNan, 0, 0, 0, 0, features.perimeter ? 0 : kNan,
                                features.eccentricity ? 0 : kNan});
  const Words words(results[1]);
  const size_t stride = ShapeWords(features);
  for (size_t i = 0; i < count; ++i) {
    ShapeRow& row = shapes[i];
    const size_t at = i * stride;
    row.label = static_cast<int32_t>(i) + 1;
    row.area = words[at];
    if (row.area == 0) continue;
    row.y0 = static_cast<int32_t>(~words[at + 1]);
    row.x0 = static_cast<int32_t>(~words[at + 2]);
    row.y1 = static_cast<int32_t>(words[at + 3]);
    row.x1 = static_cast<int32_t>(words[at + 4]);
    Moments m;
    m.y = static_cast<int64_t>(words.Wide(at + 5));
    m.x = static_cast<int64_t>(words.Wide(at + 7));
    row.centroid_y = static_cast<double>(m.y) / static_cast<double>(row.area);
    row.centroid_x = static_cast<double>(m.x) / static_cast<double>(row.area);
    size_t next = at + 9;
    if (features.eccentricity) {
      m.yy = words.Wide(next);
      m.xx = words.Wide(next + 2);
      m.xy = words.Wide(next + 4);
      SetEllipse(m, row);
      next += 6;
    }
    if (features.perimeter) {
      const int64_t weights[3] = {words[next], words[next + 1], words[next + 2]};
      row.perimeter = PerimeterOf(weights);
    }
  }
  intensities.assign(what.images.size(), {});
  size_t result = 2;
  for (size_t k = 0; k < what.images.size(); ++k) {
    const DType dtype = what.images[k];
    const Words sums(results[result++]);
    double unit = 1;
    if (dtype == DType::kF32) {
      const Words range(results[result++]);
      const int exponent = static_cast<int>(range[3] >> 23) - 126;
      unit = std::ldexp(1.0, exponent - FixedBits(what.pixels));
    }
    intensities[k].resize(count);
    for (size_t i = 0; i < count; ++i) {
      const int64_t area = shapes[i].area;
      const size_t at = 4 * i;
      if (area == 0) {
        intensities[k][i] = {0, kNan, kNan, kNan};
        continue;
      }
      const auto sum = static_cast<int64_t>(sums.Wide(at));
      const double total =
          dtype == DType::kF32
              ? static_cast<double>(sum) * unit
              : static_cast<double>(sum - area * static_cast<int64_t>(BiasOf(dtype)));
      intensities[k][i] = {total, total / static_cast<double>(area),
                           ValueOfKey(~sums[at + 2], dtype), ValueOfKey(sums[at + 3], dtype)};
    }
  }
  return true;
}

}  // namespace tilecast::gpu
