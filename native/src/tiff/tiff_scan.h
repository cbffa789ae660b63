// SPDX-License-Identifier: MIT
// Headers of many files at once: what a plate's catalogue needs, at the price of one or two small
// reads a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "error.h"
#include "tiff/tiff_reader.h"

namespace tilecast {

struct TiffScanOptions {
  bool pages = false;        // walk the chain of pages to count them
  bool description = false;  // read ImageDescription of the first page
  int threads = 1;           // at least 1; more hide the latency of a network file system
};

// Of one file: its first page, or why it cannot be read.
struct TiffScanResult {
  TiffPage page;
  int pages = -1;  // -1: not counted
  int64_t bytes = 0;
  double mtime_ms = 0;
  std::optional<Error> error;
};

// One result a path, in their order. A file that fails does not fail the others.
std::vector<TiffScanResult> ScanTiffs(const std::vector<std::string>& paths,
                                      const TiffScanOptions& options);

}  // namespace tilecast
