// SPDX-License-Identifier: MIT
// Parts of a file that is elsewhere, as far as they have been fetched: what readers take instead of
// a path.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace tilecast {

struct FileRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Borrows the bytes; whoever makes it keeps them unchanged while it is read.
struct FileParts {
  struct Part {
    uint64_t offset;
    const uint8_t* data;
    uint64_t bytes;
  };

  std::string name;  // for messages: a URL without credentials
  uint64_t size = 0;
  std::vector<Part> parts;  // ascending, without overlaps, inside the file

  // Up to `n` bytes at `offset`: 0 when the first is not here.
  uint64_t Read(uint64_t offset, uint64_t n, void* dst) const {
    const Part* part = Find(offset);
    if (part == nullptr) return 0;
    n = std::min(n, part->offset + part->bytes - offset);
    std::memcpy(dst, part->data + (offset - part->offset), n);
    return n;
  }

  bool Has(FileRange range) const {
    while (range.bytes > 0) {
      const Part* part = Find(range.offset);
      if (part == nullptr) return false;
      const uint64_t n = std::min(range.bytes, part->offset + part->bytes - range.offset);
      range.offset += n;
      range.bytes -= n;
    }
    return true;
  }

 private:
  const Part* Find(uint64_t offset) const {
    auto after = std::upper_bound(parts.begin(), parts.end(), offset,
                                  [](uint64_t o, const Part& p) { return o < p.offset; });
    if (after == parts.begin()) return nullptr;
    const Part& part = *(after - 1);
    return offset - part.offset < part.bytes ? &part : nullptr;
  }
};

}  // namespace tilecast
