// SPDX-License-Identifier: MIT
// Planes of Zarr arrays: shards and their indexes, chains of codecs, regions. Input: the array's
// description, then the file that is every chunk of its grid.
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "error.h"
#include "fuzz_input.h"
#include "memory_file.h"
#include "zarr/array.h"
#include "zarr/plane_reader.h"

namespace {

using tilecast::ByteCodec;
using tilecast::Code;
using tilecast::Error;
using tilecast::Plane;
using tilecast::ZarrArray;

template <class F>
bool Accepted(F&& f) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    FUZZ_CHECK(e.code() == Code::kZarrDamaged || e.code() == Code::kZarrUnsupported);
    return false;
  }
}

// A folder whose chunk files are all the same memory.
struct Store {
  tilecast::MemoryFile file;
  std::string dir;

  Store() {
    char pattern[] = "/tmp/tilecast-fuzz-XXXXXX";
    FUZZ_CHECK(::mkdtemp(pattern) != nullptr);
    dir = pattern;
    for (const std::string lead : {"", "0.", "1."}) {
      for (const std::string key : {"0.0", "0.1", "1.0", "1.1"}) {
        FUZZ_CHECK(::symlink(file.path().c_str(), (dir + "/" + lead + key).c_str()) == 0);
      }
    }
  }
  ~Store() {
    for (const std::string lead : {"", "0.", "1."}) {
      for (const std::string key : {"0.0", "0.1", "1.0", "1.1"}) {
        ::unlink((dir + "/" + lead + key).c_str());
      }
    }
    ::rmdir(dir.c_str());
  }
};

int64_t Axis(tilecast::FuzzInput& input) {
  return input.Between(1, 96);
}

}  // namespace

// The description's bytes are those that scripts/make-fuzz-seeds.py writes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Store store;
  static tilecast::ZarrPlaneReader reader({size_t{1} << 20});
  tilecast::FuzzInput input(data, size);
  ZarrArray array;
  array.dir = store.dir;
  array.separator = '.';
  array.dtype = static_cast<tilecast::DType>(input.Byte() % tilecast::kDTypeCount);
  array.fill = input.Byte() % 2 == 0 ? 0 : 1e9;
  array.big_endian = input.Byte() % 2 != 0;
  const size_t leading = input.Byte() % 2;
  const size_t levels = input.Byte() % 3;
  for (size_t n = input.Byte() % 4; n > 0; --n) {
    array.codecs.push_back(static_cast<ByteCodec>(input.Byte() % 6));
  }
  const auto axes = [&] {
    std::vector<int64_t> a;
    if (leading > 0) a.push_back(1 + input.Byte() % 4);
    for (int i = 0; i < 2; ++i) a.push_back(Axis(input));
    return a;
  };
  array.shape = axes();
  array.chunk = axes();
  for (size_t k = 0; k < levels; ++k) {
    tilecast::ZarrShard shard;
    shard.index_at_end = input.Byte() % 2 == 0;
    shard.index_checksum = input.Byte() % 2 == 0;
    shard.chunk = axes();
    array.shards.push_back(shard);
  }
  if (!Accepted([&] { array.Check(); })) return 0;
  // Thousands of chunks of a pixel each show nothing that a few do not, and take their time.
  const auto chunks = [&](const std::vector<int64_t>& whole, const std::vector<int64_t>& part) {
    int64_t n = 1;
    for (size_t i = leading; i < whole.size(); ++i) n *= (whole[i] + part[i] - 1) / part[i];
    return n;
  };
  if (chunks(array.shape, array.chunk) > 9 || chunks(array.shape, array.inner_chunk()) > 256) {
    return 0;
  }
  store.file.Write(input.data(), input.size());

  std::vector<int64_t> index;
  if (leading > 0) index.push_back(array.shape[0] - 1);
  const auto pixel = static_cast<int64_t>(tilecast::DTypeSize(array.dtype));
  const auto make = [&](int64_t height, int64_t width) {
    return std::unique_ptr<std::byte[]>(new std::byte[static_cast<size_t>(height * width * pixel)]);
  };
  const int64_t height = array.height();
  const int64_t width = array.width();
  const auto whole = make(height, width);
  const Plane all = tilecast::PackedPlane(whole.get(), array.dtype, height, width);
  const bool good = Accepted([&] { reader.Read(array, index, 0, 0, all); });

  // A part, which is decoded on other paths, is the same pixels.
  const int64_t y = height / 3;
  const int64_t x = width / 3;
  const int64_t rows = (height - y + 1) / 2;
  const int64_t columns = (width - x + 1) / 2;
  const auto some = make(rows, columns);
  const Plane part = tilecast::PackedPlane(some.get(), array.dtype, rows, columns);
  const bool part_good = Accepted([&] { reader.Read(array, index, y, x, part); });
  FUZZ_CHECK(part_good || !good);
  for (int64_t r = 0; r < rows && good; ++r) {
    FUZZ_CHECK(std::memcmp(part.data + r * part.stride, all.data + (y + r) * all.stride + x * pixel,
                           static_cast<size_t>(part.stride)) == 0);
  }
  return 0;
}
