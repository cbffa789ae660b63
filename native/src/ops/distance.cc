// SPDX-License-Identifier: MIT
// The distance transform, peaks of an image, and the growth of labels.
#include "ops/distance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "ops/check.h"
#include "ops/morphology.h"
#include "ops/object_parts.h"

namespace tilecast {

namespace {

constexpr int32_t kFar = 1 << 29;  // of a column without background

// Lower envelope of the parabolas heights[i] + (x - i)^2 for x in [1, n - 1), heights of both ends
// known; heights of kFar don't take part.
void Envelope(const int64_t* heights, int64_t n, float* out, std::vector<int64_t>& at,
              std::vector<int64_t>& from) {
  at.clear();    // parabolas of the envelope
  from.clear();  // and the first x that each is lowest at
  for (int64_t i = 0; i < n; ++i) {
    if (heights[i] < 0) continue;
    int64_t start = 0;
    while (!at.empty()) {
      const int64_t j = at.back();
      // The last x at which j is not above i: floor division of what may be negative.
      const int64_t rise = heights[i] + i * i - heights[j] - j * j, run = 2 * (i - j);
      start = (rise >= 0 ? rise / run : -((-rise + run - 1) / run)) + 1;
      if (start > from.back()) break;
      at.pop_back();
      from.pop_back();
      start = 0;
    }
    if (start < n) {
      at.push_back(i);
      from.push_back(start);
    }
  }
  if (at.empty()) {
    std::fill_n(out + 1, n - 2, std::numeric_limits<float>::infinity());
    return;
  }
  size_t k = 0;
  for (int64_t x = 1; x < n - 1; ++x) {
    while (k + 1 < at.size() && from[k + 1] <= x) ++k;
    const int64_t d = x - at[k];
    out[x] = static_cast<float>(std::sqrt(static_cast<double>(heights[at[k]] + d * d)));
  }
}

}  // namespace

void DistanceTransform(const Plane& mask, const Plane& out) {
  RequireDType("distance", "the mask", mask, DType::kU8);
  RequireDType("distance", "the result", out, DType::kF32);
  RequireShape("distance", "the result", out, mask.height, mask.width);
  const int64_t height = mask.height, width = mask.width;
  if (height >= 32768 || width >= 32768) {
    throw Error(Code::kOpShape, "distance: an image side must be below 32768 px, got [" +
                                    std::to_string(height) + ", " + std::to_string(width) + "]");
  }
  if (height == 0 || width == 0) return;
  thread_local std::vector<int32_t> memory;
  thread_local std::vector<int64_t> heights, at, from;
  thread_local std::vector<float> line;
  memory.resize(static_cast<size_t>(height * width));
  auto column = [&](int64_t y) { return memory.data() + y * width; };
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* const in = mask.row<uint8_t>(y);
    int32_t* const d = column(y);
    for (int64_t x = 0; x < width; ++x) {
      const int32_t above = y > 0 ? d[x - width] + 1 : kFar;
      d[x] = in[x] != 0 ? above : 0;
    }
  }
  for (int64_t y = height - 1; y-- > 0;) {
    int32_t* const d = column(y);
    for (int64_t x = 0; x < width; ++x) d[x] = std::min(d[x], d[x + width] + 1);
  }
  for (int64_t y = 0; y < height; ++y) {
    const int32_t* const d = column(y);
    float* const to = out.row<float>(y);
    for (int64_t x = 0; x < width;) {
      if (d[x] == 0) {
        to[x++] = 0;
        continue;
      }
      // A run of foreground between two pixels of background (or the edges, where heights < 0 stand
      // for nothing): nothing beyond them is nearer.
      int64_t end = x;
      heights.assign(1, x > 0 ? 0 : -1);
      for (; end < width && d[end] != 0; ++end)
        heights.push_back(d[end] < kFar ? int64_t{d[end]} * d[end] : -1);
      heights.push_back(end < width ? 0 : -1);
      line.resize(heights.size());
      Envelope(heights.data(), static_cast<int64_t>(heights.size()), line.data(), at, from);
      std::memcpy(to + x, line.data() + 1, static_cast<size_t>(end - x) * sizeof(float));
      x = end;
    }
  }
}

void FindPeaks(const Plane& in, int64_t distance, double threshold, int64_t border,
               std::vector<Peak>& peaks) {
  if (distance < 1 || border < 0) {
    throw Error(Code::kInvalidArgument,
                "peaks: the distance must be at least 1 px and the border 0, got " +
                    std::to_string(distance) + " and " + std::to_string(border));
  }
  peaks.clear();
  if (in.height == 0 || in.width == 0) return;
  thread_local std::vector<std::byte> memory;
  memory.resize(static_cast<size_t>(in.bytes()));
  const Plane greatest = PackedPlane(memory.data(), in.dtype, in.height, in.width);
  Morph(Morphology::kDilate, Footprint::Rectangle(2 * distance + 1, 2 * distance + 1), in,
        greatest);
  Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    bool varies = false;
    for (int64_t y = 0; y < in.height; ++y) {
      const T *const row = in.row<T>(y), *const top = greatest.row<T>(y);
      const bool inside_y = y >= border && y < in.height - border;
      for (int64_t x = 0; x < in.width; ++x) {
        varies |= row[x] != in.row<T>(0)[0];
        if (row[x] != top[x] || !(static_cast<double>(row[x]) > threshold)) continue;
        if (inside_y && x >= border && x < in.width - border)
          peaks.push_back(
              {static_cast<int32_t>(y), static_cast<int32_t>(x), static_cast<double>(row[x])});
      }
    }
    if (!varies) peaks.clear();
  });
  std::stable_sort(peaks.begin(), peaks.end(),
                   [](const Peak& a, const Peak& b) { return a.value > b.value; });
  if (distance == 1) return;
  // Cells of `distance` px hold at most one kept peak each: only the nine around can be too near.
  const int64_t cells_x = in.width / distance + 1, cells_y = in.height / distance + 1;
  thread_local std::vector<int32_t> cells;
  cells.assign(static_cast<size_t>(cells_x * cells_y), -1);
  size_t kept = 0;
  for (const Peak peak : peaks) {
    const int64_t cy = peak.y / distance, cx = peak.x / distance;
    bool near = false;
    for (int64_t y = std::max<int64_t>(0, cy - 1); y <= std::min(cells_y - 1, cy + 1); ++y) {
      for (int64_t x = std::max<int64_t>(0, cx - 1); x <= std::min(cells_x - 1, cx + 1); ++x) {
        const int32_t other = cells[static_cast<size_t>(y * cells_x + x)];
        if (other < 0) continue;
        const Peak& o = peaks[static_cast<size_t>(other)];
        near |= std::max(std::abs(o.y - peak.y), std::abs(o.x - peak.x)) < distance;
      }
    }
    if (near) continue;
    cells[static_cast<size_t>(cy * cells_x + cx)] = static_cast<int32_t>(kept);
    peaks[kept++] = peak;
  }
  peaks.resize(kept);
}

void ExpandLabels(const Plane& labels, double distance, const Plane& out) {
  RequireDType("expandLabels", "the labels", labels, DType::kI32);
  RequireDType("expandLabels", "the result", out, DType::kI32);
  RequireShape("expandLabels", "the result", out, labels.height, labels.width);
  if (!(distance >= 0 && distance <= 4096)) {
    throw Error(
        Code::kInvalidArgument,
        "expandLabels: the distance must be within 0..4096 px, got " + std::to_string(distance));
  }
  const int64_t height = labels.height, width = labels.width;
  if (height == 0 || width == 0) return;
  const auto reach = static_cast<int64_t>(distance);
  const auto most = static_cast<int32_t>(distance * distance);
  constexpr int32_t kNone = 1 << 20;
  // For each pixel the nearest label along its column and its distance, one row after the other:
  // above from the rows seen, below from a pass from the bottom.
  const int64_t stride = width + 2 * reach;  // margins of nothing, so that no column is special
  thread_local std::vector<int32_t> far, who, up, up_who, best;
  far.resize(static_cast<size_t>(height * width));
  who.resize(static_cast<size_t>(height * width));
  up.assign(static_cast<size_t>(stride), kNone);
  up_who.assign(static_cast<size_t>(stride), 0);
  best.resize(static_cast<size_t>(width));
  for (int64_t y = height; y-- > 0;) {
    const int32_t* const in = labels.row<int32_t>(y);
    int32_t *const d = far.data() + y * width, *const w = who.data() + y * width;
    for (int64_t x = 0; x < width; ++x) {
      const bool set = in[x] != 0;
      const int32_t below = y + 1 < height ? d[x + width] : kNone;
      d[x] = set ? 0 : std::min(below + 1, kNone);
      w[x] = set ? in[x] : y + 1 < height ? w[x + width] : 0;
    }
  }
  thread_local std::vector<int32_t> square, name;
  square.assign(static_cast<size_t>(stride), kNone);
  name.assign(static_cast<size_t>(stride), 0);
  for (int64_t y = 0; y < height; ++y) {
    const int32_t* const in = labels.row<int32_t>(y);
    const int32_t *const d = far.data() + y * width, *const w = who.data() + y * width;
    for (int64_t x = 0; x < width; ++x) {
      const bool set = in[x] != 0;
      up[static_cast<size_t>(x)] = set ? 0 : std::min(up[static_cast<size_t>(x)] + 1, kNone);
      up_who[static_cast<size_t>(x)] = set ? in[x] : up_who[static_cast<size_t>(x)];
      const int32_t a = up[static_cast<size_t>(x)], an = up_who[static_cast<size_t>(x)];
      const bool above = a < d[x] || (a == d[x] && an < w[x]);
      const int32_t nearest = above ? a : d[x];
      square[static_cast<size_t>(x + reach)] = nearest > reach ? INT32_MAX / 2 : nearest * nearest;
      name[static_cast<size_t>(x + reach)] = above ? an : w[x];
    }
    int32_t* const to = out.row<int32_t>(y);
    for (int64_t x = 0; x < reach; ++x) {
      square[static_cast<size_t>(x)] = square[static_cast<size_t>(reach + width + x)] =
          INT32_MAX / 2;
    }
    std::fill(best.begin(), best.end(), most + 1);
    std::fill_n(to, width, 0);
    for (int64_t k = -reach; k <= reach; ++k) {
      const auto along = static_cast<int32_t>(k * k);
      if (along > most) continue;
      const int32_t *const s = square.data() + reach + k, *const n = name.data() + reach + k;
      int32_t* const b = best.data();
      for (int64_t x = 0; x < width; ++x) {
        const int32_t candidate = s[x] + along;
        const bool better =
            (candidate < b[x]) | ((candidate == b[x]) & (candidate <= most) & (n[x] < to[x]));
        b[x] = better ? candidate : b[x];
        to[x] = better ? n[x] : to[x];
      }
    }
  }
}

void FilterLabels(const Plane& labels, const LabelOptions& options, const Plane& out) {
  RequireDType("filterLabels", "the labels", labels, DType::kI32);
  RequireDType("filterLabels", "the result", out, DType::kI32);
  RequireShape("filterLabels", "the result", out, labels.height, labels.width);
  thread_local Objects objects;
  RunsFromLabels(labels, objects);
  thread_local Objects kept;
  FilterObjects(objects, options, kept);
  PaintLabels(kept, out);
}

}  // namespace tilecast
