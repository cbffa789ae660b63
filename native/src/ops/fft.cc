// SPDX-License-Identifier: MIT
// The one file that includes pocketfft: its plans are cached, its own threads left out.
#include "ops/fft.h"

#define POCKETFFT_NO_MULTITHREADING
#define POCKETFFT_CACHE_SIZE 16
#include <pocketfft_hdronly.h>

namespace tilecast {
namespace {

constexpr ptrdiff_t kReal = sizeof(float), kComplex = sizeof(std::complex<float>);

pocketfft::shape_t Shape(int64_t height, int64_t width) {
  return {static_cast<size_t>(height), static_cast<size_t>(width)};
}

}  // namespace

void ForwardFft(const float* in, int64_t height, int64_t width, std::complex<float>* out) {
  pocketfft::r2c(Shape(height, width), {static_cast<ptrdiff_t>(width) * kReal, kReal},
                 {static_cast<ptrdiff_t>(HalfWidth(width)) * kComplex, kComplex}, {0, 1},
                 pocketfft::FORWARD, in, out, 1.0f);
}

void InverseFft(const std::complex<float>* in, int64_t height, int64_t width, float* out) {
  pocketfft::c2r(Shape(height, width),
                 {static_cast<ptrdiff_t>(HalfWidth(width)) * kComplex, kComplex},
                 {static_cast<ptrdiff_t>(width) * kReal, kReal}, {0, 1}, pocketfft::BACKWARD, in,
                 out, 1.0f / static_cast<float>(height * width));
}

int64_t FastFftSize(int64_t n) {
  for (; n > 1; --n) {
    int64_t rest = n;
    for (const int64_t prime : {2, 3, 5, 7, 11}) {
      while (rest % prime == 0) rest /= prime;
    }
    if (rest == 1) break;
  }
  return n;
}

}  // namespace tilecast
