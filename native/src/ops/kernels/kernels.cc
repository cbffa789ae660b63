// SPDX-License-Identifier: MIT
// One kernel table; compiled once per instruction set with TILECAST_KERNEL_TARGET naming it.
#include "ops/kernels/kernels.h"

#include <limits>

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
#include "ops/kernels/windows.inc"
#include "ops/kernels/median.inc"
#include "ops/kernels/neighbours.inc"
// clang-format on

}  // namespace

#define TILECAST_CONCAT_(a, b) a##b
#define TILECAST_CONCAT(a, b) TILECAST_CONCAT_(a, b)
#define TILECAST_TEXT_(a) #a
#define TILECAST_TEXT(a) TILECAST_TEXT_(a)
// One entry for each DType, in its order.
#define TILECAST_EACH(f) \
  {f<uint8_t>, f<int8_t>, f<uint16_t>, f<int16_t>, f<uint32_t>, f<int32_t>, f<float>, f<double>}
// One entry for each KeyKind and Extreme.
#define TILECAST_EXTREMES_OF(f)                            \
  {                                                        \
    {f<uint8_t, LeastOf>, f<uint8_t, GreatestOf>},         \
        {f<uint16_t, LeastOf>, f<uint16_t, GreatestOf>}, { \
      f<int32_t, LeastOf>, f<int32_t, GreatestOf>          \
    }                                                      \
  }

extern const KernelTable TILECAST_CONCAT(kKernels_, TILECAST_KERNEL_TARGET);
const KernelTable TILECAST_CONCAT(kKernels_, TILECAST_KERNEL_TARGET) =
    {
        .name = TILECAST_TEXT(TILECAST_KERNEL_TARGET),
        .to_f32 = TILECAST_EACH(ToF32),
        .flat_field = TILECAST_EACH(FlatFieldRow),
        .subtract = TILECAST_EACH(SubtractRow),
        .scale_to_f64 = TILECAST_EACH(ScaleToF64),
        .from_f64 = TILECAST_EACH(FromF64),
        .from_f32 = {FromF32<uint8_t>, FromF32<int8_t>, FromF32<uint16_t>, FromF32<int16_t>},
        .clamp_same = TILECAST_EACH(ClampSame),
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
        .sobel = SobelRow,
        .clahe_u8 = ClaheRowU8,
        .clahe_u16 = ClaheRowU16,
        .calculate = {CalculateRow<0>, CalculateRow<1>, CalculateRow<2>, CalculateRow<3>},
        .calculate_same = {{CalculateSame<uint8_t, 0>, CalculateSame<uint8_t, 1>,
                            CalculateSame<uint8_t, 2>, nullptr},
                           {},
                           {CalculateSame<uint16_t, 0>, CalculateSame<uint16_t, 1>,
                            CalculateSame<uint16_t, 2>, nullptr},
                           {},
                           {},
                           {},
                           {CalculateSame<float, 0>, CalculateSame<float, 1>,
                            CalculateSame<float, 2>, CalculateSame<float, 3>},
                           {}},
        .stretch = StretchRow,
        .max = TILECAST_EACH(MaxRow),
        .min = TILECAST_EACH(MinRow),
        .sum_first = TILECAST_EACH(SumFirstRow),
        .sum_next = TILECAST_EACH(SumNextRow),
        .mean_finish = {nullptr, nullptr, nullptr, nullptr, MeanFinishRow<uint32_t>,
                        MeanFinishRow<int32_t>, nullptr, MeanFinishRow<double>},
        .halve_mean = TILECAST_EACH(HalveMeanRow),
        .block_sum = TILECAST_EACH(BlockSumRow),
        .lerp = LerpRow,
        .span = TILECAST_EACH(SpanRow),
        .perimeter_row = PerimeterRow,
        .windows =
            {
                .to_key = {nullptr, ToKeyInteger<int8_t>, nullptr, ToKeyInteger<int16_t>,
                           ToKeyInteger<uint32_t>, nullptr, ToKeyF32, nullptr},
                .from_key = {nullptr, FromKeyInteger<int8_t>, nullptr, FromKeyInteger<int16_t>,
                             FromKeyInteger<uint32_t>, nullptr, FromKeyF32, nullptr},
                .columns = {{WindowColumns<uint8_t, uint8_t, LeastOf>,
                             WindowColumns<uint8_t, uint8_t, GreatestOf>},
                            {WindowColumns<uint16_t, uint16_t, LeastOf>,
                             WindowColumns<uint16_t, uint16_t, GreatestOf>},
                            {WindowColumns<int32_t, int32_t, LeastOf>,
                             WindowColumns<int32_t, int32_t, GreatestOf>}},
                .line = TILECAST_EXTREMES_OF(WindowLine),
                .step = TILECAST_EXTREMES_OF(WindowStep),
                .pair = TILECAST_EXTREMES_OF(WindowPair),
                .fold = TILECAST_EXTREMES_OF(WindowFold),
                .difference = TILECAST_EACH(DifferenceRow),
                .columns_sum = {WindowColumns<uint32_t, uint8_t, SumOf2>,
                                WindowColumns<uint32_t, uint16_t, SumOf2>,
                                WindowColumns<double, float, SumOf2>},
                .line_mean_u32 = WindowLineMean<uint32_t>,
                .line_mean_f64 = WindowLineMean<double>,
            },
        .median =
            {
                .median3 = {MedianRows<uint8_t, 1>, MedianRows<uint16_t, 1>,
                            MedianRows<int32_t, 1>},
                .median5 = {MedianRows<uint8_t, 2>, MedianRows<uint16_t, 2>,
                            MedianRows<int32_t, 2>},
                .tile = MedianOfTile,
            },
        .neighbours =
            {
                .fold = {BallFold<uint8_t>, BallFold<uint16_t>, BallFold<float>},
                .ball = {BallRow<uint8_t>, BallRow<uint16_t>, BallRow<float>},
                .bilateral = BilateralRow,
                .blend_rows = BlendRows,
                .weigh_rows = WeighRows,
                .weigh_line = WeighLine,
            },
};

}  // namespace tilecast
