// SPDX-License-Identifier: MIT
// Crop, quarter turns, flips and resizing.
#include "ops/geometry.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

template <class T>
void Rearranged(Turn turn, const Plane& in, const Plane& out) {
  const bool across =
      turn == Turn::kRotate90 || turn == Turn::kRotate270 || turn == Turn::kTranspose;
  if (!across) {
    const bool rows = turn != Turn::kFlipColumns, columns = turn != Turn::kFlipRows;
    for (int64_t y = 0; y < in.height; ++y) {
      const T* const from = in.row<T>(y);
      T* const to = out.row<T>(rows ? in.height - 1 - y : y);
      if (columns) {
        std::reverse_copy(from, from + in.width, to);
      } else {
        std::copy(from, from + in.width, to);
      }
    }
    return;
  }
  // Squares, so that both the rows read and those written stay in the first-level cache.
  constexpr int64_t kSide = 32;
  for (int64_t y0 = 0; y0 < in.height; y0 += kSide) {
    for (int64_t x0 = 0; x0 < in.width; x0 += kSide) {
      const int64_t y1 = std::min(y0 + kSide, in.height), x1 = std::min(x0 + kSide, in.width);
      for (int64_t x = x0; x < x1; ++x) {
        T* const to = out.row<T>(turn == Turn::kRotate90 ? in.width - 1 - x : x);
        for (int64_t y = y0; y < y1; ++y)
          to[turn == Turn::kRotate270 ? in.height - 1 - y : y] = in.row<T>(y)[x];
      }
    }
  }
}

}  // namespace

void ResampleShares(Resampling method, int64_t in, int64_t out, std::vector<ResampleShare>& shares,
                    std::vector<double>& weights) {
  shares.clear();
  weights.clear();
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    ResampleShare share{0, 0, weights.size()};
    if (method == Resampling::kBilinear) {
      const double at = std::clamp((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0,
                                   static_cast<double>(in - 1));
      share.first = std::min(static_cast<int64_t>(at), in - 1);
      const double t = at - static_cast<double>(share.first);
      weights.push_back(1 - t);
      if (t > 0) weights.push_back(t);
    } else {
      const double low = static_cast<double>(i) * scale, high = static_cast<double>(i + 1) * scale;
      share.first = std::min(static_cast<int64_t>(low), in - 1);
      const int64_t end =
          std::clamp(static_cast<int64_t>(std::ceil(high - 1e-9)), share.first + 1, in);
      for (int64_t k = share.first; k < end; ++k) {
        const double covered =
            std::min(high, static_cast<double>(k + 1)) - std::max(low, static_cast<double>(k));
        weights.push_back(covered / scale);
      }
    }
    share.count = static_cast<int64_t>(weights.size() - share.weight);
    shares.push_back(share);
  }
}

void Crop(const Plane& in, int64_t y, int64_t x, const Plane& out) {
  RequireDType("crop", "the result", out, in.dtype);
  if (y < 0 || x < 0 || y + out.height > in.height || x + out.width > in.width) {
    throw Error(Code::kInvalidArgument,
                "crop: rows " + std::to_string(y) + ".." + std::to_string(y + out.height) +
                    " and columns " + std::to_string(x) + ".." + std::to_string(x + out.width) +
                    " must lie inside [" + std::to_string(in.height) + ", " +
                    std::to_string(in.width) + "]");
  }
  const auto size = static_cast<int64_t>(DTypeSize(in.dtype));
  for (int64_t row = 0; row < out.height && out.width > 0; ++row)
    std::memcpy(out.row<std::byte>(row), in.row<std::byte>(y + row) + x * size,
                static_cast<size_t>(out.row_bytes()));
}

void Rearrange(Turn turn, const Plane& in, const Plane& out) {
  RequireDType("rearrange", "the result", out, in.dtype);
  const bool across =
      turn == Turn::kRotate90 || turn == Turn::kRotate270 || turn == Turn::kTranspose;
  RequireShape("rearrange", "the result", out, across ? in.width : in.height,
               across ? in.height : in.width);
  switch (DTypeSize(in.dtype)) {
    case 1:
      return Rearranged<uint8_t>(turn, in, out);
    case 2:
      return Rearranged<uint16_t>(turn, in, out);
    case 4:
      return Rearranged<uint32_t>(turn, in, out);
    default:
      return Rearranged<uint64_t>(turn, in, out);
  }
}

void Resize(Resampling method, const Plane& in, const Plane& out) {
  if (out.height == 0 || out.width == 0) return;
  RequirePixels("resize", in);
  thread_local std::vector<ResampleShare> down, along;
  thread_local std::vector<double> down_weights, along_weights, line, sum, result;
  ResampleShares(method, in.height, out.height, down, down_weights);
  ResampleShares(method, in.width, out.width, along, along_weights);
  const auto load = Kernels().scale_to_f64[static_cast<int>(in.dtype)];
  const auto store = Kernels().from_f64[static_cast<int>(out.dtype)];
  line.resize(static_cast<size_t>(in.width));
  result.resize(static_cast<size_t>(out.width));
  for (int64_t y = 0; y < out.height; ++y) {
    const ResampleShare& rows = down[static_cast<size_t>(y)];
    sum.assign(static_cast<size_t>(in.width), 0);
    for (int64_t k = 0; k < rows.count; ++k) {
      load(in.row<std::byte>(rows.first + k), down_weights[rows.weight + static_cast<size_t>(k)], 0,
           line.data(), in.width);
      double* const s = sum.data();
      const double* const v = line.data();
      for (int64_t x = 0; x < in.width; ++x) s[x] += v[x];
    }
    for (int64_t x = 0; x < out.width; ++x) {
      const ResampleShare& share = along[static_cast<size_t>(x)];
      double total = 0;
      for (int64_t k = 0; k < share.count; ++k)
        total += sum[static_cast<size_t>(share.first + k)] *
                 along_weights[share.weight + static_cast<size_t>(k)];
      result[static_cast<size_t>(x)] = total;
    }
    store(result.data(), out.row<std::byte>(y), out.width);
  }
}

}  // namespace tilecast
