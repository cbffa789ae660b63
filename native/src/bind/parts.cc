// SPDX-License-Identifier: MIT
// Planes, levels and headers of TIFF files of which parts have been fetched, or what to fetch
// first.
#include "bind/parts.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bind/image_info.h"
#include "bind/pool.h"
#include "bind/promise.h"
#include "bind/slot_lease.h"
#include "tiff/tiff_reader.h"

namespace tilecast::bind {
namespace {

// What all of them do: read as far as the parts go.
class PartsWorker : public PromiseWorker {
 protected:
  PartsWorker(Napi::Env env, const char* name, const Napi::Object& source)
      : PromiseWorker(env, name), file_(ToParts(source)), source_(Napi::Persistent(source)) {}

  virtual void Read(TiffReader& reader) = 0;
  virtual Napi::Value Answer(Napi::Env env) = 0;
  virtual void Finish() {}

  void Work() final {
    // One a libuv thread: its buffers and codec contexts are kept between calls.
    thread_local TiffReader reader;
    struct Finally {
      PartsWorker& self;
      ~Finally() {
        self.Finish();
        reader.Close();
      }
    } const finally{*this};
    try {
      reader.Open(file_);
      Read(reader);
    } catch (const Error&) {
      // Whatever failed, failed for want of bytes.
      if (reader.missing().bytes == 0) throw;
      missing_ = {reader.missing()};
    }
  }

  Napi::Value Result(Napi::Env env) final {
    if (missing_.empty()) return Answer(env);
    auto ranges = Napi::Float64Array::New(env, 2 * missing_.size());
    for (size_t i = 0; i < missing_.size(); ++i) {
      ranges[2 * i] = static_cast<double>(missing_[i].offset);
      ranges[2 * i + 1] = static_cast<double>(missing_[i].bytes);
    }
    Napi::Object o = Napi::Object::New(env);
    o.Set("missing", ranges);
    return o;
  }

  const FileParts& file() const { return file_; }

  // Whether the pixels of a part are here; what is not is missing from now on. All at once: each
  // answer costs a way over the network.
  bool Have(TiffReader& reader, int page, int sample, const PlanePart& part) {
    for (const FileRange& range :
         reader.PixelRanges(page, part.level, sample, part.y, part.x, part.height, part.width)) {
      if (!file_.Has(range)) missing_.push_back(range);
    }
    return missing_.empty();
  }

 private:
  FileParts file_;
  Napi::ObjectReference source_;  // keeps the bytes
  std::vector<FileRange> missing_;
};

// The level's structure, and the part made whole and checked against it.
const TiffPage& Fit(TiffReader& reader, int page, PlanePart& part, const std::string& name) {
  const TiffPage& layout = part.level == 0 ? reader.layout(page) : reader.level(page, part.level);
  FitPart(part, layout, name, page);
  if (part.y > layout.height - part.height || part.x > layout.width - part.width) {
    throw Error(Code::kOpShape,
                "the region at row " + std::to_string(part.y) + ", column " +
                    std::to_string(part.x) + " reaches beyond the image of " +
                    std::to_string(layout.height) + " x " + std::to_string(layout.width),
                name, page);
  }
  return layout;
}

class ReadPartsWorker final : public PartsWorker {
 public:
  // Takes a lease of its own, as readPlane does.
  ReadPartsWorker(Napi::Env env, std::shared_ptr<TilePool> pool, Loan loan,
                  const Napi::Object& source, int page, int sample, const PlanePart& part)
      : PartsWorker(env, "tilecast.readPlaneOfParts", source),
        lease_(std::move(pool), loan),
        page_(page),
        sample_(sample),
        part_(part) {
    lease_.Take();
  }

 private:
  void Finish() override { lease_.Release(); }

  void Read(TiffReader& reader) override {
    layout_ = Fit(reader, page_, part_, file().name);
    const Plane dst = PackedPlane(lease_.data(), layout_.dtype, part_.height, part_.width);
    if (static_cast<uint64_t>(dst.bytes()) > lease_.slot_bytes()) {
      throw Error(Code::kSlotTooSmall,
                  "the image needs " + std::to_string(dst.bytes()) + " bytes, a slot has " +
                      std::to_string(lease_.slot_bytes()) + "; create the pool with larger slots",
                  file().name, page_);
    }
    if (!Have(reader, page_, sample_, part_)) return;
    if (part_.whole && part_.level == 0) {
      reader.ReadPlane(page_, sample_, dst);
    } else {
      reader.ReadRegion(page_, part_.level, sample_, part_.y, part_.x, dst);
    }
  }

  Napi::Value Answer(Napi::Env env) override {
    Napi::Object o = Napi::Object::New(env);
    o.Set("width", static_cast<double>(part_.width));
    o.Set("height", static_cast<double>(part_.height));
    o.Set("dtype", std::string(DTypeName(layout_.dtype)));
    return o;
  }

  SlotLease lease_;
  int page_;
  int sample_;
  PlanePart part_;
  TiffPage layout_;
};

// For those who read later, such as a run: whether all is here.
class HavePlaneWorker final : public PartsWorker {
 public:
  HavePlaneWorker(Napi::Env env, const Napi::Object& source, int page, int sample)
      : PartsWorker(env, "tilecast.havePlaneOfParts", source), page_(page), sample_(sample) {}

 private:
  void Read(TiffReader& reader) override {
    PlanePart part;
    Fit(reader, page_, part, file().name);
    Have(reader, page_, sample_, part);
  }
  Napi::Value Answer(Napi::Env env) override { return Napi::Object::New(env); }

  int page_;
  int sample_;
};

class LevelsOfPartsWorker final : public PartsWorker {
 public:
  LevelsOfPartsWorker(Napi::Env env, const Napi::Object& source, int page)
      : PartsWorker(env, "tilecast.imageLevelsOfParts", source), page_(page) {}

 private:
  void Read(TiffReader& reader) override {
    const int n = reader.levels(page_);
    for (int i = 0; i < n; ++i) levels_.push_back(reader.level(page_, i));
  }
  Napi::Value Answer(Napi::Env env) override { return LevelObjects(env, levels_); }

  int page_;
  std::vector<TiffPage> levels_;
};

class ScanPartsWorker final : public PartsWorker {
 public:
  ScanPartsWorker(Napi::Env env, const Napi::Object& source, bool pages, bool description)
      : PartsWorker(env, "tilecast.scanImageOfParts", source),
        pages_(pages),
        description_(description) {}

 private:
  void Read(TiffReader& reader) override {
    result_.bytes = reader.file_bytes();
    result_.page = description_ ? reader.page(0) : reader.layout(0);
    if (pages_) result_.pages = reader.page_count();
  }
  Napi::Value Answer(Napi::Env env) override {
    return ImageInfoObject(env, ImageInfoKeys(env), result_);
  }

  bool pages_;
  bool description_;
  TiffScanResult result_;
};

Napi::Object ToSource(const Napi::Value& value) {
  if (!value.IsObject()) throw InvalidArgument(value.Env(), "source must be an object");
  return value.As<Napi::Object>();
}

int ToInt(const Napi::Value& value, const char* name) {
  return static_cast<int>(
      ToUint32(value, name, static_cast<uint32_t>(std::numeric_limits<int>::max())));
}

// readPlaneOfParts(pool, slot, generation, source, page, sample[, { level, region }])
Napi::Value ReadPlaneOfParts(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Rejecting(env, [&]() -> Napi::Value {
    std::shared_ptr<TilePool> pool = UnwrapPool(info[0]);
    constexpr auto max = std::numeric_limits<uint32_t>::max();
    const Loan loan{ToUint32(info[1], "slot", pool->slots() - 1),
                    ToUint32(info[2], "generation", max)};
    return (new ReadPartsWorker(env, std::move(pool), loan, ToSource(info[3]),
                                ToInt(info[4], "page"), ToInt(info[5], "sample"), ToPart(info[6])))
        ->Start();
  });
}

// havePlaneOfParts(source, page, sample)
Napi::Value HavePlaneOfParts(const Napi::CallbackInfo& info) {
  return Rejecting(info.Env(), [&]() -> Napi::Value {
    return (new HavePlaneWorker(info.Env(), ToSource(info[0]), ToInt(info[1], "page"),
                                ToInt(info[2], "sample")))
        ->Start();
  });
}

// imageLevelsOfParts(source, page)
Napi::Value ImageLevelsOfParts(const Napi::CallbackInfo& info) {
  return Rejecting(info.Env(), [&]() -> Napi::Value {
    return (new LevelsOfPartsWorker(info.Env(), ToSource(info[0]), ToInt(info[1], "page")))
        ->Start();
  });
}

// scanImageOfParts(source, { pages, description })
Napi::Value ScanImageOfParts(const Napi::CallbackInfo& info) {
  return Rejecting(info.Env(), [&]() -> Napi::Value {
    if (!info[1].IsObject()) throw InvalidArgument(info.Env(), "options must be an object");
    const auto o = info[1].As<Napi::Object>();
    return (new ScanPartsWorker(info.Env(), ToSource(info[0]), o.Get("pages").ToBoolean(),
                                o.Get("description").ToBoolean()))
        ->Start();
  });
}

}  // namespace

FileParts ToParts(const Napi::Object& o) {
  const Napi::Env env = o.Env();
  FileParts file;
  if (!o.Get("name").IsString()) throw InvalidArgument(env, "name must be a string");
  file.name = o.Get("name").As<Napi::String>().Utf8Value();
  file.size = static_cast<uint64_t>(ToInteger(o.Get("size"), "size"));
  if (!o.Get("offsets").IsArray() || !o.Get("parts").IsArray()) {
    throw InvalidArgument(env, "offsets and parts must be arrays");
  }
  const auto offsets = o.Get("offsets").As<Napi::Array>();
  const auto parts = o.Get("parts").As<Napi::Array>();
  uint64_t end = 0;
  for (uint32_t i = 0; i < parts.Length(); ++i) {
    const Napi::HandleScope scope(env);
    const Napi::Value bytes = parts.Get(i);
    if (!bytes.IsTypedArray() ||
        bytes.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      throw InvalidArgument(env, "every part must be a Uint8Array");
    }
    const auto array = bytes.As<Napi::Uint8Array>();
    const auto offset = static_cast<uint64_t>(ToInteger(offsets.Get(i), "every offset"));
    const uint64_t n = array.ByteLength();
    if (offset < end || offset > file.size || n > file.size - offset) {
      throw InvalidArgument(env, "parts must be ascending, without overlaps, inside the file");
    }
    end = offset + n;
    if (n > 0) file.parts.push_back({offset, array.Data(), n});
  }
  return file;
}

void InitParts(Napi::Env env, Napi::Object exports) {
  exports.Set("readPlaneOfParts", Napi::Function::New(env, ReadPlaneOfParts, "readPlaneOfParts"));
  exports.Set("havePlaneOfParts", Napi::Function::New(env, HavePlaneOfParts, "havePlaneOfParts"));
  exports.Set("imageLevelsOfParts",
              Napi::Function::New(env, ImageLevelsOfParts, "imageLevelsOfParts"));
  exports.Set("scanImageOfParts", Napi::Function::New(env, ScanImageOfParts, "scanImageOfParts"));
}

}  // namespace tilecast::bind
