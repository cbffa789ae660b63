// SPDX-License-Identifier: MIT
// What a folder's file system and the page cache can do at best.
#pragma once

#include <cstdint>
#include <string>

namespace tilecast::bench {

// Bytes a second of all threads together that pread brings from the page cache into one reused
// buffer a thread, `block` bytes a call. The file is read once before. Throws kIo.
double MeasureFileRead(const std::string& path, uint64_t block, int threads, double seconds);

// Files a second of all threads together: each is made in `folder` under a name of its own, filled
// with `bytes` bytes, with `sync` brought to the device, and closed. After `most_bytes` of all
// threads together (100 000 files a thread when they are empty) the first files are overwritten, so
// that no disk is filled. Afterwards they are emptied, but left to the caller to remove when all is
// measured: ext4 without a journal makes files slowly for a while after many were removed. Throws
// kIo.
double MeasureFileWrite(const std::string& folder, uint64_t bytes, bool sync, uint64_t most_bytes,
                        int threads, double seconds);

}  // namespace tilecast::bench
