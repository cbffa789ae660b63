// SPDX-License-Identifier: MIT
// Scanning of file headers by threads that share one counter.
#include "tiff/tiff_scan.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <thread>

namespace tilecast {
namespace {

void Scan(TiffReader& reader, const std::string& path, const TiffScanOptions& options,
          TiffScanResult& out) {
  try {
    reader.Open(path);
    out.bytes = reader.file_bytes();
    out.mtime_ms = reader.mtime_ms();
    out.page = options.description ? reader.page(0) : reader.layout(0);
    if (options.pages) out.pages = reader.page_count();
  } catch (const Error& e) {
    out.error = e;
  } catch (const std::bad_alloc&) {
    out.error = Error(Code::kIo, "there is not enough memory to read the header", path);
  }
  // Not left to the next Open: the last file of a scan would stay open.
  reader.Close();
}

}  // namespace

std::vector<TiffScanResult> ScanTiffs(const std::vector<std::string>& paths,
                                      const TiffScanOptions& options) {
  std::vector<TiffScanResult> results(paths.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    TiffReader reader;
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < paths.size();) {
      Scan(reader, paths[i], options, results[i]);
    }
  };
  const size_t count = std::min(static_cast<size_t>(std::max(options.threads, 1)), paths.size());
  std::vector<std::thread> threads;
  for (size_t t = 1; t < count; ++t) {
    try {
      threads.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // the system has no more threads: those that run, and this one, do the work
    }
  }
  work();
  for (std::thread& t : threads) t.join();
  return results;
}

}  // namespace tilecast
