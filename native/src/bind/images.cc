// SPDX-License-Identifier: MIT
// Reading image files for JavaScript: headers of many files in one promise, single planes and parts
// of them into loaned slots, codec versions.
#include <libdeflate.h>
#include <lz4.h>
#include <zstd.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bind/bind.h"
#include "bind/image_info.h"
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
    const ImageInfoKeys keys(env);
    Napi::Array all = Napi::Array::New(env, results_.size());
    for (size_t i = 0; i < results_.size(); ++i) {
      const Napi::HandleScope scope(env);
      all.Set(static_cast<uint32_t>(i), ImageInfoObject(env, keys, results_[i]));
    }
    return all;
  }

 private:
  std::vector<std::string> paths_;
  TiffScanOptions options_;
  std::vector<TiffScanResult> results_;
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
    FitPart(part_, layout_, path_, page_);
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
    bytes_read_ = reader().bytes_read();
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object o = Napi::Object::New(env);
    o.Set("width", static_cast<double>(part_.width));
    o.Set("height", static_cast<double>(part_.height));
    o.Set("dtype", std::string(DTypeName(layout_.dtype)));
    o.Set("bytesRead", static_cast<double>(bytes_read_));
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
  int64_t bytes_read_ = 0;
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

  Napi::Value Result(Napi::Env env) override { return LevelObjects(env, levels_); }

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
