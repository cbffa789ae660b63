// SPDX-License-Identifier: MIT
// Sequences of one literal and a match with offset 1.
#include "zarr/lz4_runs.h"

#include <algorithm>
#include <cstring>

namespace tilecast {
namespace {

constexpr size_t kTail = 12;     // where no match may begin
constexpr size_t kLeastRun = 5;  // a literal and the shortest match, of 4

uint8_t* PutLength(uint8_t* out, size_t more) {
  for (; more >= 255; more -= 255) *out++ = 255;
  *out++ = static_cast<uint8_t>(more);
  return out;
}

}  // namespace

Lz4RunWriter::Lz4RunWriter(size_t bytes, std::byte* out)
    : begin_(reinterpret_cast<uint8_t*>(out)),
      out_(begin_),
      coverable_(bytes > kTail ? bytes - kTail : 0) {}

void Lz4RunWriter::Add(uint8_t value, size_t count) {
  if (value != value_ && count > 0) {
    Flush();
    value_ = value;
  }
  count_ += count;
}

// The literals, then `match` bytes like the one before; 0: the last sequence.
void Lz4RunWriter::Sequence(size_t match) {
  uint8_t* const token = out_++;
  const size_t n = literals_.size();
  *token = static_cast<uint8_t>(std::min<size_t>(n, 15) << 4);
  if (n >= 15) out_ = PutLength(out_, n - 15);
  if (n > 0) std::memcpy(out_, literals_.data(), n);
  out_ += n;
  literals_.clear();
  if (match == 0) return;
  *out_++ = 1;
  *out_++ = 0;
  const size_t length = match - 4;
  *token = static_cast<uint8_t>(*token | std::min<size_t>(length, 15));
  if (length >= 15) out_ = PutLength(out_, length - 15);
}

void Lz4RunWriter::Flush() {
  const size_t covered = at_ < coverable_ ? std::min(count_, coverable_ - at_) : 0;
  size_t left = count_;
  if (covered >= kLeastRun) {
    literals_.push_back(value_);
    Sequence(covered - 1);
    left -= covered;
  }
  literals_.insert(literals_.end(), left, value_);
  at_ += count_;
  count_ = 0;
}

size_t Lz4RunWriter::Finish() {
  Flush();
  Sequence(0);
  return static_cast<size_t>(out_ - begin_);
}

}  // namespace tilecast
