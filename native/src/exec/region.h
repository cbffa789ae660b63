// SPDX-License-Identifier: MIT
// A rectangle of an image, and the part of a tile in memory that covers it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "image.h"

namespace tilecast {

struct Region {
  int64_t y = 0, x = 0, height = 0, width = 0;

  bool empty() const { return height <= 0 || width <= 0; }
  int64_t bottom() const { return y + height; }
  int64_t right() const { return x + width; }
  int64_t pixels() const { return height * width; }
  bool Contains(const Region& r) const {
    return r.y >= y && r.x >= x && r.bottom() <= bottom() && r.right() <= right();
  }
  bool operator==(const Region&) const = default;
};

inline Region WholeOf(int64_t height, int64_t width) {
  return {0, 0, height, width};
}

// The least rectangle around both; an empty one does not count.
inline Region Around(const Region& a, const Region& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  const int64_t y = std::min(a.y, b.y), x = std::min(a.x, b.x);
  return {y, x, std::max(a.bottom(), b.bottom()) - y, std::max(a.right(), b.right()) - x};
}

// `margin` px more on every side, as far as the image of height x width goes.
inline Region Grown(const Region& r, int64_t margin, int64_t height, int64_t width) {
  const int64_t y = std::max<int64_t>(0, r.y - margin), x = std::max<int64_t>(0, r.x - margin);
  return {y, x, std::min(height, r.bottom() + margin) - y, std::min(width, r.right() + margin) - x};
}

// `part` of a tile whose first pixel is at (held.y, held.x) of the image.
inline Plane PartOf(const Plane& tile, const Region& held, const Region& part) {
  return {tile.data + (part.y - held.y) * tile.stride +
              (part.x - held.x) * static_cast<int64_t>(DTypeSize(tile.dtype)),
          tile.dtype, part.height, part.width, tile.stride};
}

}  // namespace tilecast
