// SPDX-License-Identifier: MIT
// Fourier transforms of real images in float32, through pocketfft (native/third_party).
#pragma once

#include <complex>
#include <cstdint>

namespace tilecast {

// Columns of the half spectrum of an image `width` px wide: the rest follows from symmetry.
constexpr int64_t HalfWidth(int64_t width) {
  return width / 2 + 1;
}

// out[height, HalfWidth(width)] = numpy.fft.rfft2(in[height, width]), rows contiguous.
void ForwardFft(const float* in, int64_t height, int64_t width, std::complex<float>* out);
// out[height, width] = numpy.fft.irfft2(in[height, HalfWidth(width)]).
void InverseFft(const std::complex<float>* in, int64_t height, int64_t width, float* out);

// The greatest length up to n whose transform is fast: a product of powers of 2, 3, 5, 7 and 11.
int64_t FastFftSize(int64_t n);

}  // namespace tilecast
