// SPDX-License-Identifier: MIT
// Filling of holes: the background's 4-connected components by runs, as label.cc does the objects'.
#include <bit>
#include <cstring>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/morphology.h"
#include "ops/object_parts.h"

namespace tilecast {

namespace {

struct Gap {  // a run of background: pixels x0 <= x < x1
  int64_t x0, x1;
  size_t parent;  // the root has the smallest index of its tree
  bool open;      // at the edge of the image; for roots, whether any of the tree is
};

size_t Root(std::vector<Gap>& gaps, size_t i) {
  while (gaps[i].parent != i) i = gaps[i].parent = gaps[gaps[i].parent].parent;
  return i;
}

void Unite(std::vector<Gap>& gaps, size_t a, size_t b) {
  a = Root(gaps, a);
  b = Root(gaps, b);
  if (a > b) std::swap(a, b);
  gaps[b].parent = a;
  gaps[a].open |= gaps[b].open;
}

// The gaps behind first.back() are a row's: unites them with the row above.
void EndRow(std::vector<Gap>& gaps, std::vector<size_t>& first) {
  if (first.size() > 1) {
    const size_t above_end = first.back(), end = gaps.size();
    size_t above = first[first.size() - 2], here = above_end;
    while (above < above_end && here < end) {
      if (gaps[above].x0 < gaps[here].x1 && gaps[here].x0 < gaps[above].x1)
        Unite(gaps, above, here);
      (gaps[above].x1 < gaps[here].x1 ? above : here)++;
    }
  }
  first.push_back(gaps.size());
}

}  // namespace

void FillObjects(const Objects& mask, Objects& out) {
  std::vector<Gap> gaps;
  std::vector<size_t> first(1, 0);
  for (int64_t y = 0; y < mask.height; ++y) {
    const bool edge = y == 0 || y == mask.height - 1;
    int64_t start = 0;
    auto add = [&](int64_t end) {
      if (end > start)
        gaps.push_back({start, end, gaps.size(), edge || start == 0 || end == mask.width});
    };
    ForRunsIn(mask, y, 0, mask.width, [&](const Run& run, int64_t, int64_t) {
      add(run.x0);
      start = run.x1;
    });
    add(mask.width);
    EndRow(gaps, first);
  }
  out.height = mask.height;
  out.width = mask.width;
  out.count = 0;
  out.runs.clear();
  out.run_of_row.assign(1, 0);
  for (int64_t y = 0; y < mask.height; ++y) {
    int64_t start = 0;
    auto add = [&](int64_t end) {
      if (end <= start) return;
      out.runs.push_back(
          {static_cast<int32_t>(y), static_cast<int32_t>(start), static_cast<int32_t>(end), 1});
      out.count = 1;
    };
    for (size_t i = first[static_cast<size_t>(y)]; i < first[static_cast<size_t>(y) + 1]; ++i) {
      if (!gaps[Root(gaps, i)].open) continue;
      add(gaps[i].x0);
      start = gaps[i].x1;
    }
    add(mask.width);
    out.run_of_row.push_back(static_cast<int32_t>(out.runs.size()));
  }
}

void FillHoles(const Plane& mask, const Plane& out) {
  RequireDType("fillHoles", "the mask", mask, DType::kU8);
  RequireDType("fillHoles", "the result", out, DType::kU8);
  RequireShape("fillHoles", "the result", out, mask.height, mask.width);
  if (mask.height == 0 || mask.width == 0) return;
  thread_local std::vector<Gap> gaps;
  thread_local std::vector<size_t> first;  // the gaps of row y are [first[y], first[y + 1])
  thread_local std::vector<uint64_t> bits;
  gaps.clear();
  first.assign(1, 0);
  bits.resize(static_cast<size_t>(mask.width + 63) / 64);
  const auto threshold = Kernels().threshold_bits[static_cast<int>(DType::kU8)];
  for (int64_t y = 0; y < mask.height; ++y) {
    threshold(mask.row<uint8_t>(y), 0, bits.data(), mask.width);
    const bool edge = y == 0 || y == mask.height - 1;
    auto add = [&](int64_t x0, int64_t x1) {
      gaps.push_back({x0, x1, gaps.size(), edge || x0 == 0 || x1 == mask.width});
    };
    // Background starts before the first pixel and ends where a bit differs from the one before.
    int64_t start = 0;
    bool inside = true;
    uint64_t previous = 0;
    for (size_t i = 0; i < bits.size(); ++i) {
      uint64_t changes = bits[i] ^ (bits[i] << 1 | previous);
      previous = bits[i] >> 63;
      for (; changes != 0; changes &= changes - 1) {
        const int64_t x = static_cast<int64_t>(64 * i) + std::countr_zero(changes);
        if (x >= mask.width) break;
        if (inside && x > start) add(start, x);
        start = x;
        inside = !inside;
      }
    }
    if (inside && start < mask.width) add(start, mask.width);
    EndRow(gaps, first);
  }
  for (int64_t y = 0; y < mask.height; ++y) {
    auto* const row = out.row<uint8_t>(y);
    std::memset(row, 1, static_cast<size_t>(mask.width));
    for (size_t i = first[static_cast<size_t>(y)]; i < first[static_cast<size_t>(y) + 1]; ++i) {
      if (gaps[Root(gaps, i)].open)
        std::memset(row + gaps[i].x0, 0, static_cast<size_t>(gaps[i].x1 - gaps[i].x0));
    }
  }
}

}  // namespace tilecast
