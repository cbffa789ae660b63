// SPDX-License-Identifier: MIT
// Which bytes of a decoded chunk are wanted and where they go: rows of the chunk to rows of an
// image.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tilecast {

// Row r of the window is bytes [first + r * pitch, + span) of the chunk and goes to dst + r *
// stride. Offsets and lengths are multiples of the pixel's size, and span is at most pitch.
// Decoders that work block by block skip what no row touches.
struct RowWindow {
  uint8_t* dst = nullptr;
  size_t stride = 0;
  size_t rows = 0;
  size_t span = 0;
  size_t first = 0;
  size_t pitch = 0;

  // Rows that follow each other on both sides are one long row.
  RowWindow Joined() const {
    if (rows <= 1 || span != pitch || span != stride) return *this;
    return {dst, rows * span, 1, rows * span, first, rows * span};
  }

  // The chunk bytes that the window reaches, as [first, end()).
  size_t end() const { return rows == 0 ? first : first + (rows - 1) * pitch + span; }

  // Calls f(offset, bytes, to) for each run of wanted bytes in the chunk's [begin, begin + n);
  // offset counts from begin.
  template <class F>
  void ForEach(size_t begin, size_t n, F&& f) const {
    const size_t stop = begin + n;
    for (size_t r = begin <= first ? 0 : (begin - first) / pitch; r < rows; ++r) {
      const size_t from = first + r * pitch;
      if (from >= stop) return;
      const size_t low = std::max(from, begin);
      const size_t high = std::min(from + span, stop);
      if (low < high) f(low - begin, high - low, dst + r * stride + (low - from));
    }
  }

  bool Touches(size_t begin, size_t n) const {
    bool touches = false;
    if (begin < end() && first < begin + n)
      ForEach(begin, n, [&](size_t, size_t, uint8_t*) { touches = true; });
    return touches;
  }

  // Where [begin, begin + n) goes if all of it is wanted, in one piece; else null.
  uint8_t* Direct(size_t begin, size_t n) const {
    if (begin < first) return nullptr;
    const size_t r = (begin - first) / pitch;
    const size_t from = first + r * pitch;
    return r < rows && begin - from + n <= span ? dst + r * stride + (begin - from) : nullptr;
  }
};

}  // namespace tilecast
