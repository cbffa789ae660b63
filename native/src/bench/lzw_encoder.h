// SPDX-License-Identifier: MIT
// LZW as TIFF 6.0 section 13 defines it, to make files to read: correct and simple, not fast.
#pragma once

#include <cstdint>
#include <vector>

namespace tilecast::bench {

std::vector<uint8_t> EncodeLzw(const std::vector<uint8_t>& data);

}  // namespace tilecast::bench
