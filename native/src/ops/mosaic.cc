// SPDX-License-Identifier: MIT
// Row by row: what an image gives to a canvas row follows from the plan alone, so that no weights
// are kept.
#include "ops/mosaic.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "error.h"

namespace tilecast {
namespace {

// 32-bit integers and float64 need more than float32's digits.
template <class T>
using WeightOf =
    std::conditional_t<(sizeof(T) > 4) || (sizeof(T) == 4 && std::is_integral_v<T>), double, float>;

struct Interval {
  int64_t begin = 0, end = 0;  // canvas columns
};

// Where an image lies along one axis of the canvas.
struct Extent {
  double at = 0;
  int64_t size = 0;

  int64_t begin() const { return static_cast<int64_t>(std::ceil(at)); }
  int64_t end() const {
    return static_cast<int64_t>(std::floor(at + static_cast<double>(size - 1))) + 1;
  }
  bool covers(int64_t i) const { return i >= begin() && i < end(); }
  // Distance to the image's nearer edge, counted from 1.
  double weight(int64_t i) const {
    const double from = static_cast<double>(i) - at;
    return std::min(from, static_cast<double>(size - 1) - from) + 1;
  }
};

struct Neighbour {
  Extent rows, columns;
  bool earlier = false;
};

// One image on its way onto the canvas.
template <class T>
class Placer {
 public:
  using W = WeightOf<T>;

  Placer(const MosaicPlan& plan, size_t index, const Plane& image, Blend blend, Placing placing)
      : image_(image), blend_(blend), interpolated_(placing == Placing::kLinear) {
    const auto extents = [&](size_t i) {
      const auto place = [&](double at) { return interpolated_ ? at : std::round(at); };
      return std::pair{Extent{place(plan.y[i]), plan.image_height},
                       Extent{place(plan.x[i]), plan.image_width}};
    };
    std::tie(rows_, columns_) = extents(index);
    for (size_t i = 0; i < plan.y.size(); ++i) {
      const auto [rows, columns] = extents(i);
      const bool apart = rows.end() <= rows_.begin() || rows.begin() >= rows_.end() ||
                         columns.end() <= columns_.begin() || columns.begin() >= columns_.end();
      if (i != index && !apart) neighbours_.push_back({rows, columns, i < index});
    }
  }

  void Place(const MosaicPlan& plan, int64_t top, int64_t left, const Plane& canvas) {
    const int64_t first = std::max(rows_.begin(), std::max<int64_t>(top, 0));
    const int64_t last = std::min({rows_.end(), top + canvas.height, plan.height});
    const Interval x{std::max(columns_.begin(), std::max<int64_t>(left, 0)),
                     std::min({columns_.end(), left + canvas.width, plan.width})};
    if (x.begin >= x.end) return;
    for (int64_t y = first; y < last; ++y) {
      if (blend_ == Blend::kLinear) {
        Fade(y, x, canvas.row<W>(y - top) - left);
      } else {
        Copy(y, x, canvas.row<T>(y - top) - left);
      }
    }
  }

 private:
  // Pixels x.begin.. of the image's row at canvas row y, `to` the canvas row's column 0.
  template <class V>
  const V* Row(int64_t y, Interval x, std::vector<V>& memory) {
    memory.resize(static_cast<size_t>(x.end - x.begin));
    const int64_t y0 = y - rows_.begin(), x0 = x.begin - columns_.begin();
    const T* upper = image_.row<T>(y0);
    const auto n = static_cast<int64_t>(memory.size());
    if (!interpolated_) {
      for (int64_t i = 0; i < n; ++i)
        memory[static_cast<size_t>(i)] = static_cast<V>(upper[x0 + i]);
      return memory.data();
    }
    const T* lower = image_.row<T>(std::min(y0 + 1, image_.height - 1));
    // The same in every part of a canvas, however it is divided.
    const W fy = static_cast<W>(static_cast<double>(rows_.begin()) - rows_.at);
    const W fx = static_cast<W>(static_cast<double>(columns_.begin()) - columns_.at);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t a = x0 + i, b = std::min(a + 1, image_.width - 1);
      const W left = static_cast<W>(upper[a]) * (1 - fy) + static_cast<W>(lower[a]) * fy;
      const W right = static_cast<W>(upper[b]) * (1 - fy) + static_cast<W>(lower[b]) * fy;
      const W value = left * (1 - fx) + right * fx;
      if constexpr (std::is_integral_v<V>) {
        memory[static_cast<size_t>(i)] = static_cast<V>(std::nearbyint(value));
      } else {
        memory[static_cast<size_t>(i)] = static_cast<V>(value);
      }
    }
    return memory.data();
  }

  // What of x other images cover at row y, merged and ascending; only earlier ones if so asked.
  std::span<const Interval> Shared(int64_t y, Interval x, bool earlier) {
    shared_.clear();
    for (const Neighbour& n : neighbours_) {
      if (!n.rows.covers(y) || (earlier && !n.earlier)) continue;
      const Interval part{std::max(n.columns.begin(), x.begin), std::min(n.columns.end(), x.end)};
      if (part.begin < part.end) shared_.push_back(part);
    }
    std::sort(shared_.begin(), shared_.end(),
              [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
    size_t kept = 0;
    for (const Interval& part : shared_) {
      if (kept > 0 && part.begin <= shared_[kept - 1].end) {
        shared_[kept - 1].end = std::max(shared_[kept - 1].end, part.end);
      } else {
        shared_[kept++] = part;
      }
    }
    shared_.resize(kept);
    return shared_;
  }

  // own_: this image's weights in `part`, its row's weight included.
  void OwnWeights(int64_t y, Interval part) {
    own_.resize(static_cast<size_t>(part.end - part.begin));
    const double row = rows_.weight(y);
    for (int64_t x = part.begin; x < part.end; ++x)
      own_[static_cast<size_t>(x - part.begin)] = static_cast<W>(row * columns_.weight(x));
  }

  // Calls f(index into own_, weight, neighbour) for what the neighbours cover of `part` at row y.
  template <class F>
  void EachOther(int64_t y, Interval part, const F& f) const {
    for (const Neighbour& n : neighbours_) {
      if (!n.rows.covers(y)) continue;
      const double row = n.rows.weight(y);
      const int64_t end = std::min(n.columns.end(), part.end);
      for (int64_t x = std::max(n.columns.begin(), part.begin); x < end; ++x)
        f(static_cast<size_t>(x - part.begin), static_cast<W>(row * n.columns.weight(x)), n);
    }
  }

  void Fade(int64_t y, Interval x, W* to) {
    const W* values = Row<W>(y, x, weighted_) - x.begin;
    int64_t done = x.begin;
    for (const Interval& part : Shared(y, x, false)) {
      std::copy(values + done, values + part.begin, to + done);
      OwnWeights(y, part);
      total_ = own_;
      EachOther(y, part, [&](size_t i, W weight, const Neighbour&) { total_[i] += weight; });
      for (int64_t at = part.begin; at < part.end; ++at) {
        const auto i = static_cast<size_t>(at - part.begin);
        to[at] += values[at] * (own_[i] / total_[i]);
      }
      done = part.end;
    }
    std::copy(values + done, values + x.end, to + done);
  }

  void Copy(int64_t y, Interval x, T* to) {
    const T* values = Row<T>(y, x, exact_) - x.begin;
    int64_t done = x.begin;
    for (const Interval& part : Shared(y, x, blend_ == Blend::kMax)) {
      std::copy(values + done, values + part.begin, to + done);
      if (blend_ == Blend::kMax) {
        for (int64_t at = part.begin; at < part.end; ++at) to[at] = std::max(to[at], values[at]);
      } else {
        OwnWeights(y, part);
        lost_.assign(own_.size(), 0);
        EachOther(y, part, [&](size_t i, W weight, const Neighbour& n) {
          if (weight > own_[i] || (weight == own_[i] && n.earlier)) lost_[i] = 1;
        });
        for (int64_t at = part.begin; at < part.end; ++at)
          if (lost_[static_cast<size_t>(at - part.begin)] == 0) to[at] = values[at];
      }
      done = part.end;
    }
    std::copy(values + done, values + x.end, to + done);
  }

  const Plane& image_;
  Blend blend_;
  bool interpolated_;
  Extent rows_, columns_;
  std::vector<Neighbour> neighbours_;
  std::vector<Interval> shared_;
  std::vector<W> weighted_, own_, total_;
  std::vector<T> exact_;
  std::vector<uint8_t> lost_;
};

}  // namespace

DType CanvasDType(DType image, Blend blend) {
  if (blend != Blend::kLinear) return image;
  return Visit(image, [](auto zero) { return DTypeOf<WeightOf<decltype(zero)>>::value; });
}

void PlaceImage(const MosaicPlan& plan, size_t index, const Plane& image, Blend blend,
                Placing placing, int64_t top, int64_t left, const Plane& canvas) {
  if (index >= plan.y.size() || plan.x.size() != plan.y.size())
    throw Error(Code::kInvalidArgument, "a mosaic has no image " + std::to_string(index));
  if (image.height != plan.image_height || image.width != plan.image_width) {
    throw Error(Code::kOpShape, "an image of a mosaic is " + std::to_string(image.width) + " x " +
                                    std::to_string(image.height) + " px and the others " +
                                    std::to_string(plan.image_width) + " x " +
                                    std::to_string(plan.image_height));
  }
  if (canvas.dtype != CanvasDType(image.dtype, blend)) {
    throw Error(Code::kOpDtype, "a canvas for " + std::string(DTypeName(image.dtype)) + " is " +
                                    std::string(DTypeName(canvas.dtype)));
  }
  Visit(image.dtype, [&](auto zero) {
    Placer<decltype(zero)>(plan, index, image, blend, placing).Place(plan, top, left, canvas);
  });
}

}  // namespace tilecast
