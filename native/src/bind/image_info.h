// SPDX-License-Identifier: MIT
// Headers, levels and parts of images as JavaScript objects (lib/native.ts).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bind/bind.h"
#include "image.h"
#include "tiff/tiff_scan.h"

namespace tilecast::bind {

// Property names of an image's header, made once for many objects.
class ImageInfoKeys {
 public:
  explicit ImageInfoKeys(Napi::Env env);

 private:
  friend Napi::Object ImageInfoObject(Napi::Env env, const ImageInfoKeys& keys,
                                      const TiffScanResult& result);
  enum Key {
    kWidth,
    kHeight,
    kSamples,
    kDtype,
    kCompression,
    kPredictor,
    kTiled,
    kChunkWidth,
    kChunkHeight,
    kBigEndian,
    kPages,
    kThumbnail,
    kFastPath,
    kDescription,
    kPixelSizeXUm,
    kPixelSizeYUm,
    kBytes,
    kMtimeMs,
    kKeyCount,
  };
  std::array<Napi::String, kKeyCount> values_;
  std::array<Napi::String, kDTypeCount> dtypes_;
};

// NativeImageInfo, or NativeFailure.
Napi::Object ImageInfoObject(Napi::Env env, const ImageInfoKeys& keys,
                             const TiffScanResult& result);

// NativeImageLevel[]
Napi::Array LevelObjects(Napi::Env env, const std::vector<TiffPage>& levels);

// A part of a plane, or of a smaller level of it.
struct PlanePart {
  int level = 0;
  bool whole = true;
  int64_t y = 0, x = 0, height = 0, width = 0;  // px, unless it is whole
};

// { level, region: { y, x, height, width } }, both optional. Throws ERR_INVALID_ARGUMENT.
PlanePart ToPart(const Napi::Value& value);

// Makes a whole part as large as `layout`; throws kOpShape for one that is larger, before its size
// is reckoned with, since such a size need not fit a slot, or a number.
void FitPart(PlanePart& part, const TiffPage& layout, const std::string& path, int page);

}  // namespace tilecast::bind
