// SPDX-License-Identifier: MIT
// Test images with padded rows and guarded padding.
#pragma once

#include <cstring>
#include <initializer_list>
#include <random>
#include <vector>

#include "image.h"

namespace tilecast::test {

// Owns a plane whose rows are `padding` bytes further apart than they need to be. Padding holds a
// pattern that `intact` checks, so that a write past a row's end shows.
template <class T>
class Image {
 public:
  Image(int64_t height, int64_t width, int64_t padding = 3 * sizeof(T))
      : height_(height),
        width_(width),
        stride_(width * static_cast<int64_t>(sizeof(T)) + padding),
        memory_(static_cast<size_t>(height * stride_), std::byte{0xA5}) {}

  // Rows as written: Image<int>::Of({{1, 2}, {3, 4}}).
  static Image Of(std::initializer_list<std::initializer_list<T>> rows) {
    Image image(static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.begin()->size()));
    int64_t y = 0;
    for (const auto& row : rows) {
      int64_t x = 0;
      for (const T value : row) image.at(y, x++) = value;
      ++y;
    }
    return image;
  }

  // f(y, x) for each pixel.
  template <class F>
  static Image From(int64_t height, int64_t width, F f) {
    Image image(height, width);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) image.at(y, x) = static_cast<T>(f(y, x));
    }
    return image;
  }

  static Image Random(int64_t height, int64_t width, double low, double high, uint32_t seed = 1) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(low, high);
    return From(height, width, [&](int64_t, int64_t) { return uniform(random); });
  }

  T& at(int64_t y, int64_t x) { return plane().template row<T>(y)[x]; }
  Plane plane() { return {memory_.data(), DTypeOf<T>::value, height_, width_, stride_}; }
  std::vector<T> values() {
    std::vector<T> out;
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) out.push_back(at(y, x));
    }
    return out;
  }
  bool intact() const {
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t i = width_ * static_cast<int64_t>(sizeof(T)); i < stride_; ++i) {
        if (memory_[static_cast<size_t>(y * stride_ + i)] != std::byte{0xA5}) return false;
      }
    }
    return true;
  }

 private:
  int64_t height_, width_, stride_;
  std::vector<std::byte> memory_;
};

}  // namespace tilecast::test
