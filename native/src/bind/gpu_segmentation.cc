// SPDX-License-Identifier: MIT
// Threshold, label and measurement for JavaScript: the recipe of all of them together, what its
// results mean, and the CPU's answer to the same. For the tests.
#include <cstring>
#include <optional>

#include "bind/bind.h"
#include "bind/gpu.h"
#include "bind/run_data.h"
#include "gpu/segmentation.h"
#include "ops/arithmetic.h"
#include "ops/histogram.h"
#include "ops/label.h"
#include "ops/measure.h"
#include "ops/thresholds.h"

namespace tilecast::bind {
namespace {

// NativeGpuSegmentation of lib/native-gpu.ts.
struct Asked {
  DType dtype = DType::kU8;
  PlaneShape shape;
  bool labelled = false;  // the plane already has labels
  ThresholdMethod method = ThresholdMethod::kValue;
  double value = 0;
  LabelOptions options;
  ShapeFeatures features;
  std::vector<DType> images;
  int64_t capacity = 0;
};

Asked AskedFrom(const Napi::Object& o) {
  Asked a;
  a.dtype = DTypeOfName(o.Get("dtype").ToString().Utf8Value());
  a.shape = {IntOr(o, "height", 0), IntOr(o, "width", 0)};
  a.labelled = o.Get("labelled").ToBoolean();
  if (!a.labelled) {
    a.method = ThresholdMethodOf(o.Get("method").ToString().Utf8Value());
    if (o.Get("value").IsNumber()) a.value = o.Get("value").ToNumber().DoubleValue();
  }
  a.options.min_area = IntOr(o, "minArea", 0);
  if (o.Get("maxArea").IsNumber()) a.options.max_area = IntOr(o, "maxArea", 0);
  a.options.clear_border = o.Get("clearBorder").ToBoolean();
  a.features.perimeter = o.Get("perimeter").ToBoolean();
  a.features.eccentricity = o.Get("eccentricity").ToBoolean();
  const auto images = o.Get("images").As<Napi::Array>();
  for (uint32_t i = 0; i < images.Length(); ++i) {
    a.images.push_back(DTypeOfName(images.Get(i).ToString().Utf8Value()));
  }
  a.capacity = IntOr(o, "capacity", 0);
  return a;
}

struct Encoded {
  gpu::RecipeBuilder builder;
  gpu::GpuMeasurements measurements;
  std::vector<size_t> results;  // the measurements', among the recipe's results
  std::optional<std::string> refused;
};

Encoded Encode(const Asked& a) {
  Encoded e;
  e.refused = a.labelled ? std::nullopt : gpu::RefusesThreshold(a.method, a.dtype, a.shape);
  if (!e.refused && !a.labelled) e.refused = gpu::RefusesLabel(a.dtype, a.shape);
  if (!e.refused) e.refused = gpu::RefusesMeasure(DType::kI32, a.images, a.shape);
  if (e.refused) return e;
  const auto [height, width] = a.shape;
  gpu::GpuPlane labels = e.builder.Input(a.dtype, height, width);
  std::vector<gpu::GpuPlane> images;
  images.reserve(a.images.size());
  for (const DType d : a.images) images.push_back(e.builder.Input(d, height, width));
  if (!a.labelled) {
    const gpu::GpuPlane in = labels;
    const auto threshold = gpu::EncodeThreshold(e.builder, a.method, a.value, in);
    gpu::EncodeMask(e.builder, in, threshold, e.builder.Output(DType::kU8, height, width));
    labels = e.builder.Output(DType::kI32, height, width);
    gpu::EncodeLabel(e.builder, in, threshold, a.options, labels);
  }
  e.measurements = gpu::EncodeMeasure(e.builder, labels, a.features, images, a.capacity);
  const auto& buffers = e.builder.recipe().buffers;
  for (const int wanted : e.measurements.results) {
    size_t place = 0;
    for (int i = 0; i < wanted; ++i) {
      place += buffers[static_cast<size_t>(i)].kind == gpu::Buffer::Kind::kResult;
    }
    e.results.push_back(place);
  }
  return e;
}

Napi::Object RowsObject(Napi::Env env, const std::vector<ShapeRow>& shapes,
                        const std::vector<std::vector<IntensityRow>>& intensities) {
  auto shape = Napi::Float64Array::New(env, shapes.size() * 10);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const ShapeRow& r = shapes[i];
    const double row[] = {static_cast<double>(r.label),
                          static_cast<double>(r.area),
                          r.centroid_y,
                          r.centroid_x,
                          static_cast<double>(r.y0),
                          static_cast<double>(r.x0),
                          static_cast<double>(r.y1),
                          static_cast<double>(r.x1),
                          r.perimeter,
                          r.eccentricity};
    std::copy(row, row + 10, shape.Data() + 10 * i);
  }
  auto images = Napi::Array::New(env, intensities.size());
  for (size_t k = 0; k < intensities.size(); ++k) {
    auto rows = Napi::Float64Array::New(env, intensities[k].size() * 4);
    for (size_t i = 0; i < intensities[k].size(); ++i) {
      const IntensityRow& r = intensities[k][i];
      const double row[] = {r.integrated, r.mean, r.min, r.max};
      std::copy(row, row + 4, rows.Data() + 4 * i);
    }
    images.Set(static_cast<uint32_t>(k), rows);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("shapes", shape);
  out.Set("intensities", images);
  return out;
}

Napi::Uint8Array BytesOf(Napi::Env env, const std::vector<std::byte>& bytes) {
  auto out = Napi::Uint8Array::New(env, bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(out.Data()));
  return out;
}

std::vector<std::vector<std::byte>> Copies(const Napi::Array& given) {
  std::vector<std::vector<std::byte>> out;
  for (uint32_t i = 0; i < given.Length(); ++i) {
    const auto bytes = given.Get(i).As<Napi::Uint8Array>();
    const auto* const data = reinterpret_cast<const std::byte*>(bytes.Data());
    out.emplace_back(data, data + bytes.ByteLength());
  }
  return out;
}

// (what) -> the recipe, whose inputs are the plane and the images and whose outputs are mask and
// labels; or a sentence that says why there is none.
Napi::Value GpuSegmentation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const Encoded e = Encode(AskedFrom(info[0].As<Napi::Object>()));
    if (e.refused) return Napi::String::New(env, *e.refused);
    return RecipeObject(env, e.builder.recipe());
  });
}

// (what, the recipe's results) -> rows, or null where the CPU has to measure.
Napi::Value GpuSegmentationRows(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const Encoded e = Encode(AskedFrom(info[0].As<Napi::Object>()));
    const auto given = Copies(info[1].As<Napi::Array>());
    std::vector<std::vector<std::byte>> results;
    results.reserve(e.results.size());
    for (const size_t place : e.results) results.push_back(given.at(place));
    std::vector<ShapeRow> shapes;
    std::vector<std::vector<IntensityRow>> intensities;
    if (!gpu::DecodeMeasurements(e.measurements, results, shapes, intensities)) return env.Null();
    return RowsObject(env, shapes, intensities);
  });
}

// (what, [plane, images]) -> what the CPU makes of it.
Napi::Value ApplySegmentation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const Asked a = AskedFrom(info[0].As<Napi::Object>());
    auto bytes = Copies(info[1].As<Napi::Array>());
    const auto [height, width] = a.shape;
    const auto plane = [&](size_t i, DType dtype) {
      const Plane p = PackedPlane(bytes.at(i).data(), dtype, height, width);
      if (static_cast<int64_t>(bytes[i].size()) < p.bytes()) {
        throw Error(Code::kOpShape, "an image has fewer bytes than its shape and dtype say");
      }
      return p;
    };
    const Plane in = plane(0, a.dtype);
    Objects objects;
    double threshold = a.value;
    std::vector<std::byte> mask, painted;
    if (a.labelled) {
      RunsFromLabels(in, objects);
    } else {
      switch (a.method) {
        case ThresholdMethod::kValue:
          break;
        case ThresholdMethod::kOtsu:
          threshold = Otsu(in);
          break;
        case ThresholdMethod::kTriangle:
          threshold = TriangleThreshold(in);
          break;
        case ThresholdMethod::kLi:
          threshold = LiThreshold(in);
          break;
        case ThresholdMethod::kYen:
          threshold = YenThreshold(in);
          break;
      }
      mask.resize(static_cast<size_t>(in.pixels()));
      Threshold(in, threshold, PackedPlane(mask.data(), DType::kU8, height, width));
      LabelRuns(in, threshold, a.options, objects);
      painted.resize(static_cast<size_t>(in.pixels()) * 4);
      PaintLabels(objects, PackedPlane(painted.data(), DType::kI32, height, width));
    }
    std::vector<ShapeRow> shapes;
    MeasureShapes(objects, a.features, shapes);
    std::vector<std::vector<IntensityRow>> intensities(a.images.size());
    for (size_t k = 0; k < a.images.size(); ++k) {
      MeasureIntensity(objects, plane(k + 1, a.images[k]), intensities[k]);
    }
    Napi::Object out = RowsObject(env, shapes, intensities);
    out.Set("threshold", threshold);
    out.Set("count", objects.count);
    out.Set("mask", BytesOf(env, mask));
    out.Set("labels", BytesOf(env, painted));
    return out;
  });
}

}  // namespace

void InitGpuSegmentation(Napi::Env env, Napi::Object exports) {
  exports.Set("gpuSegmentation", Napi::Function::New(env, GpuSegmentation, "gpuSegmentation"));
  exports.Set("gpuSegmentationRows",
              Napi::Function::New(env, GpuSegmentationRows, "gpuSegmentationRows"));
  exports.Set("applySegmentation",
              Napi::Function::New(env, ApplySegmentation, "applySegmentation"));
}

}  // namespace tilecast::bind
