// SPDX-License-Identifier: MIT
// Groups runs by their label.
#include "ops/object_runs.h"

namespace tilecast {

void ObjectRuns::Group(const Objects& objects) {
  end_.assign(static_cast<size_t>(objects.count) + 2, 0);
  for (const Run& run : objects.runs) ++end_[static_cast<size_t>(run.label) + 1];
  for (size_t i = 1; i < end_.size(); ++i) end_[i] += end_[i - 1];
  order_.resize(objects.runs.size());
  // end_[label] is where the label's runs start and moves on as they are placed.
  for (size_t i = 0; i < objects.runs.size(); ++i) {
    order_[end_[static_cast<size_t>(objects.runs[i].label)]++] = static_cast<int32_t>(i);
  }
}

}  // namespace tilecast
