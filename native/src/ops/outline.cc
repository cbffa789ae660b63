// SPDX-License-Identifier: MIT
// Traces outlines without looking at a pixel: vertical edges are the ends of runs, and a sweep
// along each line between two rows says which of them follow each other.
#include "ops/outline.h"

#include <algorithm>
#include <limits>

namespace tilecast {
namespace {

constexpr int32_t kEnd = std::numeric_limits<int32_t>::max();

}  // namespace

// The line between a row's runs [above, above_end) and the next row's [below, below_end), all of
// one label and positions in order_. Gaps between the x where runs begin or end are cracks where
// the label is on one side only: along its lower side a ring goes west, along its upper side east.
// At each x the edges that come in are the right sides above and the left sides below, those that
// leave the left sides above and the right sides below.
void OutlineTracer::Link(const Objects& objects, int32_t above, int32_t above_end, int32_t below,
                         int32_t below_end) {
  const auto run = [&](int32_t at) -> const Run& {
    return objects.runs[static_cast<size_t>(order_[static_cast<size_t>(at)])];
  };
  const auto follow = [&](int32_t edge, int32_t next) { next_[static_cast<size_t>(edge)] = next; };
  bool in_above = false, in_below = false;
  int32_t west_to = -1;    // of the gap to the left, when it goes west: the edge at its left end
  int32_t east_from = -1;  // when it goes east: the edge that comes in at its left end
  while (above < above_end || below < below_end) {
    const int32_t next_above =
        above < above_end ? (in_above ? run(above).x1 : run(above).x0) : kEnd;
    const int32_t next_below =
        below < below_end ? (in_below ? run(below).x1 : run(below).x0) : kEnd;
    const int32_t x = std::min(next_above, next_below);
    const bool east = in_below && !in_above, west = in_above && !in_below;
    int32_t in_right = -1, in_left = -1;    // right side above, left side below
    int32_t out_left = -1, out_right = -1;  // left side above, right side below
    if (next_above == x) {
      if (in_above) {
        in_right = 2 * above++ + 1;
      } else {
        out_left = 2 * above;
      }
      in_above = !in_above;
    }
    if (next_below == x) {
      if (in_below) {
        out_right = 2 * below++ + 1;
      } else {
        in_left = 2 * below;
      }
      in_below = !in_below;
    }
    // Where two pixels touch in a corner, both ends of a gap have a choice: the ring stays between
    // the two, that is, turns left.
    if (east) {
      follow(east_from, out_left >= 0 ? out_left : out_right);
      if (out_left >= 0)
        out_left = -1;
      else
        out_right = -1;
    } else if (west) {
      follow(in_left >= 0 ? in_left : in_right, west_to);
      if (in_left >= 0)
        in_left = -1;
      else
        in_right = -1;
    }
    const int32_t in = std::max(in_right, in_left), out = std::max(out_left, out_right);
    if (in_below && !in_above) {
      east_from = in;
    } else if (in_above && !in_below) {
      west_to = out;
    } else if (in >= 0) {
      follow(in, out);  // straight on
    }
  }
}

void OutlineTracer::Trace(const Objects& objects, bool holes, Outlines& out) {
  out.vertices.clear();
  out.offsets.assign(1, 0);
  out.labels.clear();
  out.holes.clear();
  // Counting sort: stable, so that runs stay in raster order.
  first_.assign(static_cast<size_t>(objects.count) + 2, 0);
  for (const Run& r : objects.runs) ++first_[static_cast<size_t>(r.label) + 1];
  for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  order_.resize(objects.runs.size());
  for (size_t i = 0; i < objects.runs.size(); ++i) {
    order_[static_cast<size_t>(first_[static_cast<size_t>(objects.runs[i].label)]++)] =
        static_cast<int32_t>(i);
  }
  next_.assign(2 * order_.size(), -1);
  const auto run = [&](int32_t at) -> const Run& {
    return objects.runs[static_cast<size_t>(order_[static_cast<size_t>(at)])];
  };
  const auto total = static_cast<int32_t>(order_.size());
  for (int32_t begin = 0; begin < total;) {  // a row of a label
    const int32_t y = run(begin).y, label = run(begin).label;
    const auto end_of = [&](int32_t at, int32_t row) {
      while (at < total && run(at).label == label && run(at).y == row) ++at;
      return at;
    };
    const int32_t end = end_of(begin, y);
    const bool first = begin == 0 || run(begin - 1).label != label || run(begin - 1).y != y - 1;
    if (first) Link(objects, begin, begin, begin, end);
    Link(objects, begin, end, end, end_of(end, y + 1));
    begin = end;
  }
  const auto corner = [&](int32_t edge, bool lower) {
    const Run& r = run(edge / 2);
    out.vertices.push_back(r.y + (lower ? 1 : 0));
    out.vertices.push_back(edge % 2 == 0 ? r.x0 : r.x1);
  };
  const auto x_of = [&](int32_t edge) {
    return edge % 2 == 0 ? run(edge / 2).x0 : run(edge / 2).x1;
  };
  for (int32_t start = 0; start < 2 * total; ++start) {
    if (next_[static_cast<size_t>(start)] < 0) continue;
    const size_t before = out.vertices.size();
    int64_t area = 0;
    for (int32_t edge = start; next_[static_cast<size_t>(edge)] >= 0;) {
      const int32_t next = next_[static_cast<size_t>(edge)];
      next_[static_cast<size_t>(edge)] = -1;  // done
      const bool down = edge % 2 != 0, next_down = next % 2 != 0;
      area += down ? x_of(edge) : -x_of(edge);
      // Straight on only where both go the same way: a ring that turns back has a gap between.
      if (x_of(edge) != x_of(next)) {
        corner(edge, down);
        corner(next, !next_down);
      }
      edge = next;
    }
    const bool hole = area < 0;
    if (hole && !holes) {
      out.vertices.resize(before);
      continue;
    }
    out.offsets.push_back(static_cast<uint32_t>(out.vertices.size() / 2));
    out.labels.push_back(run(start / 2).label);
    out.holes.push_back(hole ? 1 : 0);
  }
}

}  // namespace tilecast
