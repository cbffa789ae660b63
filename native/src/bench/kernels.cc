// SPDX-License-Identifier: MIT
// Measures kernels; see kernels.h.
#include "bench/kernels.h"

#include <algorithm>
#include <memory>

#include "bench/rate.h"
#include "bench/scene.h"
#include "error.h"
#include "ops/arithmetic.h"
#include "ops/gaussian.h"
#include "ops/histogram.h"
#include "ops/label.h"

namespace tilecast::bench {
namespace {

// What one thread works on.
struct Images {
  explicit Images(int64_t side)
      : camera(Nuclei(side)),
        field(DType::kF32, side, side),
        smooth(DType::kF32, side, side),
        out(DType::kF32, side, side),
        labels(DType::kI32, side, side) {
    for (int64_t i = 0; i < side * side; ++i) {
      field.plane().row<float>(0)[i] = 0.8F + 0.0001F * static_cast<float>(i % 4096);
    }
    range = Gaussian(camera.plane(), 1.5, smooth.plane());
    level = Otsu(smooth.plane(), range);
  }
  OwnedPlane camera, field, smooth, out, labels;
  MinMax range;
  double level = 0;
  Objects objects;
};

void Run(const std::string& name, Images& i) {
  if (name == "gaussian") {
    Gaussian(i.camera.plane(), 1.5, i.out.plane());
  } else if (name == "otsu") {
    Otsu(i.smooth.plane(), i.range);
  } else if (name == "label") {
    LabelRuns(i.smooth.plane(), i.level, {}, i.objects);
    PaintLabels(i.objects, i.labels.plane());
  } else {
    FlatField(i.camera.plane(), i.field.plane(), 100, i.out.plane());
  }
}

}  // namespace

const std::vector<KernelInfo>& MeasuredKernels() {
  static const std::vector<KernelInfo> kernels = {
      {"gaussian", 2, 4},    // uint16 to float32, sigma 1.5
      {"otsu", 4, 0},        // float32, its range known from the blur
      {"label", 4, 4},       // float32 above a threshold to int32 labels
      {"flat-field", 6, 4},  // uint16 and a float32 field to float32
  };
  return kernels;
}

double MeasureKernel(const std::string& name, int64_t side, int threads, double seconds) {
  const auto& all = MeasuredKernels();
  if (std::none_of(all.begin(), all.end(), [&](const KernelInfo& k) { return k.name == name; })) {
    throw Error(Code::kInvalidArgument, "there is no kernel \"" + name + "\" to measure");
  }
  return MeasureRate(threads, seconds, [&](int) -> Work {
    auto images = std::make_shared<Images>(side);
    return [&name, side, images] {
      Run(name, *images);
      return static_cast<double>(side * side);
    };
  });
}

}  // namespace tilecast::bench
