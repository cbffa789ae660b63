// SPDX-License-Identifier: MIT
// Reading image files for JavaScript: headers of many files in one promise, single planes and parts
// of them into loaned slots, codec versions.
#include <libdeflate.h>
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bind/bind.h"
#include "bind/pool.h"
#include "bind/promise.h"
#include "bind/slot_lease.h"
#include "tiff/tiff_libtiff.h"
#include "tiff/tiff_reader.h"
#include "tiff/tiff_scan.h"

namespace tilecast::bind {
namespace {

std::string ToPath(const Napi::Value& value, const char* name) {
  if (!value.IsString())
    throw InvalidArgument(value.Env(), std::string(name) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

class ScanWorker final : public PromiseWorker {
 public:
  ScanWorker(Napi::Env env, std::vector<std::string> paths, const TiffScanOptions& options)
      : PromiseWorker(env, "tilecast.scanImages"), paths_(std::move(paths)), options_(options) {}

 protected:
  void Work() override { results_ = ScanTiffs(paths_, options_); }

  Napi::Value Result(Napi::Env env) override {
    // Keys are made once: a catalogue has 10^5 of these objects.
    const Keys keys(env);
    Napi::Array all = Napi::Array::New(env, results_.size());
    for (size_t i = 0; i < results_.size(); ++i) {
      const Napi::HandleScope scope(env);
      all.Set(static_cast<uint32_t>(i), ToObject(env, keys, results_[i]));
    }
    return all;
  }

 private:
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
  struct Keys {
    explicit Keys(Napi::Env env) {
      constexpr const char* names[kKeyCount] = {
          "width",    "height",      "samples",      "dtype",        "compression", "predictor",
          "tiled",    "chunkWidth",  "chunkHeight",  "bigEndian",    "pages",       "thumbnail",
          "fastPath", "description", "pixelSizeXUm", "pixelSizeYUm", "bytes",       "mtimeMs"};
      for (int k = 0; k < kKeyCount; ++k) values[k] = Napi::String::New(env, names[k]);
      for (int t = 0; t < kDTypeCount; ++t) {
        dtypes[t] = Napi::String::New(env, std::string(DTypeName(static_cast<DType>(t))));
      }
    }
    std::array<Napi::String, kKeyCount> values;
    std::array<Napi::String, kDTypeCount> dtypes;
  };

  static Napi::Object ToObject(Napi::Env env, const Keys& keys, const TiffScanResult& r) {
    Napi::Object o = Napi::Object::New(env);
    if (r.error) {
      Napi::Object e = Napi::Object::New(env);
      e.Set("code", std::string(CodeName(r.error->code())));
      e.Set("message", std::string(r.error->what()));
      e.Set("path", r.error->path());
      if (r.error->page() >= 0) e.Set("page", static_cast<double>(r.error->page()));
      if (r.error->offset() >= 0) e.Set("offset", static_cast<double>(r.error->offset()));
      o.Set("error", e);
      return o;
    }
    const auto number = [&](Key key, auto v) {
      o.Set(keys.values[key], Napi::Number::New(env, static_cast<double>(v)));
    };
    const auto boolean = [&](Key key, bool v) {
      o.Set(keys.values[key], Napi::Boolean::New(env, v));
    };
    const TiffPage& p = r.page;
    number(kWidth, p.width);
    number(kHeight, p.height);
    number(kSamples, p.samples);
    o.Set(keys.values[kDtype], keys.dtypes[static_cast<int>(p.dtype)]);
    o.Set(keys.values[kCompression], Napi::String::New(env, TiffCompressionName(p.compression)));
    number(kPredictor, p.predictor);
    boolean(kTiled, p.tiled);
    number(kChunkWidth, p.chunk_width);
    number(kChunkHeight, p.chunk_height);
    boolean(kBigEndian, p.big_endian);
    number(kPages, r.pages);
    boolean(kThumbnail, p.thumbnail);
    boolean(kFastPath, p.fast_path);
    o.Set(keys.values[kDescription], Napi::String::New(env, p.description));
    number(kPixelSizeXUm, p.pixel_size_x_um);
    number(kPixelSizeYUm, p.pixel_size_y_um);
    number(kBytes, r.bytes);
    number(kMtimeMs, r.mtime_ms);
    return o;
  }

  std::vector<std::string> paths_;
  TiffScanOptions options_;
  std::vector<TiffScanResult> results_;
};

// A part of a plane, or of a smaller level of it.
struct PlanePart {
  int level = 0;
  bool whole = true;
  int64_t y = 0, x = 0, height = 0, width = 0;  // px, unless it is whole
};

class ReadPlaneWorker final : public PromiseWorker {
 public:
  // Takes a lease of its own, so that a release by JavaScript meanwhile cannot give the slot to
  // another writer.
  ReadPlaneWorker(Napi::Env env, std::shared_ptr<TilePool> pool, Loan loan, std::string path,
                  int page, int sample, const PlanePart& part)
      : PromiseWorker(env, "tilecast.readPlane"),
        lease_(std::move(pool), loan),
        path_(std::move(path)),
        page_(page),
        sample_(sample),
        part_(part) {
    lease_.Take();
  }

 protected:
  void Work() override {
    struct Finally {
      ReadPlaneWorker& self;
      ~Finally() {
        self.lease_.Release();
        reader().Close();
      }
    } const finally{*this};
    reader().Open(path_);
    layout_ = part_.level == 0 ? reader().layout(page_) : reader().level(page_, part_.level);
    if (part_.whole) {
      part_.height = layout_.height;
      part_.width = layout_.width;
    } else if (part_.height > layout_.height || part_.width > layout_.width) {
      // Told first: such a size need not fit the slot, or a number.
      throw Error(Code::kOpShape,
                  "the region is " + std::to_string(part_.height) + " x " +
                      std::to_string(part_.width) + ", the image " +
                      std::to_string(layout_.height) + " x " + std::to_string(layout_.width),
                  path_, page_);
    }
    const Plane dst = PackedPlane(lease_.data(), layout_.dtype, part_.height, part_.width);
    if (static_cast<uint64_t>(dst.bytes()) > lease_.slot_bytes()) {
      throw Error(Code::kSlotTooSmall,
                  "the image needs " + std::to_string(dst.bytes()) + " bytes, a slot has " +
                      std::to_string(lease_.slot_bytes()) + "; create the pool with larger slots",
                  path_, page_);
    }
    if (part_.whole && part_.level == 0) {
      reader().ReadPlane(page_, sample_, dst);
    } else {
      reader().ReadRegion(page_, part_.level, sample_, part_.y, part_.x, dst);
    }
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object o = Napi::Object::New(env);
    o.Set("width", static_cast<double>(part_.width));
    o.Set("height", static_cast<double>(part_.height));
    o.Set("dtype", std::string(DTypeName(layout_.dtype)));
    return o;
  }

 private:
  // One a libuv thread: its buffers and codec contexts are kept between calls.
  static TiffReader& reader() {
    thread_local TiffReader reader;
    return reader;
  }

  SlotLease lease_;
  std::string path_;
  int page_;
  int sample_;
  PlanePart part_;
  TiffPage layout_;
};

class LevelsWorker final : public PromiseWorker {
 public:
  LevelsWorker(Napi::Env env, std::string path, int page)
      : PromiseWorker(env, "tilecast.imageLevels"), path_(std::move(path)), page_(page) {}

 protected:
  void Work() override {
    TiffReader reader;
    reader.Open(path_);
    const int n = reader.levels(page_);
    for (int i = 0; i < n; ++i) levels_.push_back(reader.level(page_, i));
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Array all = Napi::Array::New(env, levels_.size());
    for (size_t i = 0; i < levels_.size(); ++i) {
      const TiffPage& p = levels_[i];
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

 private:
  std::string path_;
  int page_;
  std::vector<TiffPage> levels_;
};

Napi::Value ScanImages(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Rejecting(env, [&]() -> Napi::Value {
    if (!info[0].IsArray()) throw InvalidArgument(env, "paths must be an array of strings");
    if (!info[1].IsObject()) throw InvalidArgument(env, "options must be an object");
    const auto array = info[0].As<Napi::Array>();
    std::vector<std::string> paths;
    paths.reserve(array.Length());
    for (uint32_t i = 0; i < array.Length(); ++i) {
      const Napi::HandleScope scope(env);
      paths.push_back(ToPath(array.Get(i), "every path"));
    }
    const auto o = info[1].As<Napi::Object>();
    TiffScanOptions options;
    options.pages = o.Get("pages").ToBoolean();
    options.description = o.Get("description").ToBoolean();
    options.threads = static_cast<int>(ToUint32(o.Get("threads"), "threads", 1024));
    if (options.threads == 0) throw InvalidArgument(env, "threads must be at least 1");
    return (new ScanWorker(env, std::move(paths), options))->Start();
  });
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

Napi::Value ImageLevels(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Rejecting(env, [&]() -> Napi::Value {
    constexpr auto max = static_cast<uint32_t>(std::numeric_limits<int>::max());
    return (new LevelsWorker(env, ToPath(info[0], "path"),
                             static_cast<int>(ToUint32(info[1], "page", max))))
        ->Start();
  });
}

Napi::Value ReadPlane(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Rejecting(env, [&]() -> Napi::Value {
    std::shared_ptr<TilePool> pool = UnwrapPool(info[0]);
    constexpr auto max = std::numeric_limits<uint32_t>::max();
    constexpr auto max_int = static_cast<uint32_t>(std::numeric_limits<int>::max());
    const Loan loan{ToUint32(info[1], "slot", pool->slots() - 1),
                    ToUint32(info[2], "generation", max)};
    std::string path = ToPath(info[3], "path");
    const auto page = static_cast<int>(ToUint32(info[4], "page", max_int));
    const auto sample = static_cast<int>(ToUint32(info[5], "sample", max_int));
    return (new ReadPlaneWorker(env, std::move(pool), loan, std::move(path), page, sample,
                                ToPart(info[6])))
        ->Start();
  });
}

Napi::Value Versions(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object o = Napi::Object::New(env);
  o.Set("libdeflate", LIBDEFLATE_VERSION_STRING);
  o.Set("zstd", ZSTD_versionString());
  o.Set("lz4", LZ4_versionString());
  const std::string libtiff = LibtiffVersion();
  o.Set("libtiff", libtiff.empty() ? env.Null() : Napi::String::New(env, libtiff));
  return o;
}

}  // namespace

void InitImages(Napi::Env env, Napi::Object exports) {
  exports.Set("scanImages", Napi::Function::New(env, ScanImages, "scanImages"));
  exports.Set("readPlane", Napi::Function::New(env, ReadPlane, "readPlane"));
  exports.Set("imageLevels", Napi::Function::New(env, ImageLevels, "imageLevels"));
  exports.Set("versions", Napi::Function::New(env, Versions, "versions"));
}

}  // namespace tilecast::bind
