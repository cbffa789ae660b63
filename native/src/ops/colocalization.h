// SPDX-License-Identifier: MIT
// How far two channels lie in the same places: in each object, and over a plane.
#pragma once

#include <vector>

#include "image.h"
#include "ops/label.h"

namespace tilecast {

// Over the pixels (a, b) of an object:
// pearson: sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 sum (b - mean b)^2);
// overlap: sum a b / sqrt(sum a^2 sum b^2);
// manders1: sum of a where b > t / sum of a, t = `percent` of the object's greatest b; manders2 the
// other way round (Manders, Verbeek, Aten, J. Microscopy 169(3), 1993, who take every b > 0;
// CellProfiler takes 15 %). As skimage.measure.pearson_corr_coeff, manders_overlap_coeff and
// manders_coloc_coeff, in float64. NaN where it is 0 / 0, or a pixel is NaN.
struct ColocalizationRow {
  double pearson, overlap, manders1, manders2;
};

// One row per label; both images of the objects' shape (kOpShape), any dtypes. 0 <= percent < 100
// (kInvalidArgument).
void MeasureColocalization(const Objects& objects, const Plane& a, const Plane& b, double percent,
                           std::vector<ColocalizationRow>& rows);
// Over all pixels.
ColocalizationRow Colocalization(const Plane& a, const Plane& b, double percent);

}  // namespace tilecast
