// SPDX-License-Identifier: MIT
// Priority flood from markers, and the splitting of touching objects by it.
#include <algorithm>
#include <cstring>
#include <queue>
#include <string>
#include <vector>

#include "ops/check.h"
#include "ops/distance.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

struct Front {
  uint64_t order;  // key of the value, then arrival
  int64_t at;
  bool operator<(const Front& other) const { return order > other.order; }  // least first
};

}  // namespace

void Watershed(const Plane& in, const Plane* mask, bool diagonal, const Plane& labels) {
  RequireDType("watershed", "the image", in, DType::kF32);
  RequireDType("watershed", "the labels", labels, DType::kI32);
  RequireShape("watershed", "the labels", labels, in.height, in.width);
  if (mask != nullptr) {
    RequireDType("watershed", "the mask", *mask, DType::kU8);
    RequireShape("watershed", "the mask", *mask, in.height, in.width);
  }
  const int64_t height = in.height, width = in.width;
  if (height == 0 || width == 0) return;
  if (height * width >= int64_t{UINT32_MAX})
    throw Error(Code::kOpShape, "watershed: an image must have fewer than 4294967295 px");
  // A frame of pixels that are taken already, so that no neighbour needs a test for the edge.
  const int64_t stride = width + 2;
  thread_local std::vector<int32_t> keys, owner;
  keys.resize(static_cast<size_t>((height + 2) * stride));
  owner.assign(keys.size(), -1);
  thread_local std::vector<Front> heap;
  heap.clear();
  auto order = [&](int64_t at, uint32_t age) {
    return static_cast<uint64_t>(static_cast<uint32_t>(keys[static_cast<size_t>(at)]) ^ 0x80000000u)
               << 32 |
           age;
  };
  const auto to_key = Kernels().windows.to_key[static_cast<int>(DType::kF32)];
  for (int64_t y = 0; y < height; ++y) {
    const int64_t first = (y + 1) * stride + 1;
    to_key(in.row<float>(y), keys.data() + first, width);
    const int32_t* const marks = labels.row<int32_t>(y);
    const uint8_t* const allowed = mask != nullptr ? mask->row<uint8_t>(y) : nullptr;
    for (int64_t x = 0; x < width; ++x) {
      // -1 is taken for good, 0 is free.
      if (allowed != nullptr && allowed[x] == 0) continue;
      owner[static_cast<size_t>(first + x)] = marks[x];
    }
  }
  uint32_t age = 0;
  for (int64_t at = stride; at < (height + 1) * stride; ++at) {
    const int64_t x = at % stride;
    if (x == 0 || x == stride - 1 || owner[static_cast<size_t>(at)] <= 0) continue;
    heap.push_back({order(at, age++), at});
  }
  std::make_heap(heap.begin(), heap.end());
  const int64_t steps[] = {-stride,     -1,          1,          stride,
                           -stride - 1, -stride + 1, stride - 1, stride + 1};
  const int count = diagonal ? 8 : 4;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const int64_t at = heap.back().at;
    heap.pop_back();
    const int32_t label = owner[static_cast<size_t>(at)];
    for (int i = 0; i < count; ++i) {
      const int64_t next = at + steps[i];
      if (owner[static_cast<size_t>(next)] != 0) continue;
      owner[static_cast<size_t>(next)] = label;
      heap.push_back({order(next, age++), next});
      std::push_heap(heap.begin(), heap.end());
    }
  }
  for (int64_t y = 0; y < height; ++y) {
    const int32_t* const from = owner.data() + (y + 1) * stride + 1;
    int32_t* const to = labels.row<int32_t>(y);
    for (int64_t x = 0; x < width; ++x) to[x] = std::max(from[x], 0);
  }
}

int32_t SplitObjects(const Plane& mask, int64_t distance, const Plane& out) {
  RequireDType("splitObjects", "the mask", mask, DType::kU8);
  RequireDType("splitObjects", "the result", out, DType::kI32);
  RequireShape("splitObjects", "the result", out, mask.height, mask.width);
  const int64_t height = mask.height, width = mask.width;
  if (height == 0 || width == 0) return 0;
  thread_local std::vector<float> memory;
  thread_local std::vector<uint8_t> marks;
  thread_local std::vector<Peak> peaks;
  thread_local Objects objects, seeds;
  memory.resize(static_cast<size_t>(height * width));
  const Plane depth = PackedPlane(memory.data(), DType::kF32, height, width);
  DistanceTransform(mask, depth);
  FindPeaks(depth, distance, 0, 0, peaks);
  marks.assign(static_cast<size_t>(height * width), 0);
  for (const Peak& p : peaks) marks[static_cast<size_t>(p.y * width + p.x)] = 1;
  LabelRuns(mask, 0, {}, objects);
  struct Deepest {
    int64_t at = 0;
    float value = -1;
    bool marked = false;
  };
  thread_local std::vector<Deepest> deepest;
  deepest.assign(static_cast<size_t>(objects.count) + 1, {});
  for (const Run& run : objects.runs) {
    Deepest& d = deepest[static_cast<size_t>(run.label)];
    const float* const row = depth.row<float>(run.y);
    for (int64_t x = run.x0; x < run.x1; ++x) {
      if (row[x] > d.value) {
        d.value = row[x];
        d.at = run.y * width + x;
      }
      d.marked |= marks[static_cast<size_t>(run.y * width + x)] != 0;
    }
  }
  for (size_t i = 1; i < deepest.size(); ++i) {
    if (!deepest[i].marked) marks[static_cast<size_t>(deepest[i].at)] = 1;
  }
  LabelRuns(PackedPlane(marks.data(), DType::kU8, height, width), 0, {}, seeds);
  PaintLabels(seeds, out);
  for (float& v : memory) v = -v;
  Watershed(depth, &mask, true, out);
  // Numbers in raster order of first pixels.
  thread_local std::vector<int32_t> number;
  number.assign(static_cast<size_t>(seeds.count) + 1, 0);
  int32_t count = 0;
  for (int64_t y = 0; y < height; ++y) {
    int32_t* const row = out.row<int32_t>(y);
    for (int64_t x = 0; x < width; ++x) {
      if (row[x] == 0) continue;
      int32_t& n = number[static_cast<size_t>(row[x])];
      if (n == 0) n = ++count;
      row[x] = n;
    }
  }
  return count;
}

}  // namespace tilecast
