// SPDX-License-Identifier: MIT
// Checks an array's description once, so that readers can count on it.
#include "zarr/array.h"

#include "error.h"

namespace tilecast {
namespace {

// Blosc and LZ4 hold no more, and nobody's images need it.
constexpr int64_t kMaxChunkBytes = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxLength = int64_t{1} << 48;
constexpr size_t kMaxAxes = 32;  // as numpy had it

}  // namespace

void ZarrArray::Check() const {
  const auto damaged = [&](const char* what) { throw Error(Code::kZarrDamaged, what, dir); };
  if (shape.size() > kMaxAxes) damaged("an array of more than 32 axes");
  if (shards.size() > 4) {
    throw Error(Code::kZarrUnsupported, "shards nested more than four deep are not read", dir);
  }
  if (shape.size() < 2) {
    throw Error(Code::kZarrUnsupported, "an array of fewer than two axes holds no planes", dir);
  }
  for (const int64_t n : shape) {
    if (n < 0 || n > kMaxLength) damaged("an axis has an impossible length");
  }
  const std::vector<int64_t>* outer = nullptr;
  const auto check_chunk = [&](const std::vector<int64_t>& inner) {
    if (inner.size() != shape.size()) damaged("chunks and array differ in their number of axes");
    for (size_t i = 0; i < inner.size(); ++i) {
      if (inner[i] < 1 || inner[i] > kMaxLength) damaged("a chunk has an impossible shape");
      if (outer != nullptr && (*outer)[i] % inner[i] != 0) {
        damaged("the chunks of a shard do not divide it");
      }
    }
    outer = &inner;
  };
  check_chunk(chunk);
  for (const ZarrShard& shard : shards) check_chunk(shard.chunk);
  int64_t bytes = static_cast<int64_t>(DTypeSize(dtype));
  for (const int64_t n : inner_chunk()) {
    if (bytes > kMaxChunkBytes / n) {
      throw Error(Code::kZarrUnsupported, "chunks of 2 GiB and more are not read", dir);
    }
    bytes *= n;
  }
}

}  // namespace tilecast
