// SPDX-License-Identifier: MIT
// Throughput of single CPU kernels.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tilecast::bench {

struct KernelInfo {
  std::string_view name;
  // Least bytes a pixel that the kernel must read and write: what a memory limit is computed from.
  int bytes_read;
  int bytes_written;
};
const std::vector<KernelInfo>& MeasuredKernels();

// Pixels a second of all threads together; each thread has images of its own, side x side px.
// Throws kInvalidArgument for an unknown name.
double MeasureKernel(const std::string& name, int64_t side, int threads, double seconds);

}  // namespace tilecast::bench
