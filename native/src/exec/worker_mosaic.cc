// SPDX-License-Identifier: MIT
// Images that are to be aligned, canvases, and the images that are put onto them one after another.
#include <cstring>

#include "exec/worker.h"

namespace tilecast {

void Executor::Worker::Align(const Instruction& op, const Job& job) {
  Aligner* aligner = resources_.at(static_cast<size_t>(op.resource)).aligner.get();
  if (aligner == nullptr) throw Error(Code::kInvalidArgument, "resource is not an aligner");
  aligner->Add(job.image, plane(op.in));
}

void Executor::Worker::Canvas(const Instruction& op, const Job& job) {
  const MosaicPlan& mosaic = job.mosaics.at(static_cast<size_t>(op.mosaic));
  const Plane canvas = Allocate(op.out, op.dtype, mosaic.height, mosaic.width);
  std::memset(canvas.data, 0, static_cast<size_t>(canvas.bytes()));
}

void Executor::Worker::PlaceOnCanvas(const Instruction& op, const Job& job) {
  PlaceImage(job.mosaics.at(static_cast<size_t>(op.mosaic)), static_cast<size_t>(op.image),
             plane(op.in), op.blend, op.placing, 0, 0, plane(op.inputs.at(0)));
}

void Executor::Worker::Move(const Instruction& op, const Job& job) {
  const MosaicPlan& mosaic = job.mosaics.at(static_cast<size_t>(op.mosaic));
  const Plane in = plane(op.in);
  Translate(in, mosaic.y.at(0), mosaic.x.at(0), op.spline, Outside::kZero,
            Allocate(op.out, in.dtype, in.height, in.width));
}

}  // namespace tilecast
