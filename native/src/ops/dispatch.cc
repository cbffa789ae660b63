// SPDX-License-Identifier: MIT
// Chooses the kernel table for the CPU that runs, once.
#include <cstdlib>
#include <string_view>

#include "image.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

static_assert(kKernelDTypes == kDTypeCount);

#if defined(__x86_64__)
extern const KernelTable kKernels_v2;
extern const KernelTable kKernels_v3;
extern const KernelTable kKernels_v4;

namespace {

// What the compiler may use for -march=x86-64-v2, -v3 and -v4: the psABI's levels
// ("micro-architecture levels"), listed by feature since compilers disagree on the levels' own
// names. __builtin_cpu_supports also asks the operating system for its part of AVX and AVX-512.
bool Runs(const KernelTable& table) {
  std::string_view name = table.name;
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse3") && __builtin_cpu_supports("ssse3") &&
                  __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2") &&
                  __builtin_cpu_supports("popcnt");
  if (name == "v2") return v2;
  const bool v3 = v2 && __builtin_cpu_supports("avx") && __builtin_cpu_supports("avx2") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("f16c") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("movbe");
  if (name == "v3") return v3;
  return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

}  // namespace

int RunnableKernels(const KernelTable** tables, int capacity) {
  int count = 0;
  for (const KernelTable* table : {&kKernels_v2, &kKernels_v3, &kKernels_v4}) {
    if (count < capacity && Runs(*table)) tables[count++] = table;
  }
  return count;
}

#else
extern const KernelTable kKernels_base;

int RunnableKernels(const KernelTable** tables, int capacity) {
  if (capacity < 1) return 0;
  tables[0] = &kKernels_base;
  return 1;
}
#endif

const KernelTable& Kernels() {
  static const KernelTable* const chosen = [] {
    const KernelTable* tables[4];
    const int count = RunnableKernels(tables, 4);
    // A CPU below v2 (before 2009) ends here with the v2 table; Node 20 itself does not start
    // there.
#if defined(__x86_64__)
    if (count == 0) return &kKernels_v2;
#endif
    const KernelTable* best = tables[count - 1];
    if (const char* wanted = std::getenv("TILECAST_CPU")) {
      for (int i = 0; i < count; ++i) {
        if (std::string_view(wanted) == tables[i]->name) best = tables[i];
      }
    }
    return best;
  }();
  return *chosen;
}

}  // namespace tilecast
