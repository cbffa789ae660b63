// SPDX-License-Identifier: MIT
// Order statistics by radix: the upper 16 bits of a pixel's place in the order, then the next.
#include "ops/stack_range.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/histogram.h"

namespace tilecast {

namespace {

// Unsigned numbers that sort as pixels do, and back.
template <class T>
struct Order {
  using Key = T;
  static Key Of(T v) { return v; }
  static T Back(Key k) { return k; }
};
template <class Signed, class Unsigned>
struct SignedOrder {
  using Key = Unsigned;
  static constexpr auto kTop = static_cast<Unsigned>(Unsigned{1} << (8 * sizeof(Unsigned) - 1));
  static Key Of(Signed v) { return static_cast<Key>(static_cast<Key>(v) ^ kTop); }
  static Signed Back(Key k) { return static_cast<Signed>(static_cast<Key>(k ^ kTop)); }
};
template <>
struct Order<int8_t> : SignedOrder<int8_t, uint8_t> {};
template <>
struct Order<int16_t> : SignedOrder<int16_t, uint16_t> {};
template <>
struct Order<int32_t> : SignedOrder<int32_t, uint32_t> {};
template <class Float, class Unsigned>
struct FloatOrder {
  using Key = Unsigned;
  static constexpr Unsigned kTop = Unsigned{1} << (8 * sizeof(Unsigned) - 1);
  static Key Of(Float v) {
    Unsigned bits;
    std::memcpy(&bits, &v, sizeof bits);
    return (bits & kTop) != 0 ? ~bits : bits | kTop;
  }
  static Float Back(Key k) {
    const Unsigned bits = (k & kTop) != 0 ? k ^ kTop : ~k;
    Float v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }
};
template <>
struct Order<float> : FloatOrder<float, uint32_t> {};
template <>
struct Order<double> : FloatOrder<double, uint64_t> {};

// The pixel of that rank, from 0.
template <class T>
double Select(std::span<const Plane> planes, int64_t rank) {
  using Key = typename Order<T>::Key;
  constexpr int kBits = 8 * sizeof(Key), kDigit = std::min(kBits, 16);
  thread_local std::vector<int64_t> counts;
  Key found = 0;
  for (int shift = kBits - kDigit; shift >= 0; shift -= kDigit) {
    counts.assign(size_t{1} << kDigit, 0);
    const bool first = shift + kDigit == kBits;
    for (const Plane& plane : planes) {
      for (int64_t y = 0; y < plane.height; ++y) {
        const T* const row = plane.row<T>(y);
        for (int64_t x = 0; x < plane.width; ++x) {
          const Key key = Order<T>::Of(row[x]);
          if (!first && ((key ^ found) >> shift >> kDigit) != 0) continue;
          ++counts[static_cast<size_t>(key >> shift) & ((size_t{1} << kDigit) - 1)];
        }
      }
    }
    size_t digit = 0;
    while (rank >= counts[digit]) rank -= counts[digit++];
    found = static_cast<Key>(found | static_cast<Key>(static_cast<Key>(digit) << shift));
  }
  return static_cast<double>(Order<T>::Back(found));
}

template <class T>
double PercentileOf(std::span<const Plane> planes, int64_t pixels, double q) {
  const double position = q / 100 * static_cast<double>(pixels - 1);
  const auto low = static_cast<int64_t>(position);
  const double t = position - static_cast<double>(low), a = Select<T>(planes, low);
  if (t == 0) return a;
  const double b = Select<T>(planes, low + 1);
  if (a == b) return a;
  // numpy's way of rounding it.
  return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

}  // namespace

MinMax StackPercentiles(std::span<const Plane> planes, double low, double high) {
  if (planes.empty() || !(low >= 0 && low <= 100 && high >= 0 && high <= 100)) {
    throw Error(Code::kInvalidArgument,
                "stack: percentiles must be within 0..100, of one plane at least, got " +
                    std::to_string(low) + " and " + std::to_string(high) + " of " +
                    std::to_string(planes.size()) + " planes");
  }
  constexpr double kInf = std::numeric_limits<double>::infinity();
  MinMax all{kInf, -kInf};
  int64_t pixels = 0;
  for (const Plane& plane : planes) {
    RequireDType("stack", "a plane", plane, planes[0].dtype);
    const MinMax range = Range(plane);  // refuses NaN
    all = {std::min(all.min, range.min), std::max(all.max, range.max)};
    pixels += plane.pixels();
  }
  return Visit(planes[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto of = [&](double q) {
      return q == 0 ? all.min : q == 100 ? all.max : PercentileOf<T>(planes, pixels, q);
    };
    return MinMax{of(low), of(high)};
  });
}

}  // namespace tilecast
