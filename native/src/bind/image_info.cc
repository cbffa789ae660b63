// SPDX-License-Identifier: MIT
// Headers, levels and parts of images between the core's structs and JavaScript objects.
#include "bind/image_info.h"

#include <limits>
#include <string>

#include "bind/promise.h"

namespace tilecast::bind {

ImageInfoKeys::ImageInfoKeys(Napi::Env env) {
  constexpr const char* names[kKeyCount] = {
      "width",    "height",      "samples",      "dtype",        "compression", "predictor",
      "tiled",    "chunkWidth",  "chunkHeight",  "bigEndian",    "pages",       "thumbnail",
      "fastPath", "description", "pixelSizeXUm", "pixelSizeYUm", "bytes",       "mtimeMs"};
  for (int k = 0; k < kKeyCount; ++k) values_[k] = Napi::String::New(env, names[k]);
  for (int t = 0; t < kDTypeCount; ++t) {
    dtypes_[t] = Napi::String::New(env, std::string(DTypeName(static_cast<DType>(t))));
  }
}

Napi::Object ImageInfoObject(Napi::Env env, const ImageInfoKeys& keys,
                             const TiffScanResult& result) {
  Napi::Object o = Napi::Object::New(env);
  if (result.error) {
    const Error& error = *result.error;
    Napi::Object e = Napi::Object::New(env);
    e.Set("code", std::string(CodeName(error.code())));
    e.Set("message", std::string(error.what()));
    e.Set("path", error.path());
    if (error.page() >= 0) e.Set("page", static_cast<double>(error.page()));
    if (error.offset() >= 0) e.Set("offset", static_cast<double>(error.offset()));
    o.Set("error", e);
    return o;
  }
  using K = ImageInfoKeys;
  const auto number = [&](K::Key key, auto v) {
    o.Set(keys.values_[key], Napi::Number::New(env, static_cast<double>(v)));
  };
  const auto boolean = [&](K::Key key, bool v) {
    o.Set(keys.values_[key], Napi::Boolean::New(env, v));
  };
  const TiffPage& p = result.page;
  number(K::kWidth, p.width);
  number(K::kHeight, p.height);
  number(K::kSamples, p.samples);
  o.Set(keys.values_[K::kDtype], keys.dtypes_[static_cast<size_t>(p.dtype)]);
  o.Set(keys.values_[K::kCompression], Napi::String::New(env, TiffCompressionName(p.compression)));
  number(K::kPredictor, p.predictor);
  boolean(K::kTiled, p.tiled);
  number(K::kChunkWidth, p.chunk_width);
  number(K::kChunkHeight, p.chunk_height);
  boolean(K::kBigEndian, p.big_endian);
  number(K::kPages, result.pages);
  boolean(K::kThumbnail, p.thumbnail);
  boolean(K::kFastPath, p.fast_path);
  o.Set(keys.values_[K::kDescription], Napi::String::New(env, p.description));
  number(K::kPixelSizeXUm, p.pixel_size_x_um);
  number(K::kPixelSizeYUm, p.pixel_size_y_um);
  number(K::kBytes, result.bytes);
  number(K::kMtimeMs, result.mtime_ms);
  return o;
}

Napi::Array LevelObjects(Napi::Env env, const std::vector<TiffPage>& levels) {
  Napi::Array all = Napi::Array::New(env, levels.size());
  for (size_t i = 0; i < levels.size(); ++i) {
    const TiffPage& p = levels[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("width", static_cast<double>(p.width));
    o.Set("height", static_cast<double>(p.height));
    o.Set("samples", p.samples);
    o.Set("dtype", std::string(DTypeName(p.dtype)));
    o.Set("chunkWidth", static_cast<double>(p.chunk_width));
    o.Set("chunkHeight", static_cast<double>(p.chunk_height));
    all.Set(static_cast<uint32_t>(i), o);
  }
  return all;
}

PlanePart ToPart(const Napi::Value& value) {
  PlanePart part;
  if (value.IsUndefined()) return part;
  if (!value.IsObject()) throw InvalidArgument(value.Env(), "options must be an object");
  const auto o = value.As<Napi::Object>();
  constexpr auto max = static_cast<uint32_t>(std::numeric_limits<int32_t>::max());
  if (o.Has("level")) part.level = static_cast<int>(ToUint32(o.Get("level"), "level", max));
  if (!o.Has("region")) return part;
  if (!o.Get("region").IsObject()) throw InvalidArgument(o.Env(), "region must be an object");
  const auto region = o.Get("region").As<Napi::Object>();
  part.whole = false;
  part.y = ToUint32(region.Get("y"), "region.y", max);
  part.x = ToUint32(region.Get("x"), "region.x", max);
  part.height = ToUint32(region.Get("height"), "region.height", max);
  part.width = ToUint32(region.Get("width"), "region.width", max);
  return part;
}

void FitPart(PlanePart& part, const TiffPage& layout, const std::string& path, int page) {
  if (part.whole) {
    part.height = layout.height;
    part.width = layout.width;
  } else if (part.height > layout.height || part.width > layout.width) {
    throw Error(Code::kOpShape,
                "the region is " + std::to_string(part.height) + " x " +
                    std::to_string(part.width) + ", the image " + std::to_string(layout.height) +
                    " x " + std::to_string(layout.width),
                path, page);
  }
}

}  // namespace tilecast::bind
