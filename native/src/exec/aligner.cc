// SPDX-License-Identifier: MIT
// The thread that brings a pair's second image matches the pair.
#include "exec/aligner.h"

#include <string>

#include "error.h"

namespace tilecast {

Aligner::Aligner(int64_t height, int64_t width, int images, std::vector<AlignPair> pairs,
                 double reach, int upsample)
    : height_(height),
      width_(width),
      reach_(reach),
      upsample_(upsample),
      of_(static_cast<size_t>(images)) {
  pairs_.resize(pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) {
    const AlignPair& p = pairs[i];
    if (p.first < 0 || p.second < 0 || p.first >= images || p.second >= images ||
        p.first == p.second) {
      throw Error(Code::kInvalidArgument,
                  "pair " + std::to_string(i) + " is of images " + std::to_string(p.first) +
                      " and " + std::to_string(p.second) + " of " + std::to_string(images));
    }
    pairs_[i].expected = p;
    pairs_[i].windows = WindowsOf(height, width, p.y, p.x, reach);
    if (pairs_[i].windows.height == 0) continue;
    of_[static_cast<size_t>(p.first)].push_back(i);
    of_[static_cast<size_t>(p.second)].push_back(i);
  }
}

void Aligner::Add(int index, const Plane& image) {
  if (image.height != height_ || image.width != width_) {
    throw Error(Code::kOpShape, "images to be aligned are " + std::to_string(width_) + " x " +
                                    std::to_string(height_) + " px, and one has " +
                                    std::to_string(image.width) + " x " +
                                    std::to_string(image.height));
  }
  for (const size_t at : of_.at(static_cast<size_t>(index))) {
    Pair& pair = pairs_[at];
    const PairWindows& w = pair.windows;
    const bool first = pair.expected.first == index;
    const auto plane = [&](std::vector<float>& memory) {
      return PackedPlane(memory.data(), DType::kF32, w.height, w.width);
    };
    std::vector<float>& mine = first ? pair.first : pair.second;
    mine.resize(static_cast<size_t>(w.height * w.width));
    FilterWindow(image, first ? w.first_y : w.second_y, first ? w.first_x : w.second_x,
                 plane(mine));
    {
      const std::lock_guard lock(mutex_);
      (first ? pair.has_first : pair.has_second) = true;
      if (!pair.has_first || !pair.has_second) continue;
    }
    static thread_local PairMatcher matcher;
    const double y = pair.expected.y - static_cast<double>(w.first_y - w.second_y);
    const double x = pair.expected.x - static_cast<double>(w.first_x - w.second_x);
    PairMatch match = matcher.Match(plane(pair.first), plane(pair.second), y, x, reach_, upsample_);
    match.y += static_cast<double>(w.first_y - w.second_y);
    match.x += static_cast<double>(w.first_x - w.second_x);
    pair.match = match;
    pair.first = {};
    pair.second = {};
  }
}

std::vector<PairMatch> Aligner::Finish() {
  std::vector<PairMatch> out;
  out.reserve(pairs_.size());
  for (const Pair& pair : pairs_) out.push_back(pair.match);
  pairs_.clear();
  return out;
}

}  // namespace tilecast
