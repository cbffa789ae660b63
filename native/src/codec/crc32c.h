// SPDX-License-Identifier: MIT
// CRC-32C (Castagnoli), the checksum of Zarr's crc32c codec and of shard indexes (RFC 3720,
// appendix B.4).
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilecast {

// With the CPU's own instruction where it has one (chosen at run time), else by table.
uint32_t Crc32c(const void* data, size_t size);

}  // namespace tilecast
