// SPDX-License-Identifier: MIT
// Applies ops by name: one to a whole plane, or a chain of point-wise ones block of rows by block
// of rows.
#include <algorithm>
#include <chrono>

#include "exec/worker.h"

namespace tilecast {
namespace {

using Clock = std::chrono::steady_clock;

// Of a tile between two ops of a chain: two of them, and the rows that they come from and go to,
// stay in half a megabyte of second-level cache.
constexpr int64_t kStripBytes = int64_t{96} << 10;

Plane Rows(const Plane& p, int64_t y, int64_t count) {
  return {p.data + y * p.stride, p.dtype, count, p.width, p.stride};
}

}  // namespace

void Executor::Worker::Apply(size_t first, size_t last) {
  const std::vector<Instruction>& code = program_->code;
  struct Link {
    OpArguments arguments;
    std::vector<Plane> others;
    DType result = DType::kU8;
  };
  std::vector<Link> links;
  auto begin = Clock::now();
  const Plane in = plane(code[first].in);
  DType dtype = in.dtype;
  int64_t pixel_bytes = static_cast<int64_t>(DTypeSize(dtype));
  for (size_t i = first; i <= last; ++i) {
    const Instruction& op = code[i];
    Link link{op.arguments, {}, op.row->ResultOf(dtype, op.arguments)};
    if (op.resource >= 0) {
      Resource& r = resources_.at(static_cast<size_t>(op.resource));
      if (r.height != in.height || r.width != in.width) {
        throw Error(Code::kOpShape, "the illumination image is " + std::to_string(r.width) + " x " +
                                        std::to_string(r.height) + " px and the plane " +
                                        std::to_string(in.width) + " x " +
                                        std::to_string(in.height));
      }
      link.others.push_back(PackedPlane(r.field.data(), DType::kF32, r.height, r.width));
    }
    for (const int input : op.inputs) link.others.push_back(plane(input));
    Plane input = in;
    input.dtype = dtype;
    CheckInput(*op.row, input, link.others);
    if (op.row->prepare) op.row->prepare(in, link.arguments);  // only the chain's first has it
    dtype = link.result;
    pixel_bytes = std::max(pixel_bytes, static_cast<int64_t>(DTypeSize(dtype)));
    links.push_back(std::move(link));
  }
  const PlaneShape shape = code[last].row->ShapeOf({in.height, in.width}, links.back().arguments);
  const Plane out = Allocate(code[last].out, dtype, shape.height, shape.width);
  std::optional<MinMax>& range = registers_[static_cast<size_t>(code[last].out)].range;
  const int64_t rows = first == last ? std::max<int64_t>(in.height, 1)
                                     : std::max<int64_t>(1, kStripBytes / (in.width * pixel_bytes));
  std::vector<Plane> others;
  for (int64_t y = 0; y < in.height; y += rows) {
    const int64_t count = std::min(rows, in.height - y);
    Plane from = Rows(in, y, count);
    for (size_t i = first; i <= last; ++i) {
      const Link& link = links[i - first];
      const Plane to = first == last ? out
                       : i == last   ? Rows(out, y, count)
                                     : strips_.Get(i % 2, link.result, count, in.width);
      others.clear();
      for (const Plane& other : link.others) others.push_back(Rows(other, y, count));
      code[i].row->run({link.arguments, from, others, to, scratch_, &range});
      from = to;
      const auto now = Clock::now();
      Spend(i, std::chrono::duration<double>(now - begin).count());
      begin = now;
    }
  }
}

}  // namespace tilecast
