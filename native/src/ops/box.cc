// SPDX-License-Identifier: MIT
// The box mean: sums of columns, then along rows, by parts that are never subtracted again.
#include <algorithm>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"
#include "ops/rank.h"
#include "ops/reflect.h"

namespace tilecast {

void BoxMean(const Plane& in, int64_t height, int64_t width, const Plane& out) {
  RequireDType("boxMean", "the result", out, DType::kF32);
  RequireShape("boxMean", "the result", out, in.height, in.width);
  constexpr int64_t kMost = 65535;
  if (height < 1 || width < 1 || height > kMost || width > kMost) {
    throw Error(Code::kInvalidArgument, "boxMean: the sides must be within 1..65535 px, got " +
                                            std::to_string(height) + " x " + std::to_string(width));
  }
  if (in.height == 0 || in.width == 0) return;
  struct Scratch {
    std::vector<float> image;
    std::vector<const void*> rows;
    std::vector<std::byte> columns, sums, line, more;
  };
  thread_local Scratch scratch;
  const WindowKernels& kernels = Kernels().windows;
  // uint32 sums hold as long as the greatest pixel allows.
  const int64_t greatest = in.dtype == DType::kU8 ? 255 : 65535;
  const bool exact = (in.dtype == DType::kU8 || in.dtype == DType::kU16) &&
                     height * width <= int64_t{UINT32_MAX} / greatest;
  Plane source = in;
  if (!exact && in.dtype != DType::kF32) {
    scratch.image.resize(static_cast<size_t>(in.pixels()));
    source = PackedPlane(scratch.image.data(), DType::kF32, in.height, in.width);
    const auto to_f32 = Kernels().to_f32[static_cast<int>(in.dtype)];
    for (int64_t y = 0; y < in.height; ++y)
      to_f32(in.row<std::byte>(y), source.row<float>(y), in.width);
  }
  const int kind = !exact ? kKeyI32 : in.dtype == DType::kU8 ? kKeyU8 : kKeyU16;
  const int64_t size = exact ? 4 : 8, stride = (in.width * size + 63) / 64 * 64;
  const int64_t before_y = height / 2, before_x = width / 2;
  scratch.rows.resize(static_cast<size_t>(in.height + height - 1));
  for (size_t i = 0; i < scratch.rows.size(); ++i)
    scratch.rows[i] = source.row<std::byte>(Reflect(static_cast<int64_t>(i) - before_y, in.height));
  const int64_t chunk = (std::max<int64_t>(1, (128 << 10) / stride) + height - 1) / height * height;
  scratch.columns.resize(static_cast<size_t>(height * kWindowScratch));
  scratch.sums.resize(static_cast<size_t>(std::min(chunk, in.height) * stride));
  const int64_t length = in.width + width - 1;
  scratch.line.resize(static_cast<size_t>(length * size + kLineSlack));
  scratch.more.resize(static_cast<size_t>(in.width * size + kLineSlack));
  const double pixels = static_cast<double>(height * width);
  for (int64_t y = 0; y < in.height; y += chunk) {
    const int64_t count = std::min(chunk, in.height - y);
    kernels.columns_sum[kind](scratch.rows.data() + y, count, height, scratch.sums.data(), stride,
                              in.width, scratch.columns.data());
    for (int64_t i = 0; i < count; ++i) {
      const std::byte* sums = scratch.sums.data() + i * stride;
      std::byte* const line = scratch.line.data();
      if (exact) {
        CopyReflected(reinterpret_cast<const uint32_t*>(sums), in.width, -before_x, length,
                      reinterpret_cast<uint32_t*>(line));
        kernels.line_mean_u32(line, scratch.more.data(), in.width, width, pixels,
                              out.row<float>(y + i));
      } else {
        CopyReflected(reinterpret_cast<const double*>(sums), in.width, -before_x, length,
                      reinterpret_cast<double*>(line));
        kernels.line_mean_f64(line, scratch.more.data(), in.width, width, pixels,
                              out.row<float>(y + i));
      }
    }
  }
}

}  // namespace tilecast
