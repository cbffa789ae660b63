// SPDX-License-Identifier: MIT
// Halving of planes on their way into a file.
#include "exec/tiff_pyramid.h"

#include <algorithm>
#include <vector>

#include "ops/resample.h"

namespace tilecast {

int PyramidLevels(int64_t height, int64_t width, int64_t side) {
  int levels = 1;
  for (; std::max(height, width) > std::max<int64_t>(side, 1); ++levels) {
    height = HalfSize(height);
    width = HalfSize(width);
  }
  return levels;
}

void WritePyramid(TiffWriter& writer, const Plane& plane, int levels, const TiffPageText& text,
                  int threads, RawBuffer& scratch) {
  levels = std::clamp(levels, 1, PyramidLevels(plane.height, plane.width, 1));
  std::vector<Plane> planes{plane};
  // Each level begins on a cache line.
  const auto bytes_of = [](const Plane& p) {
    return (static_cast<size_t>(p.bytes()) + 63) / 64 * 64;
  };
  size_t bytes = 0;
  for (int i = 1; i < levels; ++i) {
    planes.push_back(PackedPlane(nullptr, plane.dtype, HalfSize(planes.back().height),
                                 HalfSize(planes.back().width)));
    bytes += bytes_of(planes.back());
  }
  auto* at = reinterpret_cast<std::byte*>(scratch.Ensure(bytes));
  for (int i = 1; i < levels; ++i) {
    planes[i].data = at;
    at += bytes_of(planes[i]);
    HalveMean(planes[i - 1], planes[i]);
  }
  writer.WritePage(planes, text, threads);
}

}  // namespace tilecast
