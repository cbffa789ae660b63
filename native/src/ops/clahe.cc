// SPDX-License-Identifier: MIT
// Contrast-limited adaptive histogram equalisation, step for step as OpenCV's clahe.cpp.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/intensity.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

// OpenCV's BORDER_REFLECT_101: d c b | a b c d | c b a.
int64_t Mirror(int64_t i, int64_t n) {
  if (n == 1) return 0;
  i %= 2 * n - 2;
  return i < n ? i : 2 * n - 2 - i;
}

// What lies above the limit is handed out evenly, the rest in even steps.
void Limit(std::vector<int32_t>& counts, int32_t limit) {
  const auto bins = static_cast<int32_t>(counts.size());
  int32_t clipped = 0;
  for (int32_t& c : counts) {
    if (c <= limit) continue;
    clipped += c - limit;
    c = limit;
  }
  const int32_t batch = clipped / bins;
  int32_t rest = clipped - batch * bins;
  for (int32_t& c : counts) c += batch;
  if (rest == 0) return;
  const int32_t step = std::max(bins / rest, 1);
  for (int32_t i = 0; i < bins && rest > 0; i += step, --rest) ++counts[static_cast<size_t>(i)];
}

struct Place {  // of a pixel between the centres of two tiles
  int64_t low, high;
  float from_low, from_high;
};

Place PlaceOf(int64_t i, float inverse, int64_t tiles) {
  const float position = static_cast<float>(i) * inverse - 0.5f;
  const auto low = static_cast<int64_t>(std::floor(position));
  const float fraction = position - static_cast<float>(low);
  return {std::max<int64_t>(low, 0), std::min(low + 1, tiles - 1), 1.0f - fraction, fraction};
}

// Columns x0 <= x < x1 lie between the same two tiles.
struct Span {
  int64_t x0, x1, left, right;
};

template <class T>
void Blend(const Plane& in, const std::vector<T>& tables, int64_t height, int64_t width,
           int64_t tiles_y, int64_t tiles_x, const Plane& out) {
  constexpr int64_t kBins = 1 << (8 * sizeof(T));
  thread_local std::vector<Span> spans;
  thread_local std::vector<float> from_left, from_right;
  thread_local std::vector<uint32_t> quads;  // of a row of tiles, a span after another
  spans.clear();
  from_left.clear();
  from_right.clear();
  for (int64_t x = 0; x < in.width; ++x) {
    const Place at = PlaceOf(x, 1.0f / static_cast<float>(width), tiles_x);
    from_left.push_back(at.from_low);
    from_right.push_back(at.from_high);
    if (spans.empty() || spans.back().left != at.low || spans.back().right != at.high) {
      spans.push_back({x, x, at.low, at.high});
    }
    spans.back().x1 = x + 1;
  }
  const auto table = [&](int64_t ty, int64_t tx) {
    return tables.data() + (ty * tiles_x + tx) * kBins;
  };
  int64_t low = -1, high = -1;  // whose quads are there
  for (int64_t y = 0; y < in.height; ++y) {
    const Place at = PlaceOf(y, 1.0f / static_cast<float>(height), tiles_y);
    if constexpr (sizeof(T) == 1) {
      if (at.low != low || at.high != high) {
        low = at.low;
        high = at.high;
        quads.clear();
        for (const Span& s : spans) {
          const T *const a = table(low, s.left), *const b = table(low, s.right),
                         *const c = table(high, s.left), *const d = table(high, s.right);
          for (int64_t i = 0; i < kBins; ++i) {
            quads.push_back(static_cast<uint32_t>(a[i]) | static_cast<uint32_t>(b[i]) << 8 |
                            static_cast<uint32_t>(c[i]) << 16 | static_cast<uint32_t>(d[i]) << 24);
          }
        }
      }
    }
    for (size_t k = 0; k < spans.size(); ++k) {
      const Span& s = spans[k];
      const T* const from = in.row<T>(y) + s.x0;
      T* const to = out.row<T>(y) + s.x0;
      const float *const left = from_left.data() + s.x0, *const right = from_right.data() + s.x0;
      if constexpr (sizeof(T) == 1) {
        Kernels().clahe_u8(from, quads.data() + k * static_cast<size_t>(kBins), left, right,
                           at.from_low, at.from_high, to, s.x1 - s.x0);
      } else {
        const T* const four[] = {table(at.low, s.left), table(at.low, s.right),
                                 table(at.high, s.left), table(at.high, s.right)};
        Kernels().clahe_u16(from, four, left, right, at.from_low, at.from_high, to, s.x1 - s.x0);
      }
    }
  }
}

template <class T>
void Run(const Plane& in, double clip, int64_t tiles_y, int64_t tiles_x, const Plane& out) {
  constexpr int32_t kBins = 1 << (8 * sizeof(T));
  // OpenCV pads both sides when either isn't a whole number of tiles.
  const bool whole = in.height % tiles_y == 0 && in.width % tiles_x == 0;
  const int64_t height =
      whole ? in.height / tiles_y : (in.height + tiles_y - in.height % tiles_y) / tiles_y;
  const int64_t width =
      whole ? in.width / tiles_x : (in.width + tiles_x - in.width % tiles_x) / tiles_x;
  const auto area = static_cast<int32_t>(height * width);
  const int32_t limit = clip > 0 ? std::max(static_cast<int32_t>(clip * area / kBins), 1) : area;
  const float scale = static_cast<float>(kBins - 1) / static_cast<float>(area);
  thread_local std::vector<T> tables;
  thread_local std::vector<int32_t> counts;
  tables.resize(static_cast<size_t>(tiles_y * tiles_x * kBins));
  for (int64_t tile = 0; tile < tiles_y * tiles_x; ++tile) {
    counts.assign(kBins, 0);
    const int64_t y0 = tile / tiles_x * height, x0 = tile % tiles_x * width;
    for (int64_t y = y0; y < y0 + height; ++y) {
      const T* const row = in.row<T>(Mirror(y, in.height));
      const int64_t inside = std::clamp<int64_t>(in.width - x0, 0, width);
      for (int64_t x = x0; x < x0 + inside; ++x) ++counts[row[x]];
      for (int64_t x = x0 + inside; x < x0 + width; ++x) ++counts[row[Mirror(x, in.width)]];
    }
    if (clip > 0) Limit(counts, limit);
    T* const table = tables.data() + tile * kBins;
    int32_t sum = 0;
    for (int32_t i = 0; i < kBins; ++i) {
      sum += counts[static_cast<size_t>(i)];
      const float value = RoundedSmall(static_cast<float>(sum) * scale);
      table[i] = static_cast<T>(std::min(value, static_cast<float>(kBins - 1)));
    }
  }
  Blend(in, tables, height, width, tiles_y, tiles_x, out);
}

}  // namespace

void Clahe(const Plane& in, double clip, int64_t tiles_y, int64_t tiles_x, const Plane& out) {
  if (in.dtype != DType::kU8) RequireDType("clahe", "the image", in, DType::kU16);
  RequireDType("clahe", "the result", out, in.dtype);
  RequireShape("clahe", "the result", out, in.height, in.width);
  if (tiles_y < 1 || tiles_x < 1 || tiles_y > std::min<int64_t>(256, in.height) ||
      tiles_x > std::min<int64_t>(256, in.width) || !(clip >= 0)) {
    throw Error(Code::kInvalidArgument,
                "clahe: tiles must be within 1..256 and no more than pixels along a side, the clip "
                "limit at least 0; got " +
                    std::to_string(tiles_y) + " x " + std::to_string(tiles_x) + " tiles, clip " +
                    std::to_string(clip));
  }
  if (in.dtype == DType::kU8) {
    Run<uint8_t>(in, clip, tiles_y, tiles_x, out);
  } else {
    Run<uint16_t>(in, clip, tiles_y, tiles_x, out);
  }
}

}  // namespace tilecast
