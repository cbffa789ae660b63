// SPDX-License-Identifier: MIT
// The picture that measurements work on: nuclei on an uneven, noisy background, as a camera gives
// it.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast::bench {

// A plane with memory of its own, which begins on a cache line.
class OwnedPlane {
 public:
  OwnedPlane(DType dtype, int64_t height, int64_t width);
  const Plane& plane() const { return plane_; }

 private:
  std::vector<std::byte> memory_;
  Plane plane_;
};

// uint16, side x side. Nuclei of about 20 px, one in 3500 px: the density and brightness of a
// typical field at 10x. The noise is a camera's (variance = signal), which decides how well
// microscope images compress. Equal seeds give equal pixels on one machine.
OwnedPlane Nuclei(int64_t side, uint32_t seed = 7);

}  // namespace tilecast::bench
