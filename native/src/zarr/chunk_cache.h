// SPDX-License-Identifier: MIT
// Decoded chunks that hold several planes, kept until others need the memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "zarr/chunk_file.h"

namespace tilecast {

// Least recently used out first. A chunk is known by its file as it is now (device, inode, size,
// time) and its place in it, so that what was rewritten meanwhile is never found. Memory of what
// goes out is used again when it fits.
class ChunkCache {
 public:
  explicit ChunkCache(size_t capacity) : capacity_(capacity) {}

  size_t capacity() const { return capacity_; }

  // The chunk's bytes, or null.
  const uint8_t* Find(const ChunkFile::Identity& file, uint64_t offset, size_t bytes) {
    for (Entry& e : entries_) {
      if (e.valid && e.offset == offset && e.bytes == bytes && e.file == file) {
        e.used = ++clock_;
        return e.data.get();
      }
    }
    return nullptr;
  }

  // Memory for a chunk (`bytes` at most the capacity), not found before Keep() says that it was
  // decoded.
  uint8_t* Reserve(const ChunkFile::Identity& file, uint64_t offset, size_t bytes) {
    Entry* entry = nullptr;
    while (total_ + bytes > capacity_ && entry == nullptr) {
      Entry* oldest = nullptr;
      for (Entry& e : entries_) {
        if (e.data && (oldest == nullptr || e.used < oldest->used)) oldest = &e;
      }
      if (oldest == nullptr) break;
      if (oldest->bytes == bytes) {
        entry = oldest;
      } else {
        total_ -= oldest->bytes;
        *oldest = {};
      }
    }
    if (entry == nullptr) {
      for (Entry& e : entries_) {
        if (!e.data) entry = &e;
      }
      if (entry == nullptr) entry = &entries_.emplace_back();
      entry->data.reset(new uint8_t[bytes]);
      total_ += bytes;
    }
    entry->valid = false;
    entry->file = file;
    entry->offset = offset;
    entry->bytes = bytes;
    entry->used = ++clock_;
    last_ = static_cast<size_t>(entry - entries_.data());
    return entry->data.get();
  }

  // What Reserve() gave last now holds the chunk.
  void Keep() { entries_[last_].valid = true; }

 private:
  struct Entry {
    std::unique_ptr<uint8_t[]> data;
    bool valid = false;
    ChunkFile::Identity file;
    uint64_t offset = 0;
    size_t bytes = 0;
    uint64_t used = 0;
  };
  size_t capacity_;
  size_t total_ = 0;
  uint64_t clock_ = 0;
  size_t last_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace tilecast
