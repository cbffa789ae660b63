// SPDX-License-Identifier: MIT
// Range and Otsu's threshold, to the last bit as scikit-image computes it.
#include "ops/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/counts.h"
#include "ops/float_bins.h"
#include "ops/kernels/kernels.h"

// Every float32 and float64 operation here rounds on its own, as numpy's do: this file must be
// compiled with -ffp-contract=off (native/CMakeLists.txt), or a compiler for a target with fused
// multiply-add would merge steps and shift edges by an ulp.

namespace tilecast {

namespace {

constexpr int kBins = kFloatBins;

// numpy.argmax: the first of the greatest; a NaN is greater than all.
template <class T>
size_t ArgMax(const std::vector<T>& values) {
  size_t best = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) return i;
    if (values[i] > values[best]) best = i;
  }
  return best;
}

// skimage.filters.threshold_otsu's second half. Center is the dtype that counts * bin_centers has
// there: float for float32 images, double for float64 ones and for integers (float32 * int64).
// Counts are float32 throughout, sums run sequentially as numpy.cumsum does.
template <class Center>
Center OtsuFromCounts(const std::vector<float>& counts, const std::vector<Center>& centers) {
  const size_t n = counts.size();
  thread_local std::vector<float> weight1, weight2;
  thread_local std::vector<Center> mean1, mean2, variance;
  weight1.resize(n);
  weight2.resize(n);
  mean1.resize(n);
  mean2.resize(n);
  float weight = 0;
  Center sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const Center product = static_cast<Center>(counts[i]) * centers[i];
    weight = i == 0 ? counts[i] : weight + counts[i];
    sum = i == 0 ? product : sum + product;
    weight1[i] = weight;
    mean1[i] = sum / static_cast<Center>(weight);
  }
  for (size_t i = n; i-- > 0;) {
    const Center product = static_cast<Center>(counts[i]) * centers[i];
    weight = i == n - 1 ? counts[i] : weight + counts[i];
    sum = i == n - 1 ? product : sum + product;
    weight2[i] = weight;
    mean2[i] = sum / static_cast<Center>(weight);
  }
  variance.resize(n - 1);
  for (size_t i = 0; i + 1 < n; ++i) {
    const float weights = weight1[i] * weight2[i + 1];
    const Center difference = mean1[i] - mean2[i + 1];
    const Center square = difference * difference;
    variance[i] = static_cast<Center>(weights) * square;
  }
  return centers[ArgMax(variance)];
}

double OtsuOfIntegers(const Plane& in) {
  thread_local ValueCounts values;
  CountValues(in, values);
  size_t begin = 0, end = values.counts.size();
  while (values.counts[begin] == 0) ++begin;
  while (values.counts[end - 1] == 0) --end;
  const auto value = [&](size_t i) {
    return static_cast<double>(values.low + static_cast<int64_t>(i));
  };
  if (end - begin == 1) return value(begin);
  thread_local std::vector<float> counts;
  thread_local std::vector<double> centers;
  counts.resize(end - begin);
  centers.resize(end - begin);
  for (size_t i = begin; i < end; ++i) {
    counts[i - begin] = static_cast<float>(values.counts[i]);
    centers[i - begin] = value(i);
  }
  return OtsuFromCounts(counts, centers);
}

// numpy.linspace(first, last, 257) in T.
template <class T>
void Edges(T first, T last, T* edges) {
  const T delta = last - first;
  const T step = delta / kBins;
  for (int i = 0; i <= kBins; ++i) {
    const T offset = step == 0 ? static_cast<T>(i) / kBins * delta : static_cast<T>(i) * step;
    edges[i] = offset + first;
  }
  edges[kBins] = last;
}

[[noreturn]] void ThrowNan() {
  throw Error(Code::kInvalidArgument,
              "otsu: the image has NaN pixels; its histogram is not defined");
}

// numpy.histogram's own arithmetic, pixel by pixel, for what the kernel leaves out: values outside
// the range (dropped), ranges so narrow against their magnitude that edges are a few ulp apart, and
// NaN (an error).
template <class T>
void CountSlowly(const T* row, int64_t n, const BinSpec<T>& spec, uint32_t* counts) {
  const T denominator = spec.last - spec.first;
  for (int64_t x = 0; x < n; ++x) {
    const T v = row[x];
    if (std::isnan(v)) ThrowNan();
    if (!(v >= spec.first && v <= spec.last)) continue;
    auto k = static_cast<int32_t>((v - spec.first) / denominator * static_cast<T>(kBins));
    if (k == kBins) --k;
    if (v < spec.edges[k]) --k;
    if (v >= spec.edges[k + 1] && k != kBins - 1) ++k;
    ++counts[k];
  }
}

// 256 equal bins over the range, and their centres. False when the image is constant.
template <class T>
bool CountFloats(const std::string& op, const Plane& in, const MinMax& range,
                 std::vector<float>& counts, std::vector<T>& centers) {
  const FloatBins<T> bins(op, range);
  if (bins.constant()) return false;
  FloatCounts sums{};
  bins.Count(in, sums);
  bins.Finish(sums, counts, centers);
  return true;
}

template <class T>
double OtsuOfFloats(const Plane& in, const MinMax& range) {
  std::vector<float> counts;
  std::vector<T> centers;
  if (!CountFloats<T>("otsu", in, range, counts, centers)) return range.min;
  return static_cast<double>(OtsuFromCounts(counts, centers));
}

void RequireCountable(const std::string& op, const Plane& in) {
  RequirePixels(op, in);
  RequireCountable(op, in.dtype);
}

}  // namespace

template <class T>
FloatBins<T>::FloatBins(const std::string& op, const MinMax& range) {
  const T first = static_cast<T>(range.min), last = static_cast<T>(range.max);
  if (!std::isfinite(first) || !std::isfinite(last) || !std::isfinite(last - first)) {
    throw Error(
        Code::kInvalidArgument,
        op + ": pixel values must be finite and span less than the dtype's greatest value, got " +
            std::to_string(range.min) + ".." + std::to_string(range.max));
  }
  if (first == last) {
    edges_.fill(first);
    return;
  }
  Edges(first, last, edges_.data());
  for (size_t i = 0; i < kBins; ++i) {
    if (edges_[i] < edges_[i + 1]) continue;
    throw Error(Code::kInvalidArgument, op + ": values " + std::to_string(range.min) + ".." +
                                            std::to_string(range.max) +
                                            " are too close together for 256 bins in " +
                                            std::string(DTypeName(DTypeOf<T>::value)) +
                                            "; the image is constant but for rounding");
  }
  // How far, in bins, (v - first) * scale and the rounded edges can be from the exact position.
  // Each of the kernel's three operations and the edge's step and product err by at most half an
  // ulp of at most 256 (5 * 128 epsilon; 1024 leaves room); adding `first` to an edge errs by half
  // an ulp of the edge itself, which matters where the range is narrow against its magnitude.
  constexpr T kEpsilon = std::numeric_limits<T>::epsilon();
  scale_ = kBins / (last - first);
  margin_ = 1024 * kEpsilon + std::max(std::abs(first), std::abs(last)) * kEpsilon * scale_;
  fast_ = margin_ < static_cast<T>(0.2) && std::isfinite(scale_);
}

template <class T>
void FloatBins<T>::Count(const Plane& in, FloatCounts& counts) const {
  const BinSpec<T> spec{edges_.data(), edges_.front(), edges_.back(), scale_, margin_};
  const KernelTable& kernels = Kernels();
  alignas(64) uint32_t histograms[kByteHistograms][256] = {};
  constexpr int64_t kChunk = 2048;
  alignas(64) uint8_t bins[kChunk];
  for (int64_t y = 0; y < in.height; ++y) {
    for (int64_t x = 0; x < in.width; x += kChunk) {
      const int64_t n = std::min(kChunk, in.width - x);
      const T* pixels = in.row<T>(y) + x;
      bool done = false;
      if constexpr (sizeof(T) == 4) {
        done = fast_ && kernels.bin_f32(pixels, &spec, bins, n);
      } else {
        done = fast_ && kernels.bin_f64(pixels, &spec, bins, n);
      }
      if (done) {
        CountBytes(bins, n, histograms);
      } else {
        CountSlowly(pixels, n, spec, histograms[0]);
      }
    }
  }
  for (size_t i = 0; i < kBins; ++i) {
    for (const auto& histogram : histograms) counts[i] += histogram[i];
  }
}

template <class T>
void FloatBins<T>::Finish(const FloatCounts& counts, std::vector<float>& as_floats,
                          std::vector<T>& centers) const {
  as_floats.resize(kBins);
  centers.resize(kBins);
  for (size_t i = 0; i < kBins; ++i) {
    as_floats[i] = static_cast<float>(counts[i]);
    centers[i] = (edges_[i] + edges_[i + 1]) / static_cast<T>(2);
  }
}

template class FloatBins<float>;
template class FloatBins<double>;

void RequireCountable(std::string_view op, DType dtype) {
  if (dtype != DType::kU32 && dtype != DType::kI32) return;
  throw Error(Code::kOpDtype, std::string(op) + ": takes 8- or 16-bit integers or floats, got " +
                                  std::string(DTypeName(dtype)) + "; convert the image first");
}

double OtsuOfLevels(DType dtype, const std::vector<float>& counts,
                    const std::vector<double>& levels) {
  if (levels.size() == 1) return levels[0];
  if (dtype != DType::kF32) return OtsuFromCounts(counts, levels);
  const std::vector<float> centers(levels.begin(), levels.end());
  return static_cast<double>(OtsuFromCounts(counts, centers));
}

void CountLevels(std::string_view op_name, const Plane& in, std::vector<float>& counts,
                 std::vector<double>& levels) {
  const std::string op(op_name);
  RequireCountable(op, in);
  levels.clear();
  if (IsFloat(in.dtype)) {
    const MinMax range = Range(in);
    const bool varies = [&] {
      if (in.dtype == DType::kF64) return CountFloats<double>(op, in, range, counts, levels);
      std::vector<float> centers;
      const bool found = CountFloats<float>(op, in, range, counts, centers);
      levels.assign(centers.begin(), centers.end());
      return found;
    }();
    if (varies) return;
    counts.assign(1, static_cast<float>(in.pixels()));
    levels.assign(1, range.min);
    return;
  }
  thread_local ValueCounts values;
  CountValues(in, values);
  size_t first = 0, last = values.counts.size();
  while (values.counts[first] == 0) ++first;
  while (values.counts[last - 1] == 0) --last;
  counts.assign(values.counts.begin() + static_cast<ptrdiff_t>(first),
                values.counts.begin() + static_cast<ptrdiff_t>(last));
  for (size_t i = first; i < last; ++i)
    levels.push_back(static_cast<double>(values.low + static_cast<int64_t>(i)));
}

MinMax Range(const Plane& in) {
  RequirePixels("range", in);
  RowRange range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                 false};
  const auto row = Kernels().range[static_cast<int>(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y) row(in.row<std::byte>(y), in.width, &range);
  if (range.nan) throw Error(Code::kInvalidArgument, "range: the image has NaN pixels");
  return {range.min, range.max};
}

double Otsu(const Plane& in, std::optional<MinMax> range) {
  RequireCountable("otsu", in);
  if (in.dtype == DType::kF32) return OtsuOfFloats<float>(in, range ? *range : Range(in));
  if (in.dtype == DType::kF64) return OtsuOfFloats<double>(in, range ? *range : Range(in));
  return OtsuOfIntegers(in);
}

}  // namespace tilecast
