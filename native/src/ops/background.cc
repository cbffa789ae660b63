// SPDX-License-Identifier: MIT
// The rolling ball as an erosion by a ball: chord by chord from the middle outwards, up to where no
// chord can matter any more.
#include "ops/background.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

// Pixels whose chords are left out together: enough for a few vectors, few enough for a local
// bound.
constexpr int64_t kStrip = 128;

template <class T>
constexpr T kNone = std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity()
                                                         : std::numeric_limits<T>::max();

// Of the ball above the plane through its lowest point, row by row: height[row[dy] + dx].
template <class T>
struct Ball {
  int64_t radius;
  std::vector<T> height;
  std::vector<size_t> row;      // of dy >= 0
  std::vector<int64_t> length;  // of dx >= 0

  explicit Ball(int64_t r) : radius(r) {
    for (int64_t dy = 0; dy <= r; ++dy) {
      row.push_back(height.size());
      int64_t dx = 0;
      for (; dy * dy + dx * dx <= r * r; ++dx) {
        const double under = std::sqrt(static_cast<double>(r * r - dy * dy - dx * dx));
        if constexpr (std::numeric_limits<T>::is_integer) {
          const double h = std::floor(static_cast<double>(r) - under);
          height.push_back(static_cast<T>(std::min(h, static_cast<double>(kNone<T>))));
        } else {
          height.push_back(static_cast<T>(r) - static_cast<T>(under));
        }
      }
      length.push_back(dx);
    }
  }

  const T* at(int64_t dy) const { return height.data() + row[static_cast<size_t>(dy)]; }
  // How many pixels of the chord lie less than `rise` above the lowest point.
  int64_t Below(int64_t dy, double rise) const {
    const T* const begin = at(dy);
    const T* const end = begin + length[static_cast<size_t>(dy)];
    return std::partition_point(begin, end, [&](T h) { return static_cast<double>(h) < rise; }) -
           begin;
  }
};

template <class T>
struct Scratch {
  std::vector<T> padded, folded, acc;
  std::vector<double> least;
};

// The rows of a strip of columns with `radius` pixels on either side; what is outside or NaN never
// is the least.
template <class T>
void Pad(const Plane& in, int64_t x0, int64_t n, int64_t radius, int64_t stride,
         Scratch<T>& scratch) {
  for (int64_t y = 0; y < in.height; ++y) {
    T* const to = scratch.padded.data() + y * stride;
    const T* const from = in.row<T>(y);
    const int64_t left = std::max<int64_t>(0, x0 - radius),
                  right = std::min(in.width, x0 + n + radius), before = left - (x0 - radius);
    std::fill_n(to, before, kNone<T>);
    std::copy(from + left, from + right, to + before);
    std::fill(to + before + right - left, to + stride, kNone<T>);
    T least = kNone<T>;
    for (int64_t i = 0; i < n + 2 * radius; ++i) {
      if constexpr (!std::numeric_limits<T>::is_integer) to[i] = to[i] != to[i] ? kNone<T> : to[i];
      least = std::min(least, to[i]);
    }
    scratch.least[static_cast<size_t>(y)] = static_cast<double>(least);
  }
}

template <class T>
void Roll(BallKind kind, const Plane& in, int64_t radius, BallResult result, const Plane& out) {
  thread_local Scratch<T> scratch;
  const NeighbourKernels& kernels = Kernels().neighbours;
  const Ball<T> ball(radius);
  const int64_t slack = kNeighbourSlack / static_cast<int64_t>(sizeof(T));
  const int64_t stride = kStrip + 2 * radius + slack;
  scratch.padded.resize(static_cast<size_t>(in.height * stride));
  scratch.folded.resize(static_cast<size_t>(stride));
  scratch.acc.resize(static_cast<size_t>(kStrip + slack));
  scratch.least.resize(static_cast<size_t>(in.height));
  for (int64_t x0 = 0; x0 < in.width; x0 += kStrip) {
    const int64_t n = std::min(kStrip, in.width - x0);
    Pad(in, x0, n, radius, stride, scratch);
    const auto row = [&](int64_t y) { return scratch.padded.data() + y * stride; };
    for (int64_t y = 0; y < in.height; ++y) {
      T* const acc = scratch.acc.data();
      std::fill_n(acc, n + slack, kNone<T>);
      double greatest = static_cast<double>(kNone<T>);
      for (int64_t dy = 0; dy <= radius; ++dy) {
        // Beyond the top or bottom the other row stands for both.
        int64_t above = y - dy, below = y + dy;
        if (above < 0) above = below;
        if (below >= in.height) below = above;
        if (above >= in.height || below < 0) break;
        const double least = std::min(scratch.least[static_cast<size_t>(above)],
                                      scratch.least[static_cast<size_t>(below)]);
        const auto rise = [&](double from) { return greatest - from; };
        // Sums that are no less than the greatest found so far change nothing. A row of infinities
        // and a plane of them: nothing is to be found.
        if (!(rise(least) > static_cast<double>(*ball.at(dy)))) continue;
        const int64_t most = ball.Below(dy, rise(least));
        if (most == 0) continue;
        const int64_t first = radius - (most - 1), span = n + 2 * (most - 1);
        const double low = kernels.fold[kind](row(above) + first, row(below) + first,
                                              scratch.folded.data() + first, span);
        const int64_t count = std::min(most, ball.Below(dy, rise(low)));
        if (count == 0) continue;
        greatest = kernels.ball[kind](scratch.folded.data() + radius, ball.at(dy), count, acc, n);
      }
      T* const to = out.row<T>(y) + x0;
      if (result == BallResult::kBackground) {
        std::copy(acc, acc + n, to);
        continue;
      }
      const T* const from = in.row<T>(y) + x0;
      for (int64_t x = 0; x < n; ++x) to[x] = static_cast<T>(from[x] - acc[x]);
    }
  }
}

}  // namespace

void RollingBall(const Plane& in, int64_t radius, BallResult result, const Plane& out) {
  RequireDType("rollingBall", "the result", out, in.dtype);
  RequireShape("rollingBall", "the result", out, in.height, in.width);
  if (radius < 1 || radius > kMaxBallRadius) {
    throw Error(Code::kInvalidArgument, "rollingBall: the radius must be within 1.." +
                                            std::to_string(kMaxBallRadius) + " px, got " +
                                            std::to_string(radius));
  }
  switch (in.dtype) {
    case DType::kU8:
      return Roll<uint8_t>(kBallU8, in, radius, result, out);
    case DType::kU16:
      return Roll<uint16_t>(kBallU16, in, radius, result, out);
    case DType::kF32:
      return Roll<float>(kBallF32, in, radius, result, out);
    default:
      throw Error(Code::kOpDtype, "rollingBall takes uint8, uint16, float32, and got " +
                                      std::string(DTypeName(in.dtype)));
  }
}

}  // namespace tilecast
