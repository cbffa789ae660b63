// SPDX-License-Identifier: MIT
// Chunks, shards and their index.
// Format: Zarr core specification v3 (regular grid, default chunk keys), ZEP 2 sharding_indexed
// codec; Zarr v2 for format 2.
#include "zarr/plane_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "codec/crc32c.h"
#include "error.h"

namespace tilecast {
namespace {

void MakeDirectories(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) throw IoError("mkdir", part, errno);
    if (at == std::string::npos) return;
  }
}

int Create(const std::string& path) {
  const auto open = [&] {
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  };
  int fd = open();
  if (fd < 0 && errno == ENOENT) {
    MakeDirectories(path.substr(0, path.rfind('/')));
    fd = open();
  }
  if (fd < 0) throw IoError("create", path, errno);
  return fd;
}

// All of it; throws kIo.
void WriteAt(int fd, const std::string& path, const std::byte* data, size_t n, uint64_t offset) {
  for (size_t done = 0; done < n;) {
    const ssize_t got = ::pwrite(fd, data + done, n - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError("write", path, errno);
    done += static_cast<size_t>(got);
  }
}

void WriteFile(const std::string& path, const std::byte* data, size_t n) {
  const int fd = Create(path);
  size_t done = 0;
  while (done < n) {
    const ssize_t got = ::write(fd, data + done, n - done);
    if (got < 0) {
      if (errno == EINTR) continue;
      const int err = errno;
      ::close(fd);
      throw IoError("write", path, err);
    }
    done += static_cast<size_t>(got);
  }
  if (::close(fd) != 0) throw IoError("close", path, errno);
}

// A chunk that is left out must not leave an earlier run's behind.
void Remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw IoError("remove", path, errno);
}

bool AllZero(const Plane& p) {
  const auto n = static_cast<size_t>(p.row_bytes());
  for (int64_t y = 0; y < p.height; ++y) {
    const std::byte* row = p.data + y * p.stride;
    if (row[0] != std::byte{0} || std::memcmp(row, row + 1, n - 1) != 0) return false;
  }
  return true;
}

// The chunks of one plane of an array.
struct Grid {
  int64_t ch, cw, ny, nx;
  std::string prefix;
  char separator;

  Grid(const PlaneTarget& target, const ZarrEncoding& e)
      : ch(std::min(e.chunk, target.height)),
        cw(std::min(e.chunk, target.width)),
        ny((target.height + ch - 1) / ch),
        nx((target.width + cw - 1) / cw),
        prefix(target.dir + (e.format == 3 ? std::string("/c") + e.separator : std::string("/"))),
        separator(e.separator) {
    if (!target.lead.empty()) prefix += target.lead + separator;
  }
  size_t chunk_bytes(DType dtype) const { return static_cast<size_t>(ch * cw) * DTypeSize(dtype); }
  std::string key(int64_t i, int64_t j) const {
    return prefix + std::to_string(i) + separator + std::to_string(j);
  }
};

}  // namespace

void WriteTextFile(const std::string& path, const std::string& text) {
  WriteFile(path, reinterpret_cast<const std::byte*>(text.data()), text.size());
}

ZarrArray ArrayOf(const PlaneTarget& target, const ZarrEncoding& e, DType dtype,
                  std::vector<int64_t>& index) {
  const Grid grid(target, e);
  ZarrArray array;
  array.dir = target.dir;
  if (e.format == 3) array.key_prefix.push_back('c');
  array.separator = e.separator;
  array.dtype = dtype;
  index.clear();
  for (size_t at = 0; at < target.lead.size();) {
    const size_t end = std::min(target.lead.find(e.separator, at), target.lead.size());
    index.push_back(std::stoll(target.lead.substr(at, end - at)));
    array.shape.push_back(index.back() + 1);
    array.chunk.push_back(1);
    at = end + 1;
  }
  array.shape.insert(array.shape.end(), {target.height, target.width});
  if (e.format == 3 && e.sharded) {
    ZarrShard shard{array.chunk};
    shard.chunk.insert(shard.chunk.end(), {grid.ch, grid.cw});
    array.shards.push_back(std::move(shard));
    array.chunk.insert(array.chunk.end(), {grid.ny * grid.ch, grid.nx * grid.cw});
  } else {
    array.chunk.insert(array.chunk.end(), {grid.ch, grid.cw});
  }
  if (e.codec == ChunkCodec::kZstd) array.codecs = {ByteCodec::kZstd};
  if (e.codec == ChunkCodec::kBloscLz4 || e.codec == ChunkCodec::kBloscZstd)
    array.codecs = {ByteCodec::kBlosc};
  array.Check();
  return array;
}

struct PlaneWriter::Impl {
  BloscEncoder blosc;
  ZSTD_CCtx* zstd = nullptr;
  std::vector<std::byte> raw;        // a chunk as plain bytes, for codecs that are not Blosc
  std::unique_ptr<std::byte[]> out;  // not zeroed: only what is written is touched
  size_t capacity = 0;
  std::vector<std::byte> index;
  std::vector<ChunkRun> chunk_runs;
  std::vector<int32_t> next_run;
  std::vector<int32_t> painted;  // a chunk of labels, for codecs other than LZ4

  ~Impl() { ZSTD_freeCCtx(zstd); }

  std::byte* Reserve(size_t used, size_t more) {
    if (used + more > capacity) {
      const size_t grown = std::max(used + more, capacity + capacity / 2);
      std::unique_ptr<std::byte[]> next(new std::byte[grown]);
      if (used > 0) std::memcpy(next.get(), out.get(), used);
      out = std::move(next);
      capacity = grown;
    }
    return out.get() + used;
  }

  // Both take encode(i, j, used), which appends the chunk at `used` and returns its length, 0 for
  // one that is zero throughout.
  //
  // The chunks and the index of them, as a shard; returns the bytes of the chunks.
  template <class EncodeOne>
  size_t EncodeShard(const Grid& grid, size_t chunk_bytes, EncodeOne&& encode);
  template <class EncodeOne>
  int64_t WriteChunks(const Grid& grid, const ZarrEncoding& e, size_t chunk_bytes,
                      EncodeOne&& encode);
  // The index behind `used` bytes of chunks; returns the bytes of the shard.
  size_t AppendIndex(size_t used);

  // The runs of chunk (i, j), in `chunk_runs`. Chunks of a row are asked for from left to right:
  // `next_run` has the first run of each row that the chunk may hold.
  void FindRuns(const Objects& labels, const Grid& grid, int64_t i, int64_t j);
  size_t EncodeLabels(const Grid& grid, const ZarrEncoding& e, size_t used);

  // Appends one encoded chunk at `used`; returns its length.
  size_t EncodeChunk(const Plane& part, int64_t h, int64_t w, const ZarrEncoding& e, size_t used) {
    const size_t bytes = static_cast<size_t>(h * w) * DTypeSize(part.dtype);
    if (e.codec == ChunkCodec::kBloscLz4 || e.codec == ChunkCodec::kBloscZstd) {
      std::byte* dst = Reserve(used, BloscEncoder::Bound(bytes));
      const auto codec = e.codec == ChunkCodec::kBloscLz4 ? BloscCodec::kLz4 : BloscCodec::kZstd;
      return blosc.Encode(part, h, w, codec, e.level, dst);
    }
    std::byte* plain = nullptr;
    if (e.codec == ChunkCodec::kNone) {
      plain = Reserve(used, bytes);
    } else {
      raw.resize(bytes);
      plain = raw.data();
    }
    const auto row = static_cast<size_t>(w) * DTypeSize(part.dtype);
    const auto have = static_cast<size_t>(part.row_bytes());
    for (int64_t y = 0; y < h; ++y) {
      std::byte* to = plain + static_cast<size_t>(y) * row;
      const size_t n = y < part.height ? have : 0;
      if (n > 0) std::memcpy(to, part.data + y * part.stride, n);
      std::memset(to + n, 0, row - n);
    }
    if (e.codec == ChunkCodec::kNone) return bytes;
    if (zstd == nullptr) zstd = ZSTD_createCCtx();
    const size_t bound = ZSTD_compressBound(bytes);
    const size_t n = ZSTD_compressCCtx(zstd, Reserve(used, bound), bound, plain, bytes, e.level);
    if (ZSTD_isError(n) != 0)
      throw Error(Code::kInternal, std::string("zstd: ") + ZSTD_getErrorName(n));
    return n;
  }
};

PlaneWriter::PlaneWriter() : impl_(std::make_unique<Impl>()) {}
PlaneWriter::~PlaneWriter() = default;

void PlaneWriter::Erase(const PlaneTarget& target, const ZarrEncoding& e) {
  const Grid grid(target, e);
  if (e.format == 3 && e.sharded) {
    Remove(grid.key(0, 0));
    Remove(grid.key(0, 0) + ".part");
    return;
  }
  for (int64_t i = 0; i < grid.ny; ++i) {
    for (int64_t j = 0; j < grid.nx; ++j) Remove(grid.key(i, j));
  }
}

namespace {

// The part of a plane that the chunk (i, j) has; nothing where it lies behind the plane's end.
Plane PartOf(const Plane& plane, const Grid& grid, int64_t i, int64_t j) {
  Plane part = plane;
  part.data +=
      i * grid.ch * plane.stride + j * grid.cw * static_cast<int64_t>(DTypeSize(plane.dtype));
  part.height = std::clamp<int64_t>(plane.height - i * grid.ch, 0, grid.ch);
  part.width = std::clamp<int64_t>(plane.width - j * grid.cw, 0, grid.cw);
  return part;
}

bool IsBlank(const Plane& part) {
  return part.height == 0 || part.width == 0 || AllZero(part);
}

}  // namespace

template <class EncodeOne>
size_t PlaneWriter::Impl::EncodeShard(const Grid& grid, size_t chunk_bytes, EncodeOne&& encode) {
  const auto chunks = static_cast<size_t>(grid.ny * grid.nx);
  index.assign(chunks * 16, std::byte{0xff});
  // Room for all at once: growing would copy what is there. Only what is written is touched.
  Reserve(0, chunks * (chunk_bytes + 1024));
  size_t used = 0;
  for (int64_t i = 0; i < grid.ny; ++i) {
    for (int64_t j = 0; j < grid.nx; ++j) {
      const uint64_t entry[2] = {used, encode(i, j, used)};
      if (entry[1] == 0) continue;
      std::memcpy(index.data() + (i * grid.nx + j) * 16, entry, 16);
      used += entry[1];
    }
  }
  return used;
}

size_t PlaneWriter::Impl::AppendIndex(size_t used) {
  const uint32_t crc = Crc32c(index.data(), index.size());
  std::byte* const tail = Reserve(used, index.size() + 4);
  std::memcpy(tail, index.data(), index.size());
  std::memcpy(tail + index.size(), &crc, 4);
  return used + index.size() + 4;
}

struct PlaneParts::Impl {
  ZarrEncoding encoding;
  Grid grid;
  bool sharded;
  std::string path, growing;  // of the shard
  std::mutex mutex;
  int fd = -1;
  uint64_t used = 0;             // guarded by mutex: bytes of the shard that are taken
  std::vector<std::byte> index;  // guarded by mutex

  Impl(const PlaneTarget& target, const ZarrEncoding& e)
      : encoding(e),
        grid(target, e),
        sharded(e.format == 3 && e.sharded),
        path(grid.key(0, 0)),
        growing(path + ".part") {
    if (!sharded) return;
    index.assign(static_cast<size_t>(grid.ny * grid.nx) * 16, std::byte{0xff});
    fd = Create(growing);
  }
  ~Impl() {
    if (fd < 0) return;
    ::close(fd);
    ::unlink(growing.c_str());
  }

  // A place in the shard for `n` bytes that are written next.
  uint64_t Reserve(int64_t i, int64_t j, uint64_t n) {
    const std::lock_guard lock(mutex);
    const uint64_t entry[2] = {used, n};
    std::memcpy(index.data() + (i * grid.nx + j) * 16, entry, 16);
    used += n;
    return entry[0];
  }
};

PlaneParts::PlaneParts(const PlaneTarget& target, const ZarrEncoding& encoding)
    : impl_(std::make_unique<Impl>(target, encoding)) {}
PlaneParts::~PlaneParts() = default;

int64_t PlaneParts::chunk_height() const {
  return impl_->grid.ch;
}
int64_t PlaneParts::chunk_width() const {
  return impl_->grid.cw;
}

int64_t PlaneParts::Finish() {
  Impl& self = *impl_;
  if (!self.sharded) return 0;
  if (self.used == 0) {
    Remove(self.path);
    return 0;
  }
  const uint32_t crc = Crc32c(self.index.data(), self.index.size());
  const size_t n = self.index.size();
  self.index.resize(n + 4);
  std::memcpy(self.index.data() + n, &crc, 4);
  WriteAt(self.fd, self.growing, self.index.data(), n + 4, self.used);
  const int fd = std::exchange(self.fd, -1);
  if (::close(fd) != 0 || ::rename(self.growing.c_str(), self.path.c_str()) != 0) {
    const int err = errno;
    ::unlink(self.growing.c_str());
    throw IoError("write", self.path, err);
  }
  return static_cast<int64_t>(n) + 4;
}

int64_t PlaneWriter::WritePart(const Plane& part, int64_t y, int64_t x, PlaneParts& plane) {
  PlaneParts::Impl& to = *plane.impl_;
  const Grid& grid = to.grid;
  const int64_t top = y / grid.ch, left = x / grid.cw;
  if (top * grid.ch != y || left * grid.cw != x) {
    throw Error(Code::kInternal, "a part of a plane does not begin with a chunk");
  }
  int64_t written = 0;
  for (int64_t i = 0; i * grid.ch < part.height; ++i) {
    for (int64_t j = 0; j * grid.cw < part.width; ++j) {
      const Plane chunk = PartOf(part, grid, i, j);
      const bool blank = IsBlank(chunk);
      if (blank && to.sharded) continue;
      const std::string key = to.sharded ? std::string() : grid.key(top + i, left + j);
      if (blank) {
        Remove(key);
        continue;
      }
      const size_t n = impl_->EncodeChunk(chunk, grid.ch, grid.cw, to.encoding, 0);
      written += static_cast<int64_t>(n);
      if (to.sharded) {
        WriteAt(to.fd, to.growing, impl_->out.get(), n, to.Reserve(top + i, left + j, n));
      } else {
        WriteFile(key, impl_->out.get(), n);
      }
    }
  }
  return written;
}

template <class EncodeOne>
int64_t PlaneWriter::Impl::WriteChunks(const Grid& grid, const ZarrEncoding& e, size_t chunk_bytes,
                                       EncodeOne&& encode) {
  if (e.format == 3 && e.sharded) {
    size_t used = EncodeShard(grid, chunk_bytes, encode);
    if (used == 0) {
      Remove(grid.key(0, 0));
      return 0;
    }
    used = AppendIndex(used);
    WriteFile(grid.key(0, 0), out.get(), used);
    return static_cast<int64_t>(used);
  }
  int64_t written = 0;
  for (int64_t i = 0; i < grid.ny; ++i) {
    for (int64_t j = 0; j < grid.nx; ++j) {
      const std::string key = grid.key(i, j);
      const size_t n = encode(i, j, 0);
      if (n == 0) {
        Remove(key);
        continue;
      }
      WriteFile(key, out.get(), n);
      written += static_cast<int64_t>(n);
    }
  }
  return written;
}

void PlaneWriter::Impl::FindRuns(const Objects& labels, const Grid& grid, int64_t i, int64_t j) {
  const int64_t y0 = i * grid.ch, y1 = std::min(y0 + grid.ch, labels.height);
  const int64_t x0 = j * grid.cw, x1 = x0 + grid.cw;
  chunk_runs.clear();
  if (y0 >= y1) return;  // the array goes on behind the plane
  if (j == 0) next_run.assign(labels.run_of_row.begin() + y0, labels.run_of_row.begin() + y1);
  for (int64_t y = y0; y < y1; ++y) {
    const int32_t end = labels.run_of_row[static_cast<size_t>(y) + 1];
    int32_t& r = next_run[static_cast<size_t>(y - y0)];
    for (; r < end; ++r) {
      const Run& run = labels.runs[static_cast<size_t>(r)];
      if (run.x0 >= x1) break;
      const int64_t row = (y - y0) * grid.cw - x0;
      chunk_runs.push_back(
          {row + std::max<int64_t>(run.x0, x0), row + std::min<int64_t>(run.x1, x1), run.label});
      if (run.x1 > x1) break;  // goes on in the next chunk
    }
  }
}

size_t PlaneWriter::Impl::EncodeLabels(const Grid& grid, const ZarrEncoding& e, size_t used) {
  if (chunk_runs.empty()) return 0;
  const auto pixels = static_cast<size_t>(grid.ch * grid.cw);
  if (e.codec == ChunkCodec::kBloscLz4) {
    std::byte* dst = Reserve(used, BloscEncoder::Bound(pixels * sizeof(int32_t)));
    return blosc.EncodeRuns(chunk_runs, grid.ch, grid.cw, dst);
  }
  painted.assign(pixels, 0);
  for (const ChunkRun& run : chunk_runs) {
    std::fill(painted.begin() + run.begin, painted.begin() + run.end, run.label);
  }
  const Plane part = PackedPlane(painted.data(), DType::kI32, grid.ch, grid.cw);
  return EncodeChunk(part, grid.ch, grid.cw, e, used);
}

int64_t PlaneWriter::Write(const Plane& plane, const PlaneTarget& target, const ZarrEncoding& e) {
  const Grid grid(target, e);
  return impl_->WriteChunks(grid, e, grid.chunk_bytes(plane.dtype),
                            [&](int64_t i, int64_t j, size_t used) -> size_t {
                              const Plane part = PartOf(plane, grid, i, j);
                              if (IsBlank(part)) return 0;
                              return impl_->EncodeChunk(part, grid.ch, grid.cw, e, used);
                            });
}

int64_t PlaneWriter::Write(const Objects& labels, const PlaneTarget& target,
                           const ZarrEncoding& e) {
  const Grid grid(target, e);
  return impl_->WriteChunks(grid, e, grid.chunk_bytes(DType::kI32),
                            [&](int64_t i, int64_t j, size_t used) {
                              impl_->FindRuns(labels, grid, i, j);
                              return impl_->EncodeLabels(grid, e, used);
                            });
}

std::span<const std::byte> PlaneWriter::Encode(const Plane& plane, const ZarrEncoding& e) {
  const Grid grid({"", "", plane.height, plane.width}, e);
  if (e.format == 3 && e.sharded) {
    const size_t chunks = impl_->EncodeShard(
        grid, grid.chunk_bytes(plane.dtype), [&](int64_t i, int64_t j, size_t used) {
          const Plane part = PartOf(plane, grid, i, j);
          return IsBlank(part) ? 0 : impl_->EncodeChunk(part, grid.ch, grid.cw, e, used);
        });
    return {impl_->out.get(), impl_->AppendIndex(chunks)};
  }
  if (grid.ny * grid.nx != 1) {
    throw Error(Code::kInvalidArgument, "a plane of several chunks is several files");
  }
  const size_t used = impl_->EncodeChunk(plane, grid.ch, grid.cw, e, 0);
  return {impl_->out.get(), used};
}

}  // namespace tilecast
