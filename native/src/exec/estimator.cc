// SPDX-License-Identifier: MIT
// Median or mean over reduced images, smoothed and enlarged.
#include "exec/estimator.h"

#include <algorithm>

#include "error.h"
#include "ops/gaussian.h"
#include "ops/resample.h"

namespace tilecast {

IlluminationEstimator::IlluminationEstimator(int64_t height, int64_t width, int64_t factor,
                                             int images)
    : height_(height),
      width_(width),
      factor_(factor),
      small_h_((height + factor - 1) / factor),
      small_w_((width + factor - 1) / factor),
      images_(static_cast<size_t>(images)) {}

void IlluminationEstimator::Add(int index, const Plane& image, float background) {
  if (image.height != height_ || image.width != width_) {
    throw Error(Code::kOpShape, "the illumination estimate of this channel is for images of " +
                                    std::to_string(width_) + " x " + std::to_string(height_) +
                                    " px, and one has " + std::to_string(image.width) + " x " +
                                    std::to_string(image.height));
  }
  std::vector<float> small(static_cast<size_t>(small_h_ * small_w_));
  BlockMean(image, factor_, PackedPlane(small.data(), DType::kF32, small_h_, small_w_));
  for (float& v : small) v -= background;
  images_[static_cast<size_t>(index)] = std::move(small);
}

void IlluminationEstimator::AddPart(int index, int64_t y, int64_t x, const Plane& part,
                                    float background) {
  std::vector<float>& image = images_[static_cast<size_t>(index)];
  {
    const std::lock_guard lock(mutex_);
    if (image.empty()) image.resize(static_cast<size_t>(small_h_ * small_w_));
  }
  thread_local std::vector<float> small;
  const int64_t height = (part.height + factor_ - 1) / factor_,
                width = (part.width + factor_ - 1) / factor_;
  small.resize(static_cast<size_t>(height * width));
  BlockMean(part, factor_, PackedPlane(small.data(), DType::kF32, height, width));
  for (int64_t row = 0; row < height; ++row) {
    float* const to = image.data() + (y / factor_ + row) * small_w_ + x / factor_;
    for (int64_t i = 0; i < width; ++i)
      to[i] = small[static_cast<size_t>(row * width + i)] - background;
  }
}

std::vector<float> IlluminationEstimator::Finish(EstimateMethod method, double sigma) const {
  std::vector<const float*> planes;
  for (const auto& image : images_) {
    if (!image.empty()) planes.push_back(image.data());
  }
  if (planes.empty()) {
    throw Error(Code::kInvalidArgument, "no image could be read to estimate the illumination from");
  }
  const size_t n = planes.size();
  const auto small_size = static_cast<size_t>(small_h_ * small_w_);
  std::vector<float> statistic(small_size);
  std::vector<float> values(n);
  for (size_t i = 0; i < small_size; ++i) {
    if (method == EstimateMethod::kMean) {
      double sum = 0;
      for (const float* p : planes) sum += p[i];
      statistic[i] = static_cast<float>(sum / static_cast<double>(n));
      continue;
    }
    for (size_t k = 0; k < n; ++k) values[k] = planes[k][i];
    const auto mid = values.begin() + static_cast<ptrdiff_t>(n / 2);
    std::nth_element(values.begin(), mid, values.end());
    float median = *mid;
    if (n % 2 == 0) median = 0.5f * (median + *std::max_element(values.begin(), mid));
    statistic[i] = median;
  }
  std::vector<float> smooth(small_size);
  Gaussian(PackedPlane(statistic.data(), DType::kF32, small_h_, small_w_),
           sigma / static_cast<double>(factor_),
           PackedPlane(smooth.data(), DType::kF32, small_h_, small_w_));
  std::vector<float> field(static_cast<size_t>(height_ * width_));
  EnlargeBilinear(PackedPlane(smooth.data(), DType::kF32, small_h_, small_w_), factor_,
                  PackedPlane(field.data(), DType::kF32, height_, width_));
  double sum = 0;
  for (const float v : field) sum += v;
  const auto mean = static_cast<float>(sum / static_cast<double>(field.size()));
  // An all-black channel has no illumination to speak of.
  for (float& v : field) v = mean > 0 ? std::max(v / mean, 0.05f) : 1.0f;
  return field;
}

}  // namespace tilecast
