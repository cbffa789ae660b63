// SPDX-License-Identifier: MIT
// Skeletons of binary images by thinning.
#pragma once

#include "image.h"

namespace tilecast {

// out(uint8) = 1 on the skeleton of mask(uint8, not 0 is foreground), else 0: parallel thinning by
// Zhang and Suen (Comm. ACM 27(3), 1984), two alternating passes until nothing changes, in the
// variant of skimage.morphology.skeletonize, which also takes corners off and keeps diagonal pairs:
// equal to it pixel by pixel. Outside the image is background. out may be the mask's own memory.
//
// Cost: one look per pixel at the edge of what is left of an object, so that it follows the area of
// the objects rather than the image and the number of passes. Scratch: a bit a pixel, twice.
void Skeletonize(const Plane& mask, const Plane& out);

}  // namespace tilecast
