// SPDX-License-Identifier: MIT
// readPlaneOfParts: a plane of a TIFF file of which parts have been fetched, or what to fetch
// first.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bind/bind.h"
#include "bind/pool.h"
#include "bind/promise.h"
#include "bind/slot_lease.h"
#include "tiff/tiff_reader.h"

namespace tilecast::bind {
namespace {

constexpr double kMaxInteger = 9007199254740991.0;

uint64_t ToOffset(const Napi::Value& value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > kMaxInteger || std::floor(number) != number) {
    throw InvalidArgument(value.Env(), std::string(name) + " must be an integer of at least 0");
  }
  return static_cast<uint64_t>(number);
}

// { name, size, offsets: number[], parts: Uint8Array[] }, ascending
FileParts ToParts(const Napi::Env env, const Napi::Object& o) {
  FileParts file;
  if (!o.Get("name").IsString()) throw InvalidArgument(env, "name must be a string");
  file.name = o.Get("name").As<Napi::String>().Utf8Value();
  file.size = ToOffset(o.Get("size"), "size");
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
    const uint64_t offset = ToOffset(offsets.Get(i), "every offset");
    const uint64_t n = array.ByteLength();
    if (offset < end || offset > file.size || n > file.size - offset) {
      throw InvalidArgument(env, "parts must be ascending, without overlaps, inside the file");
    }
    end = offset + n;
    if (n > 0) file.parts.push_back({offset, array.Data(), n});
  }
  return file;
}

class ReadPartsWorker final : public PromiseWorker {
 public:
  // Takes a lease of its own, as readPlane does.
  ReadPartsWorker(Napi::Env env, std::shared_ptr<TilePool> pool, Loan loan, FileParts file,
                  const Napi::Object& source, int page, int sample)
      : PromiseWorker(env, "tilecast.readPlaneOfParts"),
        lease_(std::move(pool), loan),
        file_(std::move(file)),
        source_(Napi::Persistent(source)),
        page_(page),
        sample_(sample) {
    lease_.Take();
  }

 protected:
  void Work() override {
    // One a libuv thread: its buffers and codec contexts are kept between calls.
    thread_local TiffReader reader;
    struct Finally {
      ReadPartsWorker& self;
      ~Finally() {
        self.lease_.Release();
        reader.Close();
      }
    } const finally{*this};
    try {
      Read(reader);
    } catch (const Error&) {
      // Whatever failed, failed for want of bytes.
      if (reader.missing().bytes == 0) throw;
      missing_ = {reader.missing()};
    }
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object o = Napi::Object::New(env);
    if (!missing_.empty()) {
      auto ranges = Napi::Float64Array::New(env, 2 * missing_.size());
      for (size_t i = 0; i < missing_.size(); ++i) {
        ranges[2 * i] = static_cast<double>(missing_[i].offset);
        ranges[2 * i + 1] = static_cast<double>(missing_[i].bytes);
      }
      o.Set("missing", ranges);
      return o;
    }
    o.Set("width", static_cast<double>(layout_.width));
    o.Set("height", static_cast<double>(layout_.height));
    o.Set("dtype", std::string(DTypeName(layout_.dtype)));
    return o;
  }

 private:
  void Read(TiffReader& reader) {
    reader.Open(file_);
    layout_ = reader.layout(page_);
    const Plane dst = PackedPlane(lease_.data(), layout_.dtype, layout_.height, layout_.width);
    if (static_cast<uint64_t>(dst.bytes()) > lease_.slot_bytes()) {
      throw Error(Code::kSlotTooSmall,
                  "the image needs " + std::to_string(dst.bytes()) + " bytes, a slot has " +
                      std::to_string(lease_.slot_bytes()) + "; create the pool with larger slots",
                  file_.name, page_);
    }
    // All at once: each answer costs a way over the network.
    for (const FileRange& range : reader.PixelRanges(page_, sample_)) {
      if (!file_.Has(range)) missing_.push_back(range);
    }
    if (missing_.empty()) reader.ReadPlane(page_, sample_, dst);
  }

  SlotLease lease_;
  FileParts file_;
  Napi::ObjectReference source_;  // keeps the bytes
  int page_;
  int sample_;
  TiffPage layout_;
  std::vector<FileRange> missing_;
};

// readPlaneOfParts(pool, slot, generation, { name, size, offsets, parts }, page, sample)
Napi::Value ReadPlaneOfParts(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Rejecting(env, [&]() -> Napi::Value {
    std::shared_ptr<TilePool> pool = UnwrapPool(info[0]);
    constexpr auto max = std::numeric_limits<uint32_t>::max();
    constexpr auto max_int = static_cast<uint32_t>(std::numeric_limits<int>::max());
    const Loan loan{ToUint32(info[1], "slot", pool->slots() - 1),
                    ToUint32(info[2], "generation", max)};
    if (!info[3].IsObject()) throw InvalidArgument(env, "source must be an object");
    const auto source = info[3].As<Napi::Object>();
    FileParts file = ToParts(env, source);
    const auto page = static_cast<int>(ToUint32(info[4], "page", max_int));
    const auto sample = static_cast<int>(ToUint32(info[5], "sample", max_int));
    return (new ReadPartsWorker(env, std::move(pool), loan, std::move(file), source, page, sample))
        ->Start();
  });
}

}  // namespace

void InitParts(Napi::Env env, Napi::Object exports) {
  exports.Set("readPlaneOfParts", Napi::Function::New(env, ReadPlaneOfParts, "readPlaneOfParts"));
}

}  // namespace tilecast::bind
