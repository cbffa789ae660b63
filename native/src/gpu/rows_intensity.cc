// SPDX-License-Identifier: MIT
// GPU rows of the intensity ops: expressions of one pixel. What needs the plane first is in
// levels.cc.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "gpu/gpu_rows.h"
#include "gpu/levels.h"
#include "ops/intensity.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

constexpr DTypeSet kIn24Bits = kUpTo16 | DTypes({DType::kF32});

bool Signed(DType d) {
  return d == DType::kI8 || d == DType::kI16 || d == DType::kI32;
}

// Bits of an integer dtype's least and greatest value, as saturated() of point.wgsl wants them.
std::string Limits(DType d) {
  const unsigned bits = 8 * static_cast<unsigned>(DTypeSize(d));
  const uint32_t half = uint32_t{1} << (bits - 1);
  const std::string least = Signed(d) ? std::to_string(half) + "u" : "0u";
  const uint32_t greatest = Signed(d) ? half - 1 : half - 1 + half;
  return least + ", " + std::to_string(greatest) + "u";
}

// An integer, given by expressions of its magnitude and of whether it is negative, as one.
std::string StoredInteger(DType out, const std::string& magnitude, const std::string& negative) {
  const std::string bits = "saturated(" + magnitude + ", " + negative + ", " + Limits(out) + ")";
  return Signed(out) ? "bitcast<i32>(" + bits + ")" : bits;
}

std::string Magnitude(DType d, const std::string& v) {
  return (Signed(d) ? "magnitude_i(" : "magnitude_u(") + v + ")";
}

std::string Negative(DType d, const std::string& v) {
  return Signed(d) ? "(" + v + " < 0)" : "false";
}

bool Float32Holds(double value) {
  return static_cast<double>(static_cast<float>(value)) == value;
}

bool Whole(double value, double most) {
  return value == std::trunc(value) && std::abs(value) <= most;
}

std::optional<std::string> Refuse32Bits(DType in, PlaneShape, const OpArguments&) {
  if (in != DType::kU32 && in != DType::kI32) return std::nullopt;
  return std::string(DTypeName(in)) + ": float32 does not hold its values";
}

constexpr const char* kOperators[] = {" + ", " - ", " * ", " / "};

std::string Calculated(Arithmetic op, const std::string& a, const std::string& b) {
  if (op == Arithmetic::kDivide) return "quotient(" + a + ", " + b + ")";
  return a + kOperators[static_cast<int>(op)] + b;
}

// Two integers of at most 16 bits: exact in 32.
std::string CalculatedIntegers(Arithmetic op, DType a, DType b, DType out) {
  if (op <= Arithmetic::kSubtract) {
    const std::string sum = std::string("(i32(v)") + kOperators[static_cast<int>(op)] + "i32(o))";
    return StoredInteger(out, "magnitude_i(" + sum + ")", "(" + sum + " < 0)");
  }
  const std::string va = Magnitude(a, "v"), vb = Magnitude(b, "o");
  const std::string magnitude =
      op == Arithmetic::kMultiply ? va + " * " + vb : "rounded_quotient(" + va + ", " + vb + ")";
  return StoredInteger(out, magnitude, Negative(a, "v") + " != " + Negative(b, "o"));
}

template <Arithmetic op>
PointCode ArithmeticCode(DType in, const OpArguments& a, std::optional<DType> other) {
  const DType out = a.dtype("dtype");
  if (other) {
    if (!IsFloat(in) && !IsFloat(*other) && !IsFloat(out)) {
      return PointCode{CalculatedIntegers(op, in, *other, out), {}, true};
    }
    return PointCode{StoredText(out, Calculated(op, "f32(v)", "f32(o)")), {}};
  }
  if (!a.has("value")) {
    throw Error(Code::kInvalidArgument, "arithmetic needs a value or a second image");
  }
  const double value = a.number("value");
  // Sums and products of two float32 that float64 rounds first are the same rounded once.
  bool exact = op != Arithmetic::kDivide && Float32Holds(value);
  if (!IsFloat(out)) exact = exact && Whole(value, op == Arithmetic::kMultiply ? 255 : 1 << 23);
  return PointCode{StoredText(out, Calculated(op, "f32(v)", "x_value")),
                   {B::F32("value", static_cast<float>(value))},
                   exact};
}

template <Arithmetic op>
GpuRow ArithmeticGpuRow(std::string_view name) {
  return {
      .name = name,
      .others = kIn24Bits,
      .refuses = [](DType in, PlaneShape shape,
                    const OpArguments& a) { return Refuse32Bits(in, shape, a); },
      .point = ArithmeticCode<op>,
  };
}

PointCode Converted(DType in, DType out) {
  if (IsFloat(in)) return PointCode{StoredText(out, "v"), {}, true};
  if (IsFloat(out)) return PointCode{FloatText(in), {}, true};
  return PointCode{StoredInteger(out, Magnitude(in, "v"), Negative(in, "v")), {}, true};
}

bool Identity(const OpArguments& a) {
  return a.number("scale") == 1 && a.number("offset") == 0;
}

PointCode RescaleCode(DType in, const OpArguments& a, std::optional<DType>) {
  const DType out = a.dtype("dtype");
  if (Identity(a)) return Converted(in, out);
  return PointCode{StoredText(out, "f32(v) * x_scale + x_offset"),
                   {B::F32("scale", static_cast<float>(a.number("scale"))),
                    B::F32("offset", static_cast<float>(a.number("offset")))}};
}

// `value` as a pixel of an integer dtype.
int64_t Held(double value, DType d) {
  return Visit(d, [&](auto zero) -> int64_t {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>) {
      const auto least = static_cast<double>(std::numeric_limits<T>::min());
      const auto greatest = static_cast<double>(std::numeric_limits<T>::max());
      return static_cast<int64_t>(std::nearbyint(std::clamp(value, least, greatest)));
    } else {
      return 0;
    }
  });
}

PointCode ClipCode(DType in, const OpArguments& a, std::optional<DType>) {
  const double low = a.number("low"), high = a.number("high");
  if (IsFloat(in)) {
    return PointCode{
        "held(v, x_low, x_high)",
        {B::F32("low", static_cast<float>(low)), B::F32("high", static_cast<float>(high))},
        true};
  }
  const bool sign = Signed(in);
  const auto constant = [&](std::string_view name, double value) {
    return sign ? B::I32(name, Held(value, in)) : B::U32(name, Held(value, in));
  };
  return PointCode{"clamp(v, x_low, x_high)", {constant("low", low), constant("high", high)}, true};
}

PointCode GammaCode(DType, const OpArguments& a, std::optional<DType>) {
  const double gamma = a.number("gamma");
  std::vector<B::Param> constants = {B::F32("gain", static_cast<float>(a.number("gain"))),
                                     B::F32("gamma", static_cast<float>(gamma))};
  if (gamma == 0) return PointCode{"x_gain", {constants[0]}};
  if (gamma == 1) return PointCode{"x_gain * v", {constants[0]}};
  if (gamma == 2) return PointCode{"x_gain * (v * v)", {constants[0]}};
  std::string power = "power(v, x_gamma)";
  if (gamma != std::trunc(gamma)) {  // of a negative pixel NaN, as the C library says
    power = "select(" + power + ", not_a_number(), v < 0 && v > -infinity())";
  } else if (std::fmod(gamma, 2) == 1) {
    power = "select(" + power + ", -" + power + ", v < 0)";
  }
  return PointCode{"x_gain * " + power, std::move(constants)};
}

PointCode InvertCode(DType in, const OpArguments&, std::optional<DType>) {
  if (IsFloat(in)) return PointCode{"1 - v", {}, true};
  if (Signed(in)) return PointCode{"~v", {}, true};
  const uint32_t greatest = 0xffffffffu >> (32 - 8 * DTypeSize(in));
  return PointCode{std::to_string(greatest) + "u - v", {}, true};
}

}  // namespace

std::vector<GpuRow> GpuIntensityRows() {
  std::vector<GpuRow> rows = {
      ArithmeticGpuRow<Arithmetic::kAdd>("add"),
      ArithmeticGpuRow<Arithmetic::kSubtract>("subtract"),
      ArithmeticGpuRow<Arithmetic::kMultiply>("multiply"),
      ArithmeticGpuRow<Arithmetic::kDivide>("divide"),
      {.name = "convert",
       .point = [](DType in, const OpArguments& a,
                   std::optional<DType>) { return Converted(in, a.dtype("dtype")); }},
      {.name = "rescale",
       .refuses = [](DType in, PlaneShape shape,
                     const OpArguments& a) -> std::optional<std::string> {
         if (Identity(a)) return std::nullopt;
         return Refuse32Bits(in, shape, a);
       },
       .point = RescaleCode},
      {.name = "clip",
       // The CPU refuses such limits.
       .refuses = [](DType, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         if (a.number("low") <= a.number("high")) return std::nullopt;
         return "its limits are not in order";
       },
       .point = ClipCode},
      {.name = "gamma",
       .refuses = [](DType in, PlaneShape shape,
                     const OpArguments& a) -> std::optional<std::string> {
         const double gamma = a.number("gamma");
         if (!(gamma >= 0) || !std::isfinite(gamma)) return "its exponent is not finite and from 0";
         return Refuse32Bits(in, shape, a);
       },
       .point = GammaCode},
      {.name = "invert", .point = InvertCode},
      {.name = "anscombe",
       .point = [](DType in, const OpArguments&, std::optional<DType>) -> PointCode {
         return PointCode{"2 * sqrt(held(" + FloatText(in) + ", 0, infinity()) + 0.375)"};
       }},
      {.name = "flatField",
       .others = DTypes({DType::kF32}),
       .point = [](DType in, const OpArguments& a, std::optional<DType>) -> PointCode {
         const auto background = static_cast<float>(a.number("background"));
         return PointCode{"quotient(" + FloatText(in) + " - x_background, o)",
                          {B::F32("background", background)}};
       }},
  };
  for (GpuRow& row : GpuLevelRows()) rows.push_back(row);
  return rows;
}

}  // namespace tilecast::gpu
