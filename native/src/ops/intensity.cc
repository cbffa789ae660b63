// SPDX-License-Identifier: MIT
// Arithmetic, clipping, gamma, inversion, stretching, histograms and equalisation.
#include "ops/intensity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "ops/arithmetic.h"
#include "ops/check.h"
#include "ops/counts.h"
#include "ops/histogram.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

constexpr int64_t kChunk = 512;    // 4 KiB of doubles: stays in the first-level cache
constexpr double kNothing = -0.0;  // to add: 0 would make -0 into 0, and a quotient's sign another

int Index(DType dtype) {
  return static_cast<int>(dtype);
}

// out = f of `in`, a chunk at a time: f(y, x, chunk, n) changes n doubles that begin as pixels
// (y, x..) of `in`.
template <class F>
void ByChunks(const char* op, const Plane& in, const Plane& out, F f) {
  RequireShape(op, "the result", out, in.height, in.width);
  const auto load = Kernels().scale_to_f64[Index(in.dtype)];
  const auto store = Kernels().from_f64[Index(out.dtype)];
  const auto in_size = static_cast<int64_t>(DTypeSize(in.dtype)),
             out_size = static_cast<int64_t>(DTypeSize(out.dtype));
  alignas(64) double chunk[kChunk];
  for (int64_t y = 0; y < in.height; ++y) {
    for (int64_t x = 0; x < in.width; x += kChunk) {
      const int64_t n = std::min(kChunk, in.width - x);
      load(in.row<std::byte>(y) + x * in_size, 1, kNothing, chunk, n);
      f(y, x, chunk, n);
      store(chunk, out.row<std::byte>(y) + x * out_size, n);
    }
  }
}

// The greatest value of an integer dtype.
double Greatest(DType dtype) {
  return Visit(dtype, [](auto zero) {
    return static_cast<double>(std::numeric_limits<decltype(zero)>::max());
  });
}

[[noreturn]] void Refuse(const std::string& message) {
  throw Error(Code::kInvalidArgument, message);
}

}  // namespace

void Calculate(Arithmetic op, const Plane& a, const Plane& b, const Plane& out) {
  RequireShape("arithmetic", "the second image", b, a.height, a.width);
  const auto same = Kernels().calculate_same[Index(a.dtype)][static_cast<int>(op)];
  if (same != nullptr && a.dtype == b.dtype && a.dtype == out.dtype) {
    RequireShape("arithmetic", "the result", out, a.height, a.width);
    for (int64_t y = 0; y < a.height; ++y)
      same(a.row<std::byte>(y), b.row<std::byte>(y), out.row<std::byte>(y), a.width);
    return;
  }
  const auto calculate = Kernels().calculate[static_cast<int>(op)];
  const auto load = Kernels().scale_to_f64[Index(b.dtype)];
  const auto size = static_cast<int64_t>(DTypeSize(b.dtype));
  alignas(64) double other[kChunk];
  ByChunks("arithmetic", a, out, [&](int64_t y, int64_t x, double* chunk, int64_t n) {
    load(b.row<std::byte>(y) + x * size, 1, kNothing, other, n);
    calculate(chunk, other, n);
  });
}

void Calculate(Arithmetic op, const Plane& a, double value, const Plane& out) {
  const auto calculate = Kernels().calculate[static_cast<int>(op)];
  alignas(64) double other[kChunk];
  std::fill_n(other, kChunk, value);
  ByChunks("arithmetic", a, out,
           [&](int64_t, int64_t, double* chunk, int64_t n) { calculate(chunk, other, n); });
}

void Clip(const Plane& in, double low, double high, const Plane& out) {
  RequireDType("clip", "the result", out, in.dtype);
  if (!(low <= high)) {
    Refuse("clip: the lower limit must not be above the upper one, got " + std::to_string(low) +
           " and " + std::to_string(high));
  }
  RequireShape("clip", "the result", out, in.height, in.width);
  // The limits as pixels: what they are as results.
  const auto pixel = [&](double limit) {
    double value = 0;
    Visit(in.dtype, [&](auto zero) {
      decltype(zero) as_pixel = 0;
      Kernels().from_f64[Index(in.dtype)](&limit, &as_pixel, 1);
      value = static_cast<double>(as_pixel);
    });
    return value;
  };
  const double least = pixel(low), greatest = pixel(high);
  const auto clamp = Kernels().clamp_same[Index(in.dtype)];
  for (int64_t y = 0; y < in.height; ++y)
    clamp(in.row<std::byte>(y), least, greatest, out.row<std::byte>(y), in.width);
}

void Gamma(const Plane& in, double gamma, double gain, const Plane& out) {
  if (!(gamma >= 0) || !std::isfinite(gamma)) {
    Refuse("gamma: the exponent must be a finite number from 0, got " + std::to_string(gamma));
  }
  const double range = IsFloat(in.dtype) ? 1 : Greatest(in.dtype);
  auto value = [&](double v) { return gain * range * std::pow(v / range, gamma); };
  if (DTypeSize(in.dtype) > 2) {
    return ByChunks("gamma", in, out, [&](int64_t, int64_t, double* chunk, int64_t n) {
      for (int64_t i = 0; i < n; ++i) chunk[i] = value(chunk[i]);
    });
  }
  // A pixel's bits are its place in the table, which is made again only for other parameters.
  struct Table {
    DType dtype;
    double gamma = NAN, gain = NAN;
    std::vector<double> values;
  };
  thread_local Table kept;
  Table& table = kept;
  if (table.dtype != in.dtype || table.gamma != gamma || table.gain != gain) {
    table = {in.dtype, gamma, gain, std::move(table.values)};
    table.values.resize(size_t{1} << (8 * DTypeSize(in.dtype)));
    Visit(in.dtype, [&](auto zero) {
      for (size_t i = 0; i < table.values.size(); ++i)
        table.values[i] = value(static_cast<double>(static_cast<decltype(zero)>(i)));
    });
  }
  const double* const values = table.values.data();
  const bool wide = DTypeSize(in.dtype) == 2;
  ByChunks("gamma", in, out, [&](int64_t y, int64_t x, double* chunk, int64_t n) {
    const auto* const bytes = in.row<uint8_t>(y) + x;
    const auto* const words = in.row<uint16_t>(y) + x;
    for (int64_t i = 0; i < n; ++i) chunk[i] = values[wide ? words[i] : bytes[i]];
  });
}

void Invert(const Plane& in, const Plane& out) {
  RequireDType("invert", "the result", out, in.dtype);
  RequireShape("invert", "the result", out, in.height, in.width);
  Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < in.height; ++y) {
      const T* const from = in.row<T>(y);
      T* const to = out.row<T>(y);
      for (int64_t x = 0; x < in.width; ++x) {
        if constexpr (IsFloat(DTypeOf<T>::value)) {
          to[x] = 1 - from[x];
        } else {
          to[x] = static_cast<T>(~from[x]);
        }
      }
    }
  });
}

void Stretch(const Plane& in, double low, double high, double out_low, double out_high,
             const Plane& out) {
  if (!std::isfinite(low) || !std::isfinite(high))
    Refuse("stretch: the range must be finite, got " + std::to_string(low) + ".." +
           std::to_string(high));
  const auto stretch = Kernels().stretch;
  const bool flat = !(high > low);
  const double width = flat ? 1 : high - low, gain = out_high - out_low;
  ByChunks("stretch", in, out, [&](int64_t, int64_t, double* chunk, int64_t n) {
    stretch(chunk, low, flat ? low : high, width, gain, out_low, n);
  });
}

void Histogram(const Plane& in, int64_t bins, double low, double high,
               std::vector<uint64_t>& counts) {
  if (bins < 1 || bins > 1000000)
    Refuse("histogram: bins must be within 1..1e6, got " + std::to_string(bins));
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high) || !std::isfinite(high - low)) {
    Refuse("histogram: the range must be finite and not empty, got " + std::to_string(low) + ".." +
           std::to_string(high));
  }
  counts.assign(static_cast<size_t>(bins), 0);
  std::vector<double> edges(static_cast<size_t>(bins) + 1);
  const double step = (high - low) / static_cast<double>(bins);
  for (int64_t i = 0; i <= bins; ++i) {
    const double edge = i == bins ? high : static_cast<double>(i) * step + low;
    edges[static_cast<size_t>(i)] = in.dtype == DType::kF32 ? static_cast<float>(edge) : edge;
  }
  const double first = edges.front(), last = edges.back(),
               scale = static_cast<double>(bins) / (last - first);
  // Trunc of the position is right but for rounding at the edges, which decide.
  auto bin = [&](double v) -> int64_t {
    if (!(v >= first && v <= last)) return -1;
    auto i = std::min(static_cast<int64_t>((v - first) * scale), bins - 1);
    while (i > 0 && v < edges[static_cast<size_t>(i)]) --i;
    while (i < bins - 1 && v >= edges[static_cast<size_t>(i) + 1]) ++i;
    return i;
  };
  if (DTypeSize(in.dtype) <= 2 && in.height > 0 && in.width > 0) {
    thread_local ValueCounts values;
    CountValues(in, values);
    for (size_t i = 0; i < values.counts.size(); ++i) {
      const int64_t b = bin(static_cast<double>(values.low + static_cast<int64_t>(i)));
      if (b >= 0) counts[static_cast<size_t>(b)] += values.counts[i];
    }
    return;
  }
  Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < in.height; ++y) {
      const T* const row = in.row<T>(y);
      for (int64_t x = 0; x < in.width; ++x) {
        const int64_t b = bin(static_cast<double>(row[x]));
        if (b >= 0) ++counts[static_cast<size_t>(b)];
      }
    }
  });
}

void Equalize(const Plane& in, const Plane& out) {
  thread_local std::vector<float> counts;
  thread_local std::vector<double> levels;
  CountLevels("equalize", in, counts, levels);
  EqualizeByLevels(in, counts, levels, out);
}

void EqualizeByLevels(const Plane& in, const std::vector<float>& counts,
                      const std::vector<double>& levels, const Plane& out) {
  RequireDType("equalize", "the result", out, DType::kF32);
  RequireShape("equalize", "the result", out, in.height, in.width);
  thread_local std::vector<double> shares;
  std::vector<double>& share = shares;
  const size_t n = levels.size();
  share.resize(n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) share[i] = sum += counts[i];
  for (double& s : share) s /= sum;
  const double first = levels.front(), last = levels.back();
  const double scale = n > 1 ? static_cast<double>(n - 1) / (last - first) : 0;
  const bool whole = !IsFloat(in.dtype);
  ByChunks("equalize", in, out, [&](int64_t, int64_t, double* chunk, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const double v = std::clamp(chunk[i], first, last);
      const double position = (v - first) * scale;
      const auto k = std::min(static_cast<size_t>(position), n - 1);
      if (whole || k + 1 >= n) {
        chunk[i] = share[k];
      } else {
        chunk[i] = share[k] + (share[k + 1] - share[k]) * (position - static_cast<double>(k));
      }
    }
  });
}

}  // namespace tilecast
