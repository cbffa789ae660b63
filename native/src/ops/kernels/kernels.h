// SPDX-License-Identifier: MIT
// The hot loops, compiled once for each instruction set (native/CMakeLists.txt) and chosen at run
// time (ops/dispatch.cc).
//
// kernels.cc must stay free of anything that the linker could merge across instruction sets: no
// standard-library templates, no inline functions from headers; plain loops over pointers in an
// anonymous namespace. Everything else in ops/ is compiled once, for the baseline.
//
// A kernel works on one row (or one span) of pixels, so that every caller can honour a plane's
// stride. `n` counts pixels and may be anything from 0; pointers need only the alignment of their
// type; nothing is read or written past n unless said. Arrays are indexed by DType. Kernels are
// compiled without floating-point contraction: an operation rounds once, and where a fused
// multiply-add is wanted the kernel asks for it, so that tables agree wherever this file doesn't
// say otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/kernels/median.h"
#include "ops/kernels/neighbours.h"
#include "ops/kernels/windows.h"

namespace tilecast {

inline constexpr int kKernelDTypes = 8;  // == kDTypeCount; image.h stays out of the kernels

// What a reduction over floats needs to know besides the extremes.
struct RowRange {
  double min, max;  // in: the extremes so far; out: those and the row's (NaN pixels ignored)
  bool nan;         // set when a NaN was seen, never cleared
};

// Sums of one object. Integers are summed in `integer`, floats in `real`.
struct SpanSums {
  int64_t integer;
  double real;
  double min, max;
  bool nan;
};

// numpy.histogram's equal-width bins; see BinRow.
template <class T>
struct BinSpec {
  const T* edges;  // count + 1 strictly increasing edges
  T first, last;   // edges[0], edges[count]
  T scale;         // about 256 / (last - first)
  T margin;  // in bins: further than this from an edge, trunc((x - first) * scale) is certainly the
             // bin
};

// Taps of a symmetric filter: weight[0] is the centre's, weight[i] that of both pixels at distance
// i.
struct Taps {
  const float* weight;
  int64_t radius;
};

// Half to even, of 0 <= v < 2^22: the sum has no bits below one. Of each file its own, since files
// are compiled for different instruction sets.
static inline float RoundedSmall(float v) {
  constexpr float kOnes = 0x1.8p23f;
  return v + kOnes - kOnes;
}

struct KernelTable {
  const char* name;  // "v2", "v3", "v4", "base"

  // out = float32(in).
  void (*to_f32[kKernelDTypes])(const void* in, float* out, int64_t n);
  // out = (float32(in) - background) / field, each operation rounded to float32.
  void (*flat_field[kKernelDTypes])(const void* in, const float* field, float background,
                                    float* out, int64_t n);
  // out = float32(in) - value.
  void (*subtract[kKernelDTypes])(const void* in, float value, float* out, int64_t n);
  // out = float64(in) * scale + offset, two roundings.
  void (*scale_to_f64[kKernelDTypes])(const void* in, double scale, double offset, double* out,
                                      int64_t n);
  // out = saturate(round half even(in)) for integer dtypes (NaN -> 0), a conversion for floats.
  void (*from_f64[kKernelDTypes])(const double* in, void* out, int64_t n);
  // The same from float32, for dtypes of at most 16 bits; null for others.
  void (*from_f32[kKernelDTypes])(const float* in, void* out, int64_t n);
  // out = in held within low..high, which are values of the dtype. out may be in.
  void (*clamp_same[kKernelDTypes])(const void* in, double low, double high, void* out, int64_t n);
  // Both at once for a uint8 result: what viewers and thumbnails ask for.
  void (*scale_to_u8[kKernelDTypes])(const void* in, double scale, double offset, uint8_t* out,
                                     int64_t n);
  // out = in > value ? 1 : 0: see Threshold().
  void (*threshold[kKernelDTypes])(const void* in, double value, uint8_t* out, int64_t n);
  // Bit x of bits[] = in[x] > value; the last word's unused bits are 0. Writes ceil(n / 64) words.
  void (*threshold_bits[kKernelDTypes])(const void* in, double value, uint64_t* bits, int64_t n);
  // Bit x = (in[x] != in[x - 1]), in[-1] taken as 0; the last word's unused bits are 0.
  void (*change_bits)(const int32_t* in, uint64_t* bits, int64_t n);

  void (*range[kKernelDTypes])(const void* in, int64_t n, RowRange* range);

  // The bin of each pixel. False when a pixel is NaN or outside first..last; bins are then
  // meaningless.
  bool (*bin_f32)(const float* in, const BinSpec<float>* spec, uint8_t* bin, int64_t n);
  bool (*bin_f64)(const double* in, const BinSpec<double>* spec, uint8_t* bin, int64_t n);

  // out[x] = sum of weight[|i|] * rows[radius + i][x], i = -radius..radius, outermost first (the
  // small terms first). rows has 2 * radius + 1 pointers. Multiplies and adds are fused where the
  // instruction set can: tables agree within 1e-6 relative, not bit for bit.
  void (*gaussian_vertical)(const float* const* rows, const Taps* taps, float* out, int64_t n);
  // The same for two neighbouring output rows at once, from 2 * radius + 2 rows; equal to two calls
  // bit for bit.
  void (*gaussian_vertical2)(const float* const* rows, const Taps* taps, float* out, float* next,
                             int64_t n);
  // out[x] = the same over in[x .. x + 2 * radius]; *low and *high take in the row's extremes.
  void (*gaussian_horizontal)(const float* in, const Taps* taps, float* out, int64_t n, float* low,
                              float* high);

  // out[x] = skimage.filters.sobel of the 3 x 3 pixels at above[x .. x + 2], here, below.
  void (*sobel)(const float* above, const float* here, const float* below, float* out, int64_t n);

  // out[x] = what the tables of the four tiles around give for in[x], weighted, half to even. The
  // tables are those above left, above right, below left, below right: bytes of quad[value] in this
  // order, or apart.
  void (*clahe_u8)(const uint8_t* in, const uint32_t* quad, const float* from_left,
                   const float* from_right, float above, float below, uint8_t* out, int64_t n);
  void (*clahe_u16)(const uint16_t* in, const uint16_t* const* tables, const float* from_left,
                    const float* from_right, float above, float below, uint16_t* out, int64_t n);

  // a = a (op) b: add, subtract, multiply, divide.
  void (*calculate[4])(double* a, const double* b, int64_t n);
  // The same for rows of one dtype, with the result that float64 and a saturating store give; null
  // where that is the only way. out may be a or b.
  void (*calculate_same[kKernelDTypes][4])(const void* a, const void* b, void* out, int64_t n);
  // v = (v held within low..high - low) / width * gain + offset, each operation rounded.
  void (*stretch)(double* v, double low, double high, double width, double gain, double offset,
                  int64_t n);

  // acc = max(acc, in) and min(acc, in), NaN wins. Same dtype.
  void (*max[kKernelDTypes])(const void* in, void* acc, int64_t n);
  void (*min[kKernelDTypes])(const void* in, void* acc, int64_t n);
  // acc = in, acc += in. acc: uint32 for unsigned, int32 for signed 8/16-bit integers, float64 for
  // the rest.
  void (*sum_first[kKernelDTypes])(const void* in, void* acc, int64_t n);
  void (*sum_next[kKernelDTypes])(const void* in, void* acc, int64_t n);
  // out = float32(float64(acc) / count). Indexed by the accumulator's dtype; only uint32, int32 and
  // float64 are set.
  void (*mean_finish[kKernelDTypes])(const void* acc, double count, float* out, int64_t n);

  // out[x] = mean of top[2x], top[2x + 1], bottom[2x], bottom[2x + 1]; n counts output pixels, all
  // of whose four inputs exist.
  void (*halve_mean[kKernelDTypes])(const void* top, const void* bottom, void* out, int64_t n);
  // sum[x / factor] += in[x]; whole and partial blocks alike.
  void (*block_sum[kKernelDTypes])(const void* in, int64_t factor, double* sum, int64_t n);
  // out = a + (b - a) * t, in float32.
  void (*lerp)(const float* a, const float* b, float t, float* out, int64_t n);

  // Adds the pixels of in[0..n) to *sums.
  void (*span[kKernelDTypes])(const void* in, int64_t n, SpanSums* sums);
  // Counts the perimeter codes of one row of an object's border (see measure.cc): bits of the row
  // above, the row itself and the row below. All three have a spare word on either side of the
  // `words` counted. counts[0]: weight 1, [1]: sqrt 2, [2]: (1 + sqrt 2) / 2.
  void (*perimeter_row)(const uint64_t* above, const uint64_t* here, const uint64_t* below,
                        int64_t words, int64_t* counts);

  WindowKernels windows;
  MedianKernels median;
  NeighbourKernels neighbours;
};

const KernelTable&
Kernels();  // the best table that this CPU runs; TILECAST_CPU=v2|v3 forces a lower one

// Every table that this CPU can run, best last; for tests and benchmarks. Returns their number.
int RunnableKernels(const KernelTable** tables, int capacity);

}  // namespace tilecast
