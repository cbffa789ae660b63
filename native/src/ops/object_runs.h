// SPDX-License-Identifier: MIT
// The runs of each object together, for measurements that take one object at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/label.h"

namespace tilecast {

// Memory is kept from plane to plane.
class ObjectRuns {
 public:
  // A counting sort: O(runs + count).
  void Group(const Objects& objects);
  // Indices into Objects::runs of one label (1..count), in raster order.
  std::span<const int32_t> of(int32_t label) const {
    const auto at = static_cast<size_t>(label);
    return {order_.data() + end_[at - 1], end_[at] - end_[at - 1]};
  }

 private:
  std::vector<size_t> end_;  // of each label's runs in order_; label 0 has none
  std::vector<int32_t> order_;
};

}  // namespace tilecast
