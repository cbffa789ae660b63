// SPDX-License-Identifier: MIT
// LZ4 blocks of bytes that are known as runs of equal ones.
//
// Format: lz4_Block_format.md of the LZ4 project: sequences of literals and a match, of which the
// last has literals only; no match begins in the last 12 bytes or reaches into the last 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tilecast {

// Add() all of a block's bytes in order, then Finish(). A run becomes a literal and a match with
// the byte before; neighbours of equal value are one run. `out` holds LZ4_compressBound(bytes).
class Lz4RunWriter {
 public:
  Lz4RunWriter(size_t bytes, std::byte* out);
  void Add(uint8_t value, size_t count);
  // The length of the block; more than `bytes` where runs are a few bytes long.
  size_t Finish();

 private:
  void Flush();
  void Sequence(size_t match);

  uint8_t* const begin_;
  uint8_t* out_;
  size_t coverable_;  // bytes at the block's begin that matches may cover
  size_t at_ = 0;
  uint8_t value_ = 0;
  size_t count_ = 0;
  std::vector<uint8_t> literals_;  // since the last match
};

}  // namespace tilecast
