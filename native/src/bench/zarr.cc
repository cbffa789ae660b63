// SPDX-License-Identifier: MIT
// Measures writing Zarr planes; see zarr.h.
#include "bench/zarr.h"

#include <algorithm>
#include <memory>

#include "bench/rate.h"
#include "bench/scene.h"

namespace tilecast::bench {
namespace {

PlaneTarget Target(const std::string& folder, int thread, int plane, int64_t side) {
  return {folder + "/" + std::to_string(thread), std::to_string(plane), side, side};
}

}  // namespace

double MeasureZarrWrite(const std::string& folder, int64_t side, const ZarrEncoding& encoding,
                        uint64_t most_bytes, int threads, double seconds) {
  const uint64_t plane_bytes = 2 * static_cast<uint64_t>(side) * static_cast<uint64_t>(side);
  const auto share = most_bytes / static_cast<uint64_t>(std::max(threads, 1));
  const auto planes = static_cast<int>(
      std::clamp<uint64_t>(share / std::max<uint64_t>(plane_bytes, 1), 1, 100'000));
  return MeasureRate(threads, seconds, [&](int thread) -> Work {
    auto image = std::make_shared<OwnedPlane>(Nuclei(side));
    auto writer = std::make_shared<PlaneWriter>();
    return [&folder, &encoding, image, writer, thread, side, planes, plane = 0]() mutable {
      writer->Write(image->plane(), Target(folder, thread, plane, side), encoding);
      plane = (plane + 1) % planes;
      return static_cast<double>(side * side);
    };
  });
}

int64_t ZarrPlaneBytes(const std::string& folder, int64_t side, const ZarrEncoding& encoding) {
  const OwnedPlane image = Nuclei(side);
  PlaneWriter writer;
  return writer.Write(image.plane(), Target(folder, 0, 0, side), encoding);
}

}  // namespace tilecast::bench
