// SPDX-License-Identifier: MIT
// TIFF predictors: undoing them is sequential by nature, so that it runs on rows that the decoder
// has just left in the cache; applying them is not.
#include "codec/predictor.h"

#include <bit>
#include <cstring>

namespace tilecast {
namespace {

static_assert(std::endian::native == std::endian::little,
              "predictor 3 stores the most significant byte first");

template <class T>
T Load(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
void Store(uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

inline uint16_t Reverse(uint16_t v) {
  return __builtin_bswap16(v);
}
inline uint32_t Reverse(uint32_t v) {
  return __builtin_bswap32(v);
}
inline uint64_t Reverse(uint64_t v) {
  return __builtin_bswap64(v);
}

template <class T>
void Swap(uint8_t* data, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Store<T>(data + i * sizeof(T), Reverse(Load<T>(data + i * sizeof(T))));
  }
}

template <class T>
void Accumulate(uint8_t* row, size_t width, size_t samples) {
  if (samples == 1) {
    T sum = 0;
    for (size_t x = 0; x < width; ++x) {
      sum = static_cast<T>(sum + Load<T>(row + x * sizeof(T)));
      Store<T>(row + x * sizeof(T), sum);
    }
    return;
  }
  const size_t step = samples * sizeof(T);
  for (size_t i = step; i < width * step; i += sizeof(T)) {
    Store<T>(row + i, static_cast<T>(Load<T>(row + i) + Load<T>(row + i - step)));
  }
}

template <class T>
void Interleave(uint8_t* row, const uint8_t* planes, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    T v = 0;
    for (size_t b = 0; b < sizeof(T); ++b) {
      v = static_cast<T>(
          v | static_cast<T>(static_cast<T>(planes[b * count + i]) << (8 * (sizeof(T) - 1 - b))));
    }
    Store<T>(row + i * sizeof(T), v);
  }
}

// Each output depends on inputs only: compilers vectorise it.
template <class T>
void Difference(const uint8_t* src, size_t width, uint8_t* dst) {
  std::memcpy(dst, src, sizeof(T));
  for (size_t x = 1; x < width; ++x) {
    Store<T>(dst + x * sizeof(T),
             static_cast<T>(Load<T>(src + x * sizeof(T)) - Load<T>(src + (x - 1) * sizeof(T))));
  }
}

// Byte planes, the most significant first, each byte less the one before it; a plane's first byte
// follows the last of the plane before.
template <class T>
void SplitAndDifference(const uint8_t* src, size_t width, uint8_t* dst) {
  for (size_t b = 0; b < sizeof(T); ++b) {
    const size_t from = sizeof(T) - 1 - b;
    uint8_t* const out = dst + b * width;
    out[0] =
        static_cast<uint8_t>(src[from] - (b == 0 ? 0 : src[(width - 1) * sizeof(T) + from + 1]));
    for (size_t x = 1; x < width; ++x) {
      out[x] = static_cast<uint8_t>(src[x * sizeof(T) + from] - src[(x - 1) * sizeof(T) + from]);
    }
  }
}

}  // namespace

void SwapBytes(void* data, size_t size, size_t count) {
  auto* p = static_cast<uint8_t*>(data);
  if (size == 2) {
    Swap<uint16_t>(p, count);
  } else if (size == 4) {
    Swap<uint32_t>(p, count);
  } else if (size == 8) {
    Swap<uint64_t>(p, count);
  }
}

void UndoHorizontal(void* row, size_t size, size_t width, size_t samples) {
  auto* p = static_cast<uint8_t*>(row);
  if (size == 1) {
    Accumulate<uint8_t>(p, width, samples);
  } else if (size == 2) {
    Accumulate<uint16_t>(p, width, samples);
  } else if (size == 4) {
    Accumulate<uint32_t>(p, width, samples);
  } else if (size == 8) {
    Accumulate<uint64_t>(p, width, samples);
  }
}

void UndoFloatingPoint(void* row, size_t size, size_t width, size_t samples, uint8_t* scratch) {
  auto* p = static_cast<uint8_t*>(row);
  const size_t count = width * samples;
  const size_t bytes = count * size;
  if (samples == 1) {
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; ++i) scratch[i] = sum = static_cast<uint8_t>(sum + p[i]);
  } else {
    for (size_t i = 0; i < bytes; ++i) {
      scratch[i] = static_cast<uint8_t>(p[i] + (i < samples ? 0 : scratch[i - samples]));
    }
  }
  if (size == 2) {
    Interleave<uint16_t>(p, scratch, count);
  } else if (size == 4) {
    Interleave<uint32_t>(p, scratch, count);
  } else if (size == 8) {
    Interleave<uint64_t>(p, scratch, count);
  }
}

void ApplyHorizontal(const void* src, size_t size, size_t width, void* dst) {
  const auto* from = static_cast<const uint8_t*>(src);
  auto* to = static_cast<uint8_t*>(dst);
  if (width == 0) return;
  if (size == 1) {
    Difference<uint8_t>(from, width, to);
  } else if (size == 2) {
    Difference<uint16_t>(from, width, to);
  } else if (size == 4) {
    Difference<uint32_t>(from, width, to);
  } else if (size == 8) {
    Difference<uint64_t>(from, width, to);
  }
}

void ApplyFloatingPoint(const void* src, size_t size, size_t width, void* dst) {
  const auto* from = static_cast<const uint8_t*>(src);
  auto* to = static_cast<uint8_t*>(dst);
  if (width == 0) return;
  if (size == 2) {
    SplitAndDifference<uint16_t>(from, width, to);
  } else if (size == 4) {
    SplitAndDifference<uint32_t>(from, width, to);
  } else if (size == 8) {
    SplitAndDifference<uint64_t>(from, width, to);
  }
}

}  // namespace tilecast
