// SPDX-License-Identifier: MIT
// Geometry: crop, quarter turns and flips, resizing. Halving and block means are in resample.h.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "image.h"

namespace tilecast {

// out(dtype of in) = in[y .. y + out.height, x .. x + out.width], which must lie inside
// (kInvalidArgument).
void Crop(const Plane& in, int64_t y, int64_t x, const Plane& out);

// numpy.rot90(in, k): quarter turns counter-clockwise; numpy.flipud, fliplr and transpose.
enum class Turn : uint8_t {
  kRotate90,
  kRotate180,
  kRotate270,
  kFlipRows,
  kFlipColumns,
  kTranspose
};

// out(dtype of in), [width, height] for kRotate90, kRotate270 and kTranspose. No overlap.
void Rearrange(Turn turn, const Plane& in, const Plane& out);

enum class Resampling : uint8_t {
  kBilinear,  // skimage.transform.resize(in, shape, order=1, mode="edge", anti_aliasing=False):
              // pixel centres at (i + 0.5) * scale - 0.5, held at the edges; cv2 INTER_LINEAR
  kArea,      // the mean of the area that an output pixel covers: cv2 INTER_AREA when shrinking
              // (and where it enlarges, the nearest pixels' overlap, unlike cv2)
};

// out = in resampled to out's shape: columns, then rows, in float64 with weights in float64;
// integers rounded half to even, float32 rounded once. Any dtype in, any dtype out. Every CPU gives
// the same bits. An empty `in` with a non-empty `out`: kInvalidArgument.
void Resize(Resampling method, const Plane& in, const Plane& out);

// What an output pixel takes from along one side: `count` source pixels from `first`, with weights
// from `weight` on.
struct ResampleShare {
  int64_t first, count;
  size_t weight;
};
// For output pixels first..first + n of a side of `out` pixels that comes from `in` pixels.
void ResampleShares(Resampling method, int64_t in, int64_t out, int64_t first, int64_t n,
                    std::vector<ResampleShare>& shares, std::vector<double>& weights);

// Where a part lies: the whole image's size, and the part's first pixel in it.
struct PartPlace {
  int64_t height = 0, width = 0, y = 0, x = 0;
};

// Resize of an image of which `in` holds what a part of the result comes from, into that part.
void ResizePart(Resampling method, const Plane& in, const PartPlace& in_place, const Plane& out,
                const PartPlace& out_place);

// Along one axis, the input pixels [first, second) that output pixels first..first + count come
// from.
std::pair<int64_t, int64_t> ResizeSource(Resampling method, int64_t in, int64_t out, int64_t first,
                                         int64_t count);

}  // namespace tilecast
