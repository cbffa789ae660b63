// SPDX-License-Identifier: MIT
// Flat grey morphology: rectangles as columns then rows, disks as chords then folds.
#include "ops/morphology.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/keys.h"

namespace tilecast {

namespace {

constexpr int64_t kMaxDisk = 511;  // px across: its chords take 40 MB

struct Side {  // pixels before and after the centre
  int64_t before, after;
  int64_t size() const { return before + after + 1; }
};

// Beyond the image's size a window holds no more pixels.
Side SideOf(int64_t size, int64_t limit, Extreme extreme) {
  Side side{size / 2, size - 1 - size / 2};
  if (extreme == kGreatest) std::swap(side.before, side.after);
  side.before = std::min(side.before, limit - 1);
  side.after = std::min(side.after, limit - 1);
  return side;
}

struct Scratch {
  std::vector<const void*> rows;
  std::vector<std::byte> columns, line, chords;
  std::vector<std::byte> plane, plane2;
  std::vector<int32_t> keys;
};

Scratch& TheScratch() {
  thread_local Scratch scratch;
  return scratch;
}

std::byte* Aligned(std::vector<std::byte>& memory, int64_t bytes) {
  if (static_cast<int64_t>(memory.size()) < bytes + 64)
    memory.resize(static_cast<size_t>(bytes) + 64);
  return memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 63);
}

// A value that never wins, on n pixels.
void FillNone(void* p, int64_t n, KeyKind kind, Extreme extreme) {
  if (kind == kKeyI32) {
    std::fill_n(static_cast<int32_t*>(p), n, extreme == kLeast ? INT32_MAX : INT32_MIN);
  } else if (n > 0) {
    std::memset(p, extreme == kLeast ? 0xff : 0, static_cast<size_t>(n * KeySize(kind)));
  }
}

// The rows of `plane` from first - before to last + after, null outside.
const void* const* Rows(const Plane& plane, int64_t first, int64_t count,
                        std::vector<const void*>& rows) {
  rows.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t y = first + i;
    rows[static_cast<size_t>(i)] =
        y >= 0 && y < plane.height ? plane.row<const std::byte>(y) : nullptr;
  }
  return rows.data();
}

// Extremes along a row, from `in` to `out` (which may be `in`).
void AlongRow(KeyKind kind, Extreme extreme, Side side, const std::byte* in, std::byte* out,
              int64_t width, std::byte* line) {
  const int64_t size = KeySize(kind);
  FillNone(line, side.before, kind, extreme);
  std::memcpy(line + side.before * size, in, static_cast<size_t>(width * size));
  FillNone(line + (side.before + width) * size, side.after, kind, extreme);
  Kernels().windows.line[kind][extreme](line, width, side.size());
  std::memcpy(out, line, static_cast<size_t>(width * size));
}

// About 128 KiB of output rows, in whole windows: what is done to them next finds them in cache.
int64_t ChunkRows(const Plane& plane, KeyKind kind, int64_t window) {
  const int64_t rows =
      std::max<int64_t>(1, (128 << 10) / std::max<int64_t>(1, plane.width * KeySize(kind)));
  return (rows + window - 1) / window * window;
}

// Calls after(y0, y1) when output rows y0..y1 of the column pass are done.
template <class After>
void AlongColumns(KeyKind kind, Extreme extreme, Side side, const Plane& in, const Plane& out,
                  After after) {
  Scratch& scratch = TheScratch();
  const int64_t window = side.size(), chunk = ChunkRows(in, kind, window);
  const auto columns = Kernels().windows.columns[kind][extreme];
  const void* const* rows = Rows(in, -side.before, in.height + window - 1, scratch.rows);
  std::byte* const memory = Aligned(scratch.columns, window * kWindowScratch);
  for (int64_t y = 0; y < in.height; y += chunk) {
    const int64_t end = std::min(y + chunk, in.height);
    columns(rows + y, end - y, window, out.row<std::byte>(y), out.stride, in.width, memory);
    after(y, end);
  }
}

struct Rectangle {
  KeyKind kind;
  int64_t height, width;

  std::byte* Line(const Plane& in) const {
    return Aligned(TheScratch().line, (3 * in.width) * KeySize(kind) + kLineSlack);
  }
  Side Down(const Plane& in, Extreme extreme) const { return SideOf(height, in.height, extreme); }
  Side Along(const Plane& in, Extreme extreme) const { return SideOf(width, in.width, extreme); }

  template <class After>
  void One(Extreme extreme, const Plane& in, const Plane& out, After after) const {
    std::byte* const line = Line(in);
    const Side along = Along(in, extreme);
    AlongColumns(kind, extreme, Down(in, extreme), in, out, [&](int64_t y0, int64_t y1) {
      for (int64_t y = y0; y < y1; ++y)
        AlongRow(kind, extreme, along, out.row<std::byte>(y), out.row<std::byte>(y), in.width,
                 line);
      after(y0, y1);
    });
  }

  // first then the other extreme: the two passes along a row are done together.
  template <class After>
  void Two(Extreme first, const Plane& in, const Plane& between, const Plane& out,
           After after) const {
    const Extreme second = first == kLeast ? kGreatest : kLeast;
    std::byte* const line = Line(in);
    const Side along1 = Along(in, first), along2 = Along(in, second);
    AlongColumns(kind, first, Down(in, first), in, between, [&](int64_t y0, int64_t y1) {
      for (int64_t y = y0; y < y1; ++y) {
        std::byte* const row = between.row<std::byte>(y);
        AlongRow(kind, first, along1, row, row, in.width, line);
        AlongRow(kind, second, along2, row, row, in.width, line);
      }
    });
    AlongColumns(kind, second, Down(in, second), between, out, after);
  }
};

struct Disk {
  KeyKind kind;
  int64_t radius;

  // Strips of columns, so that the chords of 2 radius + 1 rows stay in the second-level cache.
  // For each row of a strip the extremes of every chord length of the disk; an output row is the
  // fold of one chord a row.
  template <class After>
  void One(Extreme extreme, const Plane& in, const Plane& out, After after) const {
    Scratch& scratch = TheScratch();
    const WindowKernels& kernels = Kernels().windows;
    const int64_t size = KeySize(kind), reach = radius;
    thread_local std::vector<int64_t> half, lengths, index;
    half.clear();
    lengths.clear();
    index.clear();
    for (int64_t dy = 0; dy <= reach; ++dy) {
      auto w = static_cast<int64_t>(std::sqrt(static_cast<double>(reach * reach - dy * dy)));
      while (w * w > reach * reach - dy * dy) --w;
      while ((w + 1) * (w + 1) <= reach * reach - dy * dy) ++w;
      half.push_back(w);
      if (lengths.empty() || lengths.back() != w) lengths.push_back(w);
      index.push_back(static_cast<int64_t>(lengths.size()) - 1);
    }
    std::reverse(lengths.begin(), lengths.end());  // shortest first
    const auto kinds = static_cast<int64_t>(lengths.size());
    for (int64_t& i : index) i = kinds - 1 - i;

    const int64_t ring = std::min(2 * reach + 1, in.height);
    const int64_t strip =
        std::clamp<int64_t>((384 << 10) / (ring * kinds * size) / 64 * 64, 64, in.width + 63);
    // A chord's row is a line of its own with room for the vectors at its end.
    const int64_t line_bytes = (strip + 2 * reach) * size + kLineSlack;
    const int64_t chord_bytes = (strip * size + kLineSlack + 63) / 64 * 64;
    std::byte* const line = Aligned(scratch.line, line_bytes);
    std::byte* const chords = Aligned(scratch.chords, ring * kinds * chord_bytes);
    scratch.rows.resize(static_cast<size_t>(2 * reach + 1));
    for (int64_t x0 = 0; x0 < in.width; x0 += strip) {
      const int64_t n = std::min(strip, in.width - x0);
      int64_t ready = 0;  // source rows whose chords are, or were, in the ring
      for (int64_t y = 0; y < in.height; ++y) {
        for (const int64_t end = std::min(y + reach + 1, in.height); ready < end; ++ready) {
          std::byte* const at = chords + ready % ring * kinds * chord_bytes;
          Chords(kernels, extreme, in, ready, x0, n, line, at, chord_bytes, lengths);
        }
        int64_t count = 0;
        for (int64_t dy = std::max(-reach, -y); dy <= std::min(reach, in.height - 1 - y); ++dy) {
          scratch.rows[static_cast<size_t>(count++)] =
              chords +
              ((y + dy) % ring * kinds + index[static_cast<size_t>(std::abs(dy))]) * chord_bytes;
        }
        kernels.fold[kind][extreme](scratch.rows.data(), count, out.row<std::byte>(y) + x0 * size,
                                    n);
      }
    }
    after(int64_t{0}, in.height);
  }

  // The extremes of every chord of one row: windows of powers of two by doubling in `line`, and
  // from each the chords it is the longest power for.
  void Chords(const WindowKernels& kernels, Extreme extreme, const Plane& in, int64_t y, int64_t x0,
              int64_t n, std::byte* line, std::byte* chords, int64_t chord_bytes,
              const std::vector<int64_t>& lengths) const {
    const int64_t size = KeySize(kind), reach = radius;
    const int64_t left = std::max<int64_t>(0, x0 - reach),
                  right = std::min(in.width, x0 + n + reach);
    const int64_t before = left - (x0 - reach);
    FillNone(line, before, kind, extreme);
    std::memcpy(line + before * size, in.row<std::byte>(y) + left * size,
                static_cast<size_t>((right - left) * size));
    FillNone(line + (before + right - left) * size, (x0 + n + reach) - right, kind, extreme);
    int64_t power = 1, length = n + 2 * reach;  // line[x] is the extreme of `power` pixels
    for (size_t i = 0; i < lengths.size(); ++i) {
      const int64_t w = lengths[i], chord = 2 * w + 1;
      for (; 2 * power <= chord; power *= 2) {
        length -= power;
        kernels.step[kind][extreme](line, length, power);
      }
      std::byte* const out = chords + static_cast<int64_t>(i) * chord_bytes;
      kernels.pair[kind][extreme](line + (reach - w) * size,
                                  line + (reach - w + chord - power) * size, out, n);
    }
  }

  template <class After>
  void Two(Extreme first, const Plane& in, const Plane& between, const Plane& out,
           After after) const {
    One(first, in, between, [](int64_t, int64_t) {});
    One(first == kLeast ? kGreatest : kLeast, between, out, after);
  }
};

template <class Shape>
void Run(Morphology op, const Shape& shape, const Plane& in, const Plane& out, const Plane& source,
         const Plane& pixels) {
  const auto nothing = [](int64_t, int64_t) {};
  if (op == Morphology::kErode) return shape.One(kLeast, in, out, nothing);
  if (op == Morphology::kDilate) return shape.One(kGreatest, in, out, nothing);
  Scratch& scratch = TheScratch();
  const int64_t row = (in.width * KeySize(shape.kind) + 63) / 64 * 64;
  const Plane between{Aligned(scratch.plane, row * in.height), in.dtype, in.height, in.width, row};
  const bool opens = op == Morphology::kOpen || op == Morphology::kWhiteTopHat;
  const bool subtracts = op == Morphology::kWhiteTopHat || op == Morphology::kBlackTopHat;
  const auto difference = Kernels().windows.difference[static_cast<int>(source.dtype)];
  const auto from_key = Kernels().windows.from_key[static_cast<int>(source.dtype)];
  shape.Two(opens ? kLeast : kGreatest, in, between, out, [&](int64_t y0, int64_t y1) {
    for (int64_t y = y0; subtracts && y < y1; ++y) {
      if (from_key != nullptr) from_key(out.row<int32_t>(y), pixels.row<std::byte>(y), in.width);
      const std::byte *a = source.row<std::byte>(y), *b = pixels.row<std::byte>(y);
      if (!opens) std::swap(a, b);
      difference(a, b, pixels.row<std::byte>(y), in.width);
    }
  });
}

}  // namespace

void Morph(Morphology op, const Footprint& footprint, const Plane& in, const Plane& out) {
  const KeyKind kind = RequireKeyKind("morphology", in.dtype);
  RequireDType("morphology", "the result", out, in.dtype);
  RequireShape("morphology", "the result", out, in.height, in.width);
  const bool disk = footprint.shape == Footprint::Shape::kDisk;
  if (footprint.height < 1 || footprint.width < 1 ||
      (disk && (footprint.height != footprint.width || footprint.height % 2 == 0 ||
                footprint.height > kMaxDisk))) {
    throw Error(Code::kInvalidArgument,
                "morphology: a rectangle's sides must be at least 1 px and a disk's radius within "
                "0..255 px, got a footprint of " +
                    std::to_string(footprint.height) + " x " + std::to_string(footprint.width) +
                    " px");
  }
  if (in.height == 0 || in.width == 0) return;
  Scratch& scratch = TheScratch();
  const Plane keys = KeysOf(in, scratch.keys);
  // Keys of the result: `out` itself unless its pixels are smaller.
  Plane result = out;
  result.dtype = keys.dtype;
  if (DTypeSize(out.dtype) != static_cast<size_t>(KeySize(kind))) {
    result =
        PackedPlane(Aligned(scratch.plane2, in.pixels() * 4), DType::kI32, in.height, in.width);
  }
  if (disk) {
    Run(op, Disk{kind, footprint.height / 2}, keys, result, in, out);
  } else {
    Run(op, Rectangle{kind, footprint.height, footprint.width}, keys, result, in, out);
  }
  const bool subtracted = op == Morphology::kWhiteTopHat || op == Morphology::kBlackTopHat;
  const auto from_key = Kernels().windows.from_key[static_cast<int>(in.dtype)];
  if (subtracted || from_key == nullptr) return;
  for (int64_t y = 0; y < in.height; ++y)
    from_key(result.row<int32_t>(y), out.row<std::byte>(y), in.width);
}

}  // namespace tilecast
