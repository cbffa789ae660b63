// SPDX-License-Identifier: MIT
// Finds how two overlapping images lie to each other, and how far from chance what it found is.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"
#include "ops/phase_correlation.h"

namespace tilecast {

// Where the second image's first pixel lies in the first image, px.
struct PairMatch {
  bool found = false;
  double y = 0, x = 0;
  // Pearson's correlation of the two where they overlap, after the filter, at the nearest pixel.
  double score = 0;
  // The score that would be as strong as the best of the second image's mirror images.
  double chance = 0;
};

// The parts of two images of height x width px that can show the same when the second lies within
// `reach` px of (y, x) in the first: windows of one size, of fast lengths for the transform. Empty
// (height 0) where too little overlaps to tell.
struct PairWindows {
  int64_t height = 0, width = 0;
  int64_t first_y = 0, first_x = 0, second_y = 0, second_x = 0;
};
PairWindows WindowsOf(int64_t height, int64_t width, double y, double x, double reach);

// Matches windows that have been filtered (FilterWindow). Memory is kept for the next pair.
//
// The shift is looked for within `reach` px of (y, x), by the five highest local peaks of the
// cross-correlation of the tapered windows; each is judged by Pearson's correlation r of the pixels
// that overlap, as in Preibisch et al., Bioinformatics 25(11), 2009; its strength is
// atanh(r) sqrt(overlap). The best is refined on its exact overlap (PhaseCorrelator::Refine). The
// same search with the second image mirrored (rows, columns, both) tells what images of this kind
// reach by chance.
class PairMatcher {
 public:
  PairMatch Match(const Plane& first, const Plane& second, double y, double x, double reach,
                  int upsample);

 private:
  struct Peak {
    int64_t y = 0, x = 0;
    double score = 0, strength = 0;
  };
  Peak Best(const Plane& first, const Plane& second, PhaseCorrelator::Mirror mirror, double y,
            double x, double reach);

  PhaseCorrelator correlator_, fine_;
  std::vector<float> mirrored_;
};

// out(float32) = the window of `in` at (y, x), of out's size, filtered for registration: Laplacian
// of Gaussian, sigma 1.5 px. It leaves edges and texture, and nothing of uneven illumination.
void FilterWindow(const Plane& in, int64_t y, int64_t x, const Plane& out);

// Pearson's correlation of float32 images of one size; 0 where one is constant.
double Correlation(const Plane& a, const Plane& b);

}  // namespace tilecast
