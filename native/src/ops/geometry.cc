// SPDX-License-Identifier: MIT
// Crop, quarter turns, flips and resizing.
#include "ops/geometry.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tilecast {

namespace {

#if defined(__SSE2__)
template <class T>
__m128i InterleaveLow(__m128i a, __m128i b) {
  if constexpr (sizeof(T) == 1) return _mm_unpacklo_epi8(a, b);
  if constexpr (sizeof(T) == 2) return _mm_unpacklo_epi16(a, b);
  if constexpr (sizeof(T) == 4) return _mm_unpacklo_epi32(a, b);
  return _mm_unpacklo_epi64(a, b);
}
template <class T>
__m128i InterleaveHigh(__m128i a, __m128i b) {
  if constexpr (sizeof(T) == 1) return _mm_unpackhi_epi8(a, b);
  if constexpr (sizeof(T) == 2) return _mm_unpackhi_epi16(a, b);
  if constexpr (sizeof(T) == 4) return _mm_unpackhi_epi32(a, b);
  return _mm_unpackhi_epi64(a, b);
}
#endif

// out[x * kSide + y] = row(y)[x], for a square.
template <class T, int64_t kSide, class Row>
void TransposeSquare(Row&& row, T* out) {
#if defined(__SSE2__)
  // Vectors of n elements, n rows at a time: interleaving row i with row i + n / 2, log2(n) times.
  constexpr int n = 16 / static_cast<int>(sizeof(T));
  for (int64_t y = 0; y < kSide; y += n) {
    for (int64_t x = 0; x < kSide; x += n) {
      __m128i a[n], b[n];
      for (int i = 0; i < n; ++i)
        a[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row(y + i) + x));
      for (int stage = 1; stage < n; stage *= 2) {
        for (int i = 0; i < n / 2; ++i) {
          b[2 * i] = InterleaveLow<T>(a[i], a[i + n / 2]);
          b[2 * i + 1] = InterleaveHigh<T>(a[i], a[i + n / 2]);
        }
        std::copy(b, b + n, a);
      }
      for (int i = 0; i < n; ++i)
        _mm_store_si128(reinterpret_cast<__m128i*>(out + (x + i) * kSide + y), a[i]);
    }
  }
#else
  for (int64_t y = 0; y < kSide; ++y) {
    const T* const from = row(y);
    for (int64_t x = 0; x < kSide; ++x) out[x * kSide + y] = from[x];
  }
#endif
}

template <class T>
void Rearranged(Turn turn, const Plane& in, const Plane& out) {
  const bool across =
      turn == Turn::kRotate90 || turn == Turn::kRotate270 || turn == Turn::kTranspose;
  if (!across) {
    const bool rows = turn != Turn::kFlipColumns, columns = turn != Turn::kFlipRows;
    for (int64_t y = 0; y < in.height; ++y) {
      const T* const from = in.row<T>(y);
      T* const to = out.row<T>(rows ? in.height - 1 - y : y);
      if (columns) {
        std::reverse_copy(from, from + in.width, to);
      } else {
        std::copy(from, from + in.width, to);
      }
    }
    return;
  }
  // Squares of a cache line each way are turned in a buffer of their own: rows of an image are
  // often a power of two apart, and would push each other out of the cache before their lines are
  // full.
  constexpr int64_t kSide = 64 / static_cast<int64_t>(sizeof(T));
  alignas(64) T square[kSide * kSide];
  for (int64_t y0 = 0; y0 < in.height; y0 += kSide) {
    const int64_t height = std::min(kSide, in.height - y0);
    const int64_t to_x = turn == Turn::kRotate270 ? in.height - y0 - height : y0;
    for (int64_t x0 = 0; x0 < in.width; x0 += kSide) {
      const int64_t width = std::min(kSide, in.width - x0);
      // Row x of the square: column x0 + x of the image, downwards or upwards.
      const auto row = [&](int64_t y) {
        return in.row<T>(turn == Turn::kRotate270 ? y0 + height - 1 - y : y0 + y) + x0;
      };
      if (height == kSide && width == kSide) {
        TransposeSquare<T, kSide>(row, square);
      } else {
        for (int64_t y = 0; y < height; ++y) {
          const T* const from = row(y);
          for (int64_t x = 0; x < width; ++x) square[x * kSide + y] = from[x];
        }
      }
      for (int64_t x = 0; x < width; ++x) {
        const int64_t to_y = turn == Turn::kRotate90 ? in.width - 1 - (x0 + x) : x0 + x;
        std::memcpy(out.row<T>(to_y) + to_x, square + x * kSide,
                    static_cast<size_t>(height) * sizeof(T));
      }
    }
  }
}

}  // namespace

void ResampleShares(Resampling method, int64_t in, int64_t out, int64_t first, int64_t count,
                    std::vector<ResampleShare>& shares, std::vector<double>& weights) {
  shares.clear();
  weights.clear();
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = first; i < first + count; ++i) {
    ResampleShare share{0, 0, weights.size()};
    if (method == Resampling::kBilinear) {
      const double at = std::clamp((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0,
                                   static_cast<double>(in - 1));
      share.first = std::min(static_cast<int64_t>(at), in - 1);
      const double t = at - static_cast<double>(share.first);
      weights.push_back(1 - t);
      if (t > 0) weights.push_back(t);
    } else {
      const double low = static_cast<double>(i) * scale, high = static_cast<double>(i + 1) * scale;
      share.first = std::min(static_cast<int64_t>(low), in - 1);
      const int64_t end =
          std::clamp(static_cast<int64_t>(std::ceil(high - 1e-9)), share.first + 1, in);
      for (int64_t k = share.first; k < end; ++k) {
        const double covered =
            std::min(high, static_cast<double>(k + 1)) - std::max(low, static_cast<double>(k));
        weights.push_back(covered / scale);
      }
    }
    share.count = static_cast<int64_t>(weights.size() - share.weight);
    shares.push_back(share);
  }
}

void Crop(const Plane& in, int64_t y, int64_t x, const Plane& out) {
  RequireDType("crop", "the result", out, in.dtype);
  if (y < 0 || x < 0 || y + out.height > in.height || x + out.width > in.width) {
    throw Error(Code::kInvalidArgument,
                "crop: rows " + std::to_string(y) + ".." + std::to_string(y + out.height) +
                    " and columns " + std::to_string(x) + ".." + std::to_string(x + out.width) +
                    " must lie inside [" + std::to_string(in.height) + ", " +
                    std::to_string(in.width) + "]");
  }
  const auto size = static_cast<int64_t>(DTypeSize(in.dtype));
  for (int64_t row = 0; row < out.height && out.width > 0; ++row)
    std::memcpy(out.row<std::byte>(row), in.row<std::byte>(y + row) + x * size,
                static_cast<size_t>(out.row_bytes()));
}

void Rearrange(Turn turn, const Plane& in, const Plane& out) {
  RequireDType("rearrange", "the result", out, in.dtype);
  const bool across =
      turn == Turn::kRotate90 || turn == Turn::kRotate270 || turn == Turn::kTranspose;
  RequireShape("rearrange", "the result", out, across ? in.width : in.height,
               across ? in.height : in.width);
  switch (DTypeSize(in.dtype)) {
    case 1:
      return Rearranged<uint8_t>(turn, in, out);
    case 2:
      return Rearranged<uint16_t>(turn, in, out);
    case 4:
      return Rearranged<uint32_t>(turn, in, out);
    default:
      return Rearranged<uint64_t>(turn, in, out);
  }
}

void Resize(Resampling method, const Plane& in, const Plane& out) {
  ResizePart(method, in, {in.height, in.width, 0, 0}, out, {out.height, out.width, 0, 0});
}

void ResizePart(Resampling method, const Plane& in, const PartPlace& in_place, const Plane& out,
                const PartPlace& out_place) {
  if (out.height == 0 || out.width == 0) return;
  RequirePixels("resize", in);
  thread_local std::vector<ResampleShare> down, along;
  thread_local std::vector<double> down_weights, along_weights, line, sum, result;
  ResampleShares(method, in_place.height, out_place.height, out_place.y, out.height, down,
                 down_weights);
  ResampleShares(method, in_place.width, out_place.width, out_place.x, out.width, along,
                 along_weights);
  const auto load = Kernels().scale_to_f64[static_cast<int>(in.dtype)];
  const auto store = Kernels().from_f64[static_cast<int>(out.dtype)];
  line.resize(static_cast<size_t>(in.width));
  result.resize(static_cast<size_t>(out.width));
  for (int64_t y = 0; y < out.height; ++y) {
    const ResampleShare& rows = down[static_cast<size_t>(y)];
    sum.assign(static_cast<size_t>(in.width), 0);
    for (int64_t k = 0; k < rows.count; ++k) {
      load(in.row<std::byte>(rows.first - in_place.y + k),
           down_weights[rows.weight + static_cast<size_t>(k)], 0, line.data(), in.width);
      double* const s = sum.data();
      const double* const v = line.data();
      for (int64_t x = 0; x < in.width; ++x) s[x] += v[x];
    }
    for (int64_t x = 0; x < out.width; ++x) {
      const ResampleShare& share = along[static_cast<size_t>(x)];
      double total = 0;
      for (int64_t k = 0; k < share.count; ++k)
        total += sum[static_cast<size_t>(share.first - in_place.x + k)] *
                 along_weights[share.weight + static_cast<size_t>(k)];
      result[static_cast<size_t>(x)] = total;
    }
    store(result.data(), out.row<std::byte>(y), out.width);
  }
}

std::pair<int64_t, int64_t> ResizeSource(Resampling method, int64_t in, int64_t out, int64_t first,
                                         int64_t count) {
  std::vector<ResampleShare> shares;
  std::vector<double> weights;
  ResampleShares(method, in, out, first, count, shares, weights);
  const ResampleShare& last = shares.back();
  return {shares.front().first, last.first + last.count};
}

}  // namespace tilecast
