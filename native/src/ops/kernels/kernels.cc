// SPDX-License-Identifier: MIT
// One kernel table; compiled once per instruction set with TILECAST_KERNEL_TARGET naming it.
#include "ops/kernels/kernels.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if !defined(TILECAST_KERNEL_TARGET)
#error "compile with -DTILECAST_KERNEL_TARGET=v2|v3|v4|base"
#endif

namespace tilecast {
namespace {

// In this order: later parts use earlier ones.
// clang-format off
#include "ops/kernels/vector.inc"
#include "ops/kernels/point.inc"
#include "ops/kernels/bits.inc"
#include "ops/kernels/reduce.inc"
#include "ops/kernels/gaussian.inc"
#include "ops/kernels/resample.inc"
// clang-format on

}  // namespace

#define TILECAST_CONCAT_(a, b) a##b
#define TILECAST_CONCAT(a, b) TILECAST_CONCAT_(a, b)
#define TILECAST_TEXT_(a) #a
#define TILECAST_TEXT(a) TILECAST_TEXT_(a)
// One entry for each DType, in its order.
#define TILECAST_EACH(f) \
  {f<uint8_t>, f<int8_t>, f<uint16_t>, f<int16_t>, f<uint32_t>, f<int32_t>, f<float>, f<double>}

extern const KernelTable TILECAST_CONCAT(kKernels_, TILECAST_KERNEL_TARGET);
const KernelTable TILECAST_CONCAT(kKernels_, TILECAST_KERNEL_TARGET) = {
    .name = TILECAST_TEXT(TILECAST_KERNEL_TARGET),
    .to_f32 = TILECAST_EACH(ToF32),
    .flat_field = TILECAST_EACH(FlatFieldRow),
    .subtract = TILECAST_EACH(SubtractRow),
    .scale_to_f64 = TILECAST_EACH(ScaleToF64),
    .from_f64 = TILECAST_EACH(FromF64),
    .scale_to_u8 = TILECAST_EACH(ScaleToU8),
    .threshold = TILECAST_EACH(ThresholdRow),
    .threshold_bits = TILECAST_EACH(ThresholdBits),
    .change_bits = ChangeBits,
    .range = TILECAST_EACH(RangeRow),
    .bin_f32 = BinRow<float>,
    .bin_f64 = BinRow<double>,
    .gaussian_vertical = GaussianVertical,
    .gaussian_vertical2 = GaussianVertical2,
    .gaussian_horizontal = GaussianHorizontal,
    .max = TILECAST_EACH(MaxRow),
    .sum_first = TILECAST_EACH(SumFirstRow),
    .sum_next = TILECAST_EACH(SumNextRow),
    .mean_finish = {nullptr, nullptr, nullptr, nullptr, MeanFinishRow<uint32_t>,
                    MeanFinishRow<int32_t>, nullptr, MeanFinishRow<double>},
    .halve_mean = TILECAST_EACH(HalveMeanRow),
    .block_sum = TILECAST_EACH(BlockSumRow),
    .lerp = LerpRow,
    .span = TILECAST_EACH(SpanRow),
    .perimeter_row = PerimeterRow,
};

}  // namespace tilecast
