// SPDX-License-Identifier: MIT
// From a region of a plane to files, from a shard's index to chunks, from chunks to rows.
#include "zarr/plane_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "codec/crc32c.h"
#include "codec/predictor.h"
#include "codec/raw_buffer.h"
#include "error.h"
#include "zarr/chunk_cache.h"
#include "zarr/chunk_decoder.h"
#include "zarr/chunk_file.h"

namespace tilecast {
namespace {

// Encoded chunks that lie close together are read with one call, in pieces that stay in the L2
// cache until they are decoded.
constexpr uint64_t kReadBytes = 256 * 1024;
constexpr uint64_t kReadGap = 4 * 1024;
constexpr size_t kMaxAxes = 32;

uint64_t Get64(const uint8_t* p) {
  uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v |= uint64_t{p[i]} << (8 * i);
  return v;
}

void Append(std::string& text, int64_t number) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  (void)error;
  text.append(digits, end);
}

// The names of a plane's files: those of the grid's chunks at (lead, cy, cx).
class Keys {
 public:
  void Start(const ZarrArray& array, std::span<const int64_t> index) {
    path_.assign(array.dir).push_back('/');
    separator_ = array.separator;
    if (!array.key_prefix.empty()) path_.append(array.key_prefix).push_back(separator_);
    for (size_t i = 0; i < index.size(); ++i) {
      Append(path_, index[i] / array.chunk[i]);
      path_.push_back(separator_);
    }
    prefix_ = path_.size();
  }
  const std::string& At(int64_t cy, int64_t cx) {
    path_.resize(prefix_);
    Append(path_, cy);
    path_.push_back(separator_);
    Append(path_, cx);
    return path_;
  }

 private:
  std::string path_;  // kept: no allocation in steady state
  size_t prefix_ = 0;
  char separator_ = '/';
};

void CheckIndex(const ZarrArray& array, std::span<const int64_t> index) {
  if (index.size() != array.leading()) {
    throw Error(Code::kInvalidArgument,
                "index: expected " + std::to_string(array.leading()) + " numbers, received " +
                    std::to_string(index.size()),
                array.dir);
  }
  for (size_t i = 0; i < index.size(); ++i) {
    if (index[i] < 0 || index[i] >= array.shape[i]) {
      throw Error(Code::kInvalidArgument,
                  "index: " + std::to_string(index[i]) + " of axis " + std::to_string(i) +
                      ", which has " + std::to_string(array.shape[i]),
                  array.dir);
    }
  }
}

template <class T>
void FillRows(double value, const Plane& part) {
  T pixel;
  if constexpr (std::is_integral_v<T>) {
    const double low = static_cast<double>(std::numeric_limits<T>::min());
    const double high = static_cast<double>(std::numeric_limits<T>::max());
    pixel = std::isnan(value) ? T{0} : static_cast<T>(std::clamp(value, low, high));
  } else {
    pixel = static_cast<T>(value);
  }
  for (int64_t y = 0; y < part.height; ++y) {
    std::byte* row = part.data + y * part.stride;
    for (int64_t x = 0; x < part.width; ++x) {
      std::memcpy(row + static_cast<size_t>(x) * sizeof(T), &pixel, sizeof(T));
    }
  }
}

void Fill(double value, const Plane& part) {
  if (value == 0 && !std::signbit(value)) {
    for (int64_t y = 0; y < part.height; ++y) {
      std::memset(part.data + y * part.stride, 0, static_cast<size_t>(part.row_bytes()));
    }
    return;
  }
  Visit(part.dtype, [&](auto zero) { FillRows<decltype(zero)>(value, part); });
}

// A part of the wanted region that lies in one chunk: where it goes, and its top left corner there.
struct Part {
  Plane dst;
  int64_t y = 0, x = 0;
};

// The part of `whole` that the grid's chunk (cy, cx) of height x width pixels has.
Part Intersect(const Part& whole, int64_t cy, int64_t cx, int64_t height, int64_t width) {
  const int64_t top = std::max(whole.y, cy * height);
  const int64_t left = std::max(whole.x, cx * width);
  const int64_t bottom = std::min(whole.y + whole.dst.height, (cy + 1) * height);
  const int64_t right = std::min(whole.x + whole.dst.width, (cx + 1) * width);
  Part part{whole.dst, top - cy * height, left - cx * width};
  part.dst.data += (top - whole.y) * whole.dst.stride +
                   (left - whole.x) * static_cast<int64_t>(DTypeSize(whole.dst.dtype));
  part.dst.height = bottom - top;
  part.dst.width = right - left;
  return part;
}

// Calls f(cy, cx, part) for each chunk that the region touches.
template <class F>
void ForEachChunk(const Part& whole, int64_t height, int64_t width, F&& f) {
  if (whole.dst.height == 0 || whole.dst.width == 0) return;
  for (int64_t cy = whole.y / height; cy * height < whole.y + whole.dst.height; ++cy) {
    for (int64_t cx = whole.x / width; cx * width < whole.x + whole.dst.width; ++cx) {
      f(cy, cx, Intersect(whole, cy, cx, height, width));
    }
  }
}

}  // namespace

struct ZarrPlaneReader::Impl {
  using Lead = std::array<int64_t, kMaxAxes>;  // position within a chunk along the leading axes

  // An encoded chunk to be read and decoded.
  struct Wanted {
    uint64_t offset, bytes;
    Part part;
  };

  explicit Impl(ZarrReadOptions options) : cache(options.cache_bytes) {}

  ChunkDecoder decoder;
  ChunkCache cache;
  Keys keys;
  ChunkFile file;
  RawBuffer encoded;
  std::vector<RawBuffer> indexes;  // of each level of shards
  std::vector<Wanted> wanted;
  std::vector<iovec> parts;
  int64_t bytes_read = 0;

  // Of the array in hand.
  const ZarrArray* array = nullptr;
  const FetchedChunks* fetched = nullptr;  // or files
  size_t pixel = 1;
  size_t chunk_bytes = 0;  // of an innermost chunk, decoded
  size_t slab_bytes = 0;   // of its last two axes
  bool keep = false;       // whether decoded chunks go into the cache

  [[noreturn]] void Damaged(const std::string& what, uint64_t offset) const {
    throw Error(Code::kZarrDamaged, what, file.path(), -1, static_cast<int64_t>(offset));
  }

  void Prepare(const ZarrArray& a) {
    array = &a;
    pixel = DTypeSize(a.dtype);
    const std::vector<int64_t>& inner = a.inner_chunk();
    const size_t lead = a.leading();
    slab_bytes = pixel * static_cast<size_t>(inner[lead] * inner[lead + 1]);
    chunk_bytes = slab_bytes;
    for (size_t i = 0; i < lead; ++i) chunk_bytes *= static_cast<size_t>(inner[i]);
    // Of chunks one plane deep nothing is left to keep; of plain ones any part can be read.
    keep = false;
    // Fetched bytes have no name and time that would tell them from their successors.
    if (chunk_bytes > slab_bytes && !a.codecs.empty() && fetched == nullptr) {
      const double across =
          std::ceil(static_cast<double>(a.height()) / static_cast<double>(inner[lead])) *
          std::ceil(static_cast<double>(a.width()) / static_cast<double>(inner[lead + 1]));
      keep = across * static_cast<double>(chunk_bytes) <= static_cast<double>(cache.capacity());
    }
    if (indexes.size() < a.shards.size()) indexes.resize(a.shards.size());
  }

  RowWindow WindowOf(const Part& part, const Lead& lead) const {
    const std::vector<int64_t>& inner = array->inner_chunk();
    const size_t n = array->leading();
    size_t slab = 0;
    for (size_t i = 0; i < n; ++i) {
      slab = slab * static_cast<size_t>(inner[i]) + static_cast<size_t>(lead[i]);
    }
    const size_t pitch = static_cast<size_t>(inner[n + 1]) * pixel;
    return {reinterpret_cast<uint8_t*>(part.dst.data),
            static_cast<size_t>(part.dst.stride),
            static_cast<size_t>(part.dst.height),
            static_cast<size_t>(part.dst.width) * pixel,
            slab * slab_bytes + static_cast<size_t>(part.y) * pitch +
                static_cast<size_t>(part.x) * pixel,
            pitch};
  }

  void SwapRows(const Part& part) const {
    if (!array->big_endian || pixel == 1) return;
    for (int64_t y = 0; y < part.dst.height; ++y) {
      SwapBytes(part.dst.data + y * part.dst.stride, pixel, static_cast<size_t>(part.dst.width));
    }
  }

  void ReadBytes(uint64_t offset, void* dst, size_t n) {
    file.Read(offset, dst, n);
    bytes_read += static_cast<int64_t>(n);
  }

  // A chunk without codecs: rows straight from the file.
  void ReadPlain(uint64_t offset, uint64_t bytes, const Part& part, const Lead& lead) {
    if (bytes != chunk_bytes) {
      Damaged("the chunk has " + std::to_string(bytes) + " bytes, expected " +
                  std::to_string(chunk_bytes),
              offset);
    }
    const RowWindow w = WindowOf(part, lead).Joined();
    if (w.rows == 1) {
      ReadBytes(offset + w.first, w.dst, w.span);
    } else if (w.span == w.pitch) {
      parts.clear();
      for (size_t r = 0; r < w.rows; ++r) parts.push_back({w.dst + r * w.stride, w.span});
      file.Read(offset + w.first, parts);
      bytes_read += static_cast<int64_t>(w.rows * w.span);
    } else {
      // Whole rows of the chunk, through a buffer: a call a row would cost more than the bytes
      // beside it.
      const size_t step = std::max<size_t>(1, kReadBytes / w.pitch);
      for (size_t r = 0; r < w.rows; r += step) {
        const size_t rows = std::min(step, w.rows - r);
        uint8_t* const buffer = encoded.Ensure(rows * w.pitch);
        ReadBytes(offset + w.first + r * w.pitch, buffer, (rows - 1) * w.pitch + w.span);
        for (size_t i = 0; i < rows; ++i) {
          std::memcpy(w.dst + (r + i) * w.stride, buffer + i * w.pitch, w.span);
        }
      }
    }
    SwapRows(part);
  }

  void Copy(const uint8_t* chunk, const Part& part, const Lead& lead) const {
    WindowOf(part, lead).ForEach(0, chunk_bytes, [&](size_t offset, size_t n, uint8_t* to) {
      std::memcpy(to, chunk + offset, n);
    });
    SwapRows(part);
  }

  void Decode(const uint8_t* src, const Wanted& w, const Lead& lead) {
    try {
      if (keep) {
        uint8_t* const chunk = cache.Reserve(file.identity(), w.offset, chunk_bytes);
        decoder.Decode(array->codecs, src, w.bytes, chunk_bytes, pixel,
                       {chunk, chunk_bytes, 1, chunk_bytes, 0, chunk_bytes});
        cache.Keep();
        Copy(chunk, w.part, lead);
        return;
      }
      decoder.Decode(array->codecs, src, w.bytes, chunk_bytes, pixel, WindowOf(w.part, lead));
    } catch (const Error& e) {
      throw Error(e.code(), e.what(), file.path(), -1, static_cast<int64_t>(w.offset));
    }
    SwapRows(w.part);
  }

  // One chunk of the file in hand: now, or with those that lie beside it.
  void Want(uint64_t offset, uint64_t bytes, const Part& part, const Lead& lead) {
    if (array->codecs.empty()) {
      ReadPlain(offset, bytes, part, lead);
      return;
    }
    if (keep) {
      if (const uint8_t* chunk = cache.Find(file.identity(), offset, chunk_bytes)) {
        Copy(chunk, part, lead);
        return;
      }
    }
    if (bytes > ChunkDecoder::Bound(chunk_bytes)) {
      Damaged("the chunk has " + std::to_string(bytes) + " bytes and holds only " +
                  std::to_string(chunk_bytes) + " of pixels",
              offset);
    }
    wanted.push_back({offset, bytes, part});
  }

  void ReadWanted(const Lead& lead) {
    const auto before = [](const Wanted& a, const Wanted& b) { return a.offset < b.offset; };
    if (!std::is_sorted(wanted.begin(), wanted.end(), before)) {
      std::sort(wanted.begin(), wanted.end(), before);
    }
    for (size_t i = 0; i < wanted.size();) {
      const uint64_t begin = wanted[i].offset;
      uint64_t end = begin + wanted[i].bytes;
      size_t stop = i + 1;
      for (; stop < wanted.size(); ++stop) {
        const uint64_t further = std::max(end, wanted[stop].offset + wanted[stop].bytes);
        if (wanted[stop].offset > end + kReadGap || further - begin > kReadBytes) break;
        end = further;
      }
      uint8_t* const buffer = encoded.Ensure(end - begin);
      ReadBytes(begin, buffer, end - begin);
      for (; i < stop; ++i) Decode(buffer + (wanted[i].offset - begin), wanted[i], lead);
    }
    wanted.clear();
  }

  // The shard in bytes [base, base + length) of the file, whose decoded shape is `shape`; `lead` is
  // the plane's place in it.
  void ReadShard(size_t level, uint64_t base, uint64_t length, const std::vector<int64_t>& shape,
                 const Lead& lead, const Part& part) {
    const ZarrShard& shard = array->shards[level];
    const size_t n = array->leading();
    uint64_t count = 1;
    uint64_t row = 0;  // of the index: chunks at the plane's leading place
    Lead inner_lead{};
    for (size_t i = 0; i < n + 2; ++i) {
      const auto chunks = static_cast<uint64_t>(shape[i] / shard.chunk[i]);
      if (count > length / chunks) Damaged("the shard is shorter than its index", base);
      count *= chunks;
      if (i >= n) continue;
      row = row * chunks + static_cast<uint64_t>(lead[i] / shard.chunk[i]);
      inner_lead[i] = lead[i] % shard.chunk[i];
    }
    const uint64_t index_bytes = count * 16 + (shard.index_checksum ? 4 : 0);
    if (count > length / 16 || index_bytes > length) {
      Damaged("the shard is shorter than its index", base);
    }
    const uint64_t at = shard.index_at_end ? base + length - index_bytes : base;
    uint8_t* const index = indexes[level].Ensure(index_bytes);
    ReadBytes(at, index, index_bytes);
    if (shard.index_checksum) {
      uint32_t stored;
      std::memcpy(&stored, index + count * 16, 4);
      if (stored != Crc32c(index, count * 16)) {
        Damaged("the checksum (crc32c) of the shard's index does not match", at);
      }
    }
    const auto across = static_cast<uint64_t>(shape[n + 1] / shard.chunk[n + 1]);
    row *= static_cast<uint64_t>(shape[n] / shard.chunk[n]);
    const bool innermost = level + 1 == array->shards.size();
    ForEachChunk(part, shard.chunk[n], shard.chunk[n + 1],
                 [&](int64_t cy, int64_t cx, const Part& inner) {
                   const uint64_t entry =
                       (row + static_cast<uint64_t>(cy)) * across + static_cast<uint64_t>(cx);
                   const uint64_t offset = Get64(index + entry * 16);
                   const uint64_t bytes = Get64(index + entry * 16 + 8);
                   if (offset == ~uint64_t{0} && bytes == ~uint64_t{0}) {
                     Fill(array->fill, inner.dst);
                     return;
                   }
                   if (offset > length || bytes > length - offset) {
                     Damaged("an entry of the shard's index points outside of it", at + entry * 16);
                   }
                   if (innermost) {
                     Want(base + offset, bytes, inner, inner_lead);
                   } else {
                     ReadShard(level + 1, base + offset, bytes, shard.chunk, inner_lead, inner);
                   }
                 });
    if (innermost) ReadWanted(inner_lead);
  }

  bool Open(const std::string& path) {
    if (fetched == nullptr) return file.Open(path);
    const auto found = fetched->find(path.substr(array->dir.size() + 1));
    if (found == fetched->end()) {
      throw Error(Code::kInvalidArgument, "the chunk was not fetched", path);
    }
    if (!found->second) return false;
    file.Open(path, *found->second);
    return true;
  }

  void Read(const ZarrArray& a, std::span<const int64_t> index, const Part& whole) {
    Prepare(a);
    bytes_read = 0;
    wanted.clear();
    keys.Start(a, index);
    const size_t n = a.leading();
    Lead lead{};
    for (size_t i = 0; i < n; ++i) lead[i] = index[i] % a.chunk[i];
    ForEachChunk(whole, a.chunk[n], a.chunk[n + 1], [&](int64_t cy, int64_t cx, const Part& part) {
      if (!Open(keys.At(cy, cx))) {
        Fill(a.fill, part.dst);
        return;
      }
      if (a.shards.empty()) {
        Want(0, file.size(), part, lead);
        ReadWanted(lead);
      } else {
        ReadShard(0, 0, file.size(), a.chunk, lead, part);
      }
    });
    file.Close();
  }
};

ZarrPlaneReader::ZarrPlaneReader(ZarrReadOptions options)
    : impl_(std::make_unique<Impl>(options)) {}
ZarrPlaneReader::~ZarrPlaneReader() = default;

int64_t ZarrPlaneReader::bytes_read() const {
  return impl_->bytes_read;
}

void ZarrPlaneReader::Read(const ZarrArray& array, std::span<const int64_t> index, int64_t y,
                           int64_t x, const Plane& dst) {
  CheckIndex(array, index);
  if (dst.dtype != array.dtype) {
    throw Error(Code::kOpShape,
                "the array is " + std::string(DTypeName(array.dtype)) + " and the destination " +
                    std::string(DTypeName(dst.dtype)),
                array.dir);
  }
  if (y < 0 || x < 0 || dst.height < 0 || dst.width < 0 || dst.height > array.height() - y ||
      dst.width > array.width() - x) {
    throw Error(Code::kOpShape,
                "the region (" + std::to_string(y) + ", " + std::to_string(x) + ") of " +
                    std::to_string(dst.width) + " x " + std::to_string(dst.height) +
                    " px reaches beyond a plane of " + std::to_string(array.width()) + " x " +
                    std::to_string(array.height()),
                array.dir);
  }
  try {
    impl_->Read(array, index, {dst, y, x});
  } catch (...) {
    impl_->file.Close();
    throw;
  }
}

void ZarrPlaneReader::Read(const ZarrArray& array, const FetchedChunks& chunks,
                           std::span<const int64_t> index, int64_t y, int64_t x, const Plane& dst) {
  impl_->fetched = &chunks;
  try {
    Read(array, index, y, x, dst);
  } catch (...) {
    impl_->fetched = nullptr;
    throw;
  }
  impl_->fetched = nullptr;
}

PlaneFiles StatPlane(const ZarrArray& array, std::span<const int64_t> index) {
  CheckIndex(array, index);
  Keys keys;
  keys.Start(array, index);
  const size_t n = array.leading();
  PlaneFiles files;
  for (int64_t cy = 0; cy * array.chunk[n] < array.height(); ++cy) {
    for (int64_t cx = 0; cx * array.chunk[n + 1] < array.width(); ++cx) {
      const std::string& path = keys.At(cy, cx);
      struct stat st;
      if (::stat(path.c_str(), &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) continue;
        throw IoError("stat", path, errno);
      }
#if defined(__APPLE__)
      const auto& mtime = st.st_mtimespec;
#else
      const auto& mtime = st.st_mtim;
#endif
      files.bytes += static_cast<double>(st.st_size);
      files.mtime_ms = std::max(files.mtime_ms, static_cast<double>(mtime.tv_sec) * 1e3 +
                                                    static_cast<double>(mtime.tv_nsec) / 1e6);
    }
  }
  return files;
}

}  // namespace tilecast
