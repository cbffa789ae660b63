// SPDX-License-Identifier: MIT
// The LZW encoder; see lzw_encoder.h.
#include "bench/lzw_encoder.h"

#include <cstddef>
#include <utility>

namespace tilecast::bench {
namespace {

constexpr uint32_t kClear = 256, kEnd = 257, kFirst = 258;
// "As soon as we use entry 4094, we write out a (12-bit) ClearCode."
constexpr uint32_t kFull = 4094;

class BitWriter {
 public:
  void Put(uint32_t code, int bits) {
    pending_ = pending_ << bits | code;
    count_ += bits;
    for (; count_ >= 8; count_ -= 8) out_.push_back(static_cast<uint8_t>(pending_ >> (count_ - 8)));
  }
  std::vector<uint8_t> Finish() {
    if (count_ > 0) out_.push_back(static_cast<uint8_t>(pending_ << (8 - count_)));
    return std::move(out_);
  }

 private:
  std::vector<uint8_t> out_;
  uint64_t pending_ = 0;
  int count_ = 0;
};

// The codes become wider one entry early: 511 is the last that is added with 9 bits.
int WidthFor(uint32_t next) {
  return next < 512 ? 9 : next < 1024 ? 10 : next < 2048 ? 11 : 12;
}

}  // namespace

std::vector<uint8_t> EncodeLzw(const std::vector<uint8_t>& data) {
  BitWriter out;
  out.Put(kClear, 9);
  if (data.empty()) {
    out.Put(kEnd, 9);
    return out.Finish();
  }
  // child[code][byte]: the code of that string and byte, in the low 12 bits, if the rest is this
  // epoch.
  std::vector<uint32_t> child(size_t{4096} * 256, 0);
  uint32_t epoch = 1;
  uint32_t next = kFirst;
  uint32_t prefix = data[0];
  for (size_t i = 1; i < data.size(); ++i) {
    uint32_t& entry = child[size_t{prefix} * 256 + data[i]];
    if (entry >> 12 == epoch) {
      prefix = entry & 4095;
      continue;
    }
    out.Put(prefix, WidthFor(next));
    entry = epoch << 12 | next++;
    if (next == kFull) {
      out.Put(kClear, 12);
      next = kFirst;
      ++epoch;
    }
    prefix = data[i];
  }
  out.Put(prefix, WidthFor(next));
  // The decoder adds an entry for that code too.
  out.Put(kEnd, WidthFor(next + 1));
  return out.Finish();
}

}  // namespace tilecast::bench
