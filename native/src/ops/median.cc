// SPDX-License-Identifier: MIT
// The median filter: networks on padded chunks of rows, histograms on padded tiles.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "ops/check.h"
#include "ops/keys.h"
#include "ops/rank.h"
#include "ops/reflect.h"

namespace tilecast {

namespace {

struct Scratch {
  std::vector<int32_t> keys, result;
  std::vector<std::byte> padded, columns;
  std::vector<const void*> rows;
  std::vector<uint32_t> medians, counts;
  std::vector<uint8_t> codes, code_of;
  std::vector<uint64_t> items, sorted;
  std::vector<uint16_t> x, y;
};

// Rows first..first + count of `in` with `reach` pixels on either side, in rows of `stride`.
template <class T>
void CopyPadded(const Plane& in, int64_t first_y, int64_t rows, int64_t first_x, int64_t columns,
                T* out, int64_t stride) {
  for (int64_t y = 0; y < rows; ++y)
    CopyReflected(in.row<T>(Reflect(first_y + y, in.height)), in.width, first_x, columns,
                  out + y * stride);
}

template <class T>
void ByNetwork(KeyKind kind, const Plane& in, int64_t radius, const Plane& out, Scratch& scratch) {
  const auto rows_kernel =
      radius == 1 ? Kernels().median.median3[kind] : Kernels().median.median5[kind];
  const int64_t size = static_cast<int64_t>(sizeof(T));
  const int64_t stride = (in.width + 2 * radius) * size + 64;
  const int64_t chunk = std::clamp<int64_t>((128 << 10) / stride / 2 * 2, 8, 256);
  scratch.padded.resize(static_cast<size_t>((chunk + 2 * radius) * stride));
  scratch.rows.resize(static_cast<size_t>(chunk + 2 * radius));
  for (int64_t i = 0; i < chunk + 2 * radius; ++i)
    scratch.rows[static_cast<size_t>(i)] = scratch.padded.data() + i * stride;
  for (int64_t y = 0; y < in.height; y += chunk) {
    const int64_t count = std::min(chunk, in.height - y);
    for (int64_t i = 0; i < count + 2 * radius; ++i) {
      CopyReflected(in.row<T>(Reflect(y - radius + i, in.height)), in.width, -radius,
                    in.width + 2 * radius,
                    reinterpret_cast<T*>(scratch.padded.data() + i * stride));
    }
    rows_kernel(scratch.rows.data(), count, out.row<std::byte>(y), out.stride, in.width);
  }
}

// By the high 32 bits of each.
void SortByKey(std::vector<uint64_t>& items, std::vector<uint64_t>& other) {
  constexpr int kDigits = 3, kWidth = 11;
  constexpr uint64_t kMask = (uint64_t{1} << kWidth) - 1;
  uint32_t counts[kDigits][kMask + 1] = {};
  for (const uint64_t item : items) {
    for (int d = 0; d < kDigits; ++d) ++counts[d][item >> (32 + d * kWidth) & kMask];
  }
  other.resize(items.size());
  for (int d = 0; d < kDigits; ++d) {
    const int shift = 32 + d * kWidth;
    uint32_t* const place = counts[d];
    if (place[items[0] >> shift & kMask] == items.size()) continue;
    uint32_t next = 0;
    for (uint64_t i = 0; i <= kMask; ++i) next += std::exchange(place[i], next);
    uint64_t* const to = other.data();
    for (const uint64_t item : items) to[place[item >> shift & kMask]++] = item;
    items.swap(other);
  }
}

// A tile's codes, and which of them have lists.
struct Codes {
  int32_t first[256];
  uint32_t value[256];  // the key itself, or where one of its pixels is: y << 16 | x
};

// Hands out codes to values in ascending order: a code ends when it holds more than `most` pixels.
class CodeMaker {
 public:
  CodeMaker(Codes& codes, size_t most) : codes_(codes), most_(most) {}
  // The code of the next value, whose pixels are first..end of the sorted ones; above 255 when they
  // have run out.
  size_t Next(size_t first, size_t end, uint32_t key) {
    if (count_ == 0 || end - begin_ > most_) {
      if (count_ < 256) {
        codes_.first[count_] = -1;
        // Without lists, the key; with them the place of a pixel, once they are there.
        codes_.value[count_] = most_ == 0 ? key : static_cast<uint32_t>(first);
      }
      ++count_;
      begin_ = first;
    } else if (count_ <= 256) {
      codes_.first[count_ - 1] = static_cast<int32_t>(begin_);
    }
    return count_ - 1;
  }

 private:
  Codes& codes_;
  size_t most_, count_ = 0, begin_ = 0;
};

// Tries codes of few pixels, then of so many that 256 must do: two neighbouring codes hold more
// than `most`.
template <class Assign>
void WithCodes(size_t values, size_t pixels, Assign assign) {
  if (values <= 256) {
    assign(size_t{0});
  } else if (!assign(pixels / 224 + 1)) {
    assign(pixels / 127 + 1);
  }
}

void ValuesToPlaces(const Scratch& scratch, Codes& codes, size_t last) {
  for (size_t c = 0; c <= last; ++c) {
    const size_t i = codes.value[c];
    codes.value[c] = static_cast<uint32_t>(scratch.y[i]) << 16 | scratch.x[i];
  }
}

// Codes and lists for a padded tile. True when the codes' values are places.
bool AssignCodes(const uint16_t* keys, int64_t rows, int64_t columns, Scratch& scratch,
                 Codes& codes) {
  const auto n = static_cast<size_t>(rows * columns);
  const auto [least, greatest] = std::minmax_element(keys, keys + n);
  const uint16_t low = *least;
  const size_t span = static_cast<size_t>(*greatest - low) + 1;
  scratch.counts.assign(span, 0);
  uint32_t* const counts = scratch.counts.data();
  for (size_t i = 0; i < n; ++i) ++counts[static_cast<uint16_t>(keys[i] - low)];
  size_t values = 0;
  for (size_t v = 0; v < span; ++v) values += counts[v] != 0;
  scratch.code_of.resize(span);
  uint8_t* const code_of = scratch.code_of.data();
  size_t code = 0;
  WithCodes(values, n, [&](size_t most) {
    CodeMaker maker(codes, most);
    size_t first = 0;
    for (size_t v = 0; v < span; ++v) {
      if (counts[v] == 0) continue;
      code = maker.Next(first, first + counts[v], static_cast<uint32_t>(v + low));
      code_of[v] = static_cast<uint8_t>(code);
      first += counts[v];
    }
    return code <= 255;
  });
  scratch.codes.resize(n);
  uint8_t* const out = scratch.codes.data();
  for (size_t i = 0; i < n; ++i) out[i] = code_of[static_cast<uint16_t>(keys[i] - low)];
  if (values <= 256) return false;
  scratch.x.resize(n + 64);
  scratch.y.resize(n + 64);
  uint16_t *const xs = scratch.x.data(), *const ys = scratch.y.data();
  uint32_t next = 0;
  for (size_t v = 0; v < span; ++v) next += std::exchange(counts[v], next);
  for (int64_t y = 0; y < rows; ++y) {
    const uint16_t* const row = keys + y * columns;
    for (int64_t x = 0; x < columns; ++x) {
      const uint32_t i = counts[static_cast<uint16_t>(row[x] - low)]++;
      xs[i] = static_cast<uint16_t>(x);
      ys[i] = static_cast<uint16_t>(y);
    }
  }
  ValuesToPlaces(scratch, codes, code);
  return true;
}

bool AssignCodes(const int32_t* keys, int64_t rows, int64_t columns, Scratch& scratch,
                 Codes& codes) {
  const auto n = static_cast<size_t>(rows * columns);
  scratch.items.resize(n);
  for (int64_t y = 0, i = 0; y < rows; ++y) {
    for (int64_t x = 0; x < columns; ++x, ++i) {
      const uint32_t key = static_cast<uint32_t>(keys[i]) ^ 0x80000000u;
      scratch.items[static_cast<size_t>(i)] =
          static_cast<uint64_t>(key) << 32 | static_cast<uint64_t>(y << 16 | x);
    }
  }
  SortByKey(scratch.items, scratch.sorted);
  const std::vector<uint64_t>& items = scratch.items;
  size_t values = 1;
  for (size_t i = 1; i < n; ++i) values += items[i] >> 32 != items[i - 1] >> 32;
  scratch.x.resize(n + 64);
  scratch.y.resize(n + 64);
  scratch.codes.resize(n);
  size_t code = 0;
  WithCodes(values, n, [&](size_t most) {
    CodeMaker maker(codes, most);
    for (size_t i = 0; i < n;) {
      size_t end = i + 1;
      while (end < n && items[end] >> 32 == items[i] >> 32) ++end;
      code = maker.Next(i, end, static_cast<uint32_t>(items[i] >> 32) ^ 0x80000000u);
      if (code > 255) return false;
      for (; i < end; ++i) {
        const auto x = static_cast<uint16_t>(items[i]), y = static_cast<uint16_t>(items[i] >> 16);
        scratch.x[i] = x;
        scratch.y[i] = y;
        scratch.codes[static_cast<size_t>(y * columns + x)] = static_cast<uint8_t>(code);
      }
    }
    return true;
  });
  if (values <= 256) return false;
  ValuesToPlaces(scratch, codes, code);
  return true;
}

template <class T>
void ByHistogram(const Plane& in, int64_t radius, const Plane& out, Scratch& scratch) {
  // Larger tiles pay less for their margins, smaller ones have shorter lists.
  const int64_t side = sizeof(T) == 1 || radius > 24 ? 256 : 128;
  const int64_t most_columns = std::min(side, in.width) + 2 * radius;
  scratch.columns.resize(static_cast<size_t>(most_columns * 17 * 16 + 64));
  scratch.medians.resize(static_cast<size_t>(side * side));
  Codes codes;
  for (uint32_t i = 0; i < 256; ++i) {
    codes.first[i] = -1;
    codes.value[i] = i;
  }
  MedianTile tile{};
  tile.radius = radius;
  tile.first = codes.first;
  tile.value = codes.value;
  tile.out = scratch.medians.data();
  std::byte* const columns_begin = scratch.columns.data();
  tile.scratch = columns_begin + (-reinterpret_cast<uintptr_t>(columns_begin) & 63);
  for (int64_t y0 = 0; y0 < in.height; y0 += side) {
    for (int64_t x0 = 0; x0 < in.width; x0 += side) {
      tile.rows = std::min(side, in.height - y0);
      tile.columns = std::min(side, in.width - x0);
      const int64_t rows = tile.rows + 2 * radius, columns = tile.columns + 2 * radius;
      tile.stride = columns;
      scratch.padded.resize(static_cast<size_t>(rows * columns) * sizeof(T));
      T* const keys = reinterpret_cast<T*>(scratch.padded.data());
      CopyPadded(in, y0 - radius, rows, x0 - radius, columns, keys, columns);
      bool places = false;
      if constexpr (sizeof(T) == 1) {
        tile.codes = keys;
      } else {
        places = AssignCodes(keys, rows, columns, scratch, codes);
        tile.codes = scratch.codes.data();
        tile.x = scratch.x.data();
        tile.y = scratch.y.data();
      }
      Kernels().median.tile(&tile);
      for (int64_t y = 0; y < tile.rows; ++y) {
        const uint32_t* medians = tile.out + y * tile.columns;
        T* const row = out.row<T>(y0 + y) + x0;
        if (!places) {
          for (int64_t x = 0; x < tile.columns; ++x) row[x] = static_cast<T>(medians[x]);
          continue;
        }
        for (int64_t x = 0; x < tile.columns; ++x)
          row[x] = keys[(medians[x] >> 16) * columns + (medians[x] & 0xffff)];
      }
    }
  }
}

}  // namespace

void Median(const Plane& in, int64_t radius, const Plane& out) {
  const KeyKind kind = RequireKeyKind("median", in.dtype);
  RequireDType("median", "the result", out, in.dtype);
  RequireShape("median", "the result", out, in.height, in.width);
  if (radius < 0 || radius > kMaxMedianRadius) {
    throw Error(Code::kInvalidArgument,
                "median: radius must be within 0..127 px, got " + std::to_string(radius));
  }
  if (in.height == 0 || in.width == 0) return;
  thread_local Scratch scratch;
  const Plane keys = KeysOf(in, scratch.keys);
  Plane result = out;
  result.dtype = keys.dtype;
  if (DTypeSize(out.dtype) != DTypeSize(keys.dtype)) {
    scratch.result.resize(static_cast<size_t>(in.pixels()));
    result = PackedPlane(scratch.result.data(), DType::kI32, in.height, in.width);
  }
  auto run = [&](auto zero) {
    using T = decltype(zero);
    if (radius == 0) {
      for (int64_t y = 0; y < in.height; ++y)
        std::memcpy(result.row<T>(y), keys.row<T>(y), static_cast<size_t>(keys.row_bytes()));
    } else if (radius <= 2) {
      ByNetwork<T>(kind, keys, radius, result, scratch);
    } else {
      ByHistogram<T>(keys, radius, result, scratch);
    }
  };
  if (kind == kKeyU8) {
    run(uint8_t{});
  } else if (kind == kKeyU16) {
    run(uint16_t{});
  } else {
    run(int32_t{});
  }
  const auto from_key = Kernels().windows.from_key[static_cast<int>(in.dtype)];
  for (int64_t y = 0; from_key != nullptr && y < in.height; ++y)
    from_key(result.row<int32_t>(y), out.row<std::byte>(y), in.width);
}

}  // namespace tilecast
