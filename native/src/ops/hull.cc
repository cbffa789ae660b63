// SPDX-License-Identifier: MIT
// Convex hull by rows: the left and the right chain over half rows (Andrew, Information Processing
// Letters 9(5), 1979), then the pixels between them.
#include "ops/hull.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace tilecast {

namespace {

// Twice the coordinates, so that the middles of sides are integers.
struct Point {
  int64_t y, x;
};

// Where the chain lies left of the line through a and c at b's row, b goes.
bool Inside(const Point& a, const Point& b, const Point& c) {
  return (b.y - a.y) * (c.x - a.x) - (b.x - a.x) * (c.y - a.y) <= 0;
}

// The convex chain of the least x of each half row.
void LeftChain(const std::vector<int64_t>& least, int64_t top, std::vector<Point>& chain) {
  chain.clear();
  for (size_t i = 0; i < least.size(); ++i) {
    if (least[i] == std::numeric_limits<int64_t>::max()) continue;
    const Point p{top + static_cast<int64_t>(i), least[i]};
    while (chain.size() > 1 && Inside(chain[chain.size() - 2], chain.back(), p)) chain.pop_back();
    chain.push_back(p);
  }
}

int64_t CeilDiv(int64_t a, int64_t b) {  // b > 0
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

// The first whole pixel at or right of the chain, on whole rows only; f(row, x).
template <class F>
void AlongChain(const std::vector<Point>& chain, F f) {
  size_t at = 0;
  for (int64_t y = chain.front().y + (chain.front().y & 1); y <= chain.back().y; y += 2) {
    while (at + 2 < chain.size() && chain[at + 1].y < y) ++at;
    const Point &a = chain[at], &b = chain[at + 1];
    const int64_t height = b.y - a.y;
    f(y / 2, CeilDiv(a.x * height + (b.x - a.x) * (y - a.y), 2 * height));
  }
}

}  // namespace

int64_t ConvexArea(const Objects& objects, std::span<const int32_t> runs) {
  thread_local std::vector<int64_t> left, right, first;
  thread_local std::vector<Point> chain;
  const auto run = [&](size_t i) -> const Run& {
    return objects.runs[static_cast<size_t>(runs[i])];
  };
  const int64_t y0 = run(0).y, y1 = run(runs.size() - 1).y + 1;
  // Half rows from half a row above the first to half a row below the last; x mirrored on the
  // right, so that both are least ones.
  const int64_t top = 2 * y0 - 1;
  left.assign(static_cast<size_t>(2 * (y1 - y0) + 1), std::numeric_limits<int64_t>::max());
  right.assign(left.size(), std::numeric_limits<int64_t>::max());
  const auto put = [&](int64_t y, int64_t low, int64_t high) {
    const auto at = static_cast<size_t>(y - top);
    left[at] = std::min(left[at], low);
    right[at] = std::min(right[at], -high);
  };
  for (size_t i = 0; i < runs.size(); ++i) {
    const Run& r = run(i);
    const int64_t y = 2 * r.y, low = 2 * r.x0, high = 2 * (r.x1 - 1);
    put(y - 1, low, high);
    put(y, low - 1, high + 1);
    put(y + 1, low, high);
  }
  int64_t area = 0;
  first.resize(static_cast<size_t>(y1 - y0));
  LeftChain(left, top, chain);
  AlongChain(chain, [&](int64_t y, int64_t x) { first[static_cast<size_t>(y - y0)] = x; });
  LeftChain(right, top, chain);
  AlongChain(chain,
             [&](int64_t y, int64_t x) { area += -x - first[static_cast<size_t>(y - y0)] + 1; });
  return area;
}

}  // namespace tilecast
