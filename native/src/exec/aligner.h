// SPDX-License-Identifier: MIT
// Collects overlapping images from several threads and matches each pair as soon as both are there.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "image.h"
#include "ops/pair_match.h"

namespace tilecast {

// Two images of an aligner, and where the second is expected to lie in the first, px.
struct AlignPair {
  int first = 0, second = 0;
  double y = 0, x = 0;
};

// Only the windows of pairs whose other image is still to come are kept, as float32.
class Aligner {
 public:
  // Images of height x width px. Each pair is looked for within `reach` px of where it is expected,
  // to 1 / upsample px. kInvalidArgument for a pair of images that there are not.
  Aligner(int64_t height, int64_t width, int images, std::vector<AlignPair> pairs, double reach,
          int upsample);

  // Thread-safe for distinct indexes, each once. kOpShape for an image of another size.
  void Add(int index, const Plane& image);
  // As the pairs; not found where an image was never added or too little overlaps.
  std::vector<PairMatch> Finish();

 private:
  struct Pair {
    AlignPair expected;
    PairWindows windows;
    std::vector<float> first, second;  // filtered windows, until both are there
    bool has_first = false, has_second = false;
    PairMatch match;
  };

  int64_t height_, width_;
  double reach_;
  int upsample_;
  std::mutex mutex_;
  std::vector<Pair> pairs_;
  std::vector<std::vector<size_t>> of_;  // by image: its pairs
};

}  // namespace tilecast
