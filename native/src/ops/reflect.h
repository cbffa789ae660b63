// SPDX-License-Identifier: MIT
// The boundary of the neighbourhood filters: half-sample symmetric, scipy.ndimage's "reflect".
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace tilecast {

// d c b a | a b c d | d c b a, repeated.
inline int64_t Reflect(int64_t i, int64_t n) {
  i %= 2 * n;
  if (i < 0) i += 2 * n;
  return i < n ? i : 2 * n - 1 - i;
}

// out[i] = row[Reflect(first + i, n)], i < count.
template <class T>
void CopyReflected(const T* row, int64_t n, int64_t first, int64_t count, T* out) {
  int64_t i = 0;
  for (; i < count && first + i < 0; ++i) out[i] = row[Reflect(first + i, n)];
  const int64_t inside = std::min(count, n - first);
  if (inside > i) {
    std::memcpy(out + i, row + first + i, static_cast<size_t>(inside - i) * sizeof(T));
    i = inside;
  }
  for (; i < count; ++i) out[i] = row[Reflect(first + i, n)];
}

}  // namespace tilecast
