// SPDX-License-Identifier: MIT
// TiffWriter: planes of loaned slots or typed arrays into a file, on worker threads, one call at a
// time.
#include "tiff/tiff_writer.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "bind/bind.h"
#include "bind/pool.h"
#include "bind/promise.h"
#include "exec/tiff_pyramid.h"

namespace tilecast::bind {
namespace {

constexpr uint32_t kMaxSide = std::numeric_limits<int32_t>::max();
constexpr uint32_t kMaxThreads = 1024;

// Outlives the JavaScript object while a thread works on it.
struct State {
  TiffWriter writer;
  RawBuffer scratch;
  std::atomic<bool> busy{false};
};

std::string ToText(const Napi::Object& o, const char* key) {
  const Napi::Value value = o.Get(key);
  if (!value.IsString()) throw InvalidArgument(o.Env(), std::string(key) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

double ToNumber(const Napi::Object& o, const char* key, double max) {
  const Napi::Value value = o.Get(key);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > max) {
    throw InvalidArgument(o.Env(), std::string(key) + " must be a number of at least 0");
  }
  return number;
}

TiffEncoding ToEncoding(const Napi::Object& o) {
  TiffEncoding e;
  const std::string codec = ToText(o, "codec");
  if (codec == "none") {
    e.codec = TiffCodec::kNone;
  } else if (codec == "deflate") {
    e.codec = TiffCodec::kDeflate;
  } else if (codec == "zstd") {
    e.codec = TiffCodec::kZstd;
  } else {
    throw InvalidArgument(o.Env(), "unknown codec \"" + codec + "\"");
  }
  e.level = static_cast<int>(ToUint32(o.Get("level"), "level", 22));
  e.predictor = o.Get("predictor").ToBoolean();
  e.tile = ToUint32(o.Get("tile"), "tile", kMaxSide);
  e.strip_rows = ToUint32(o.Get("stripRows"), "stripRows", kMaxSide);
  e.classic_bytes = static_cast<uint64_t>(ToNumber(o, "classicBytes", kMaxInteger));
  e.sync = o.Get("sync").ToBoolean();
  e.exclusive = o.Get("exclusive").ToBoolean();
  if (o.Has("temporary")) e.temporary = ToText(o, "temporary");
  return e;
}

// The writer is one call's until its promise is settled.
class WriterWorker : public PromiseWorker {
 public:
  ~WriterWorker() override { state_->busy = false; }

 protected:
  WriterWorker(Napi::Env env, const char* name, std::shared_ptr<State> state)
      : PromiseWorker(env, name), state_(Claimed(env, std::move(state))) {}

  State& state() { return *state_; }

 private:
  static std::shared_ptr<State> Claimed(Napi::Env env, std::shared_ptr<State> state) {
    if (state->busy.exchange(true)) {
      throw InvalidArgument(env, "the writer is at work: await one call before the next");
    }
    return state;
  }

  std::shared_ptr<State> state_;
};

class OpenWorker final : public WriterWorker {
 public:
  OpenWorker(Napi::Env env, std::shared_ptr<State> state, std::string path,
             const TiffEncoding& encoding)
      : WriterWorker(env, "tilecast.openTiff", std::move(state)),
        path_(std::move(path)),
        encoding_(encoding) {}

 protected:
  void Work() override { state().writer.Open(path_, encoding_); }
  Napi::Value Result(Napi::Env env) override { return env.Undefined(); }

 private:
  std::string path_;
  TiffEncoding encoding_;
};

struct Page {
  TiffPageText text;
  int levels = 1;
  int threads = 1;
};

Page ToPage(const Napi::Object& o) {
  Page page;
  page.text.description = ToText(o, "description");
  page.text.pixel_size_x_um = ToNumber(o, "pixelSizeXUm", kMaxInteger);
  page.text.pixel_size_y_um = ToNumber(o, "pixelSizeYUm", kMaxInteger);
  page.levels = static_cast<int>(ToUint32(o.Get("levels"), "levels", 64));
  page.threads = static_cast<int>(ToUint32(o.Get("threads"), "threads", kMaxThreads));
  return page;
}

class PageWorker final : public WriterWorker {
 public:
  // Of a slot: with a lease of its own, so that a release by JavaScript meanwhile cannot give it to
  // another writer.
  PageWorker(Napi::Env env, std::shared_ptr<State> state, std::shared_ptr<TilePool> pool, Loan loan,
             const Plane& plane, Page page)
      : WriterWorker(env, "tilecast.writePage", std::move(state)),
        plane_(plane),
        page_(std::move(page)) {
    pool->AddLease(loan);
    pool_ = std::move(pool);
    loan_ = loan;
    plane_.data = pool_->data(loan.slot);
  }
  // Of a typed array, which is kept from collection.
  PageWorker(Napi::Env env, std::shared_ptr<State> state, const Napi::TypedArray& array,
             const Plane& plane, Page page)
      : WriterWorker(env, "tilecast.writePage", std::move(state)),
        array_(Napi::Persistent(array.As<Napi::Object>())),
        plane_(plane),
        page_(std::move(page)) {}
  // Also when the environment ends before the work began.
  ~PageWorker() override { Release(); }

 protected:
  void Work() override {
    struct Finally {
      PageWorker& self;
      ~Finally() { self.Release(); }
    } const finally{*this};
    WritePyramid(state().writer, plane_, page_.levels, page_.text, page_.threads, state().scratch);
  }
  Napi::Value Result(Napi::Env env) override { return env.Undefined(); }

 private:
  void Release() {
    const std::shared_ptr<TilePool> pool = std::exchange(pool_, nullptr);
    if (!pool) return;
    try {
      pool->Release(loan_);
    } catch (const Error&) {
      // Only if JavaScript released more often than it may: it has been told so already.
    }
  }

  std::shared_ptr<TilePool> pool_;
  Loan loan_{};
  Napi::ObjectReference array_;
  Plane plane_;
  Page page_;
};

class FinishWorker final : public WriterWorker {
 public:
  FinishWorker(Napi::Env env, std::shared_ptr<State> state)
      : WriterWorker(env, "tilecast.finishTiff", std::move(state)) {}

 protected:
  void Work() override { bytes_ = state().writer.Finish(); }
  Napi::Value Result(Napi::Env env) override {
    return Napi::Number::New(env, static_cast<double>(bytes_));
  }

 private:
  int64_t bytes_ = 0;
};

class AbandonWorker final : public WriterWorker {
 public:
  AbandonWorker(Napi::Env env, std::shared_ptr<State> state)
      : WriterWorker(env, "tilecast.abandonTiff", std::move(state)) {}

 protected:
  void Work() override { state().writer.Abandon(); }
  Napi::Value Result(Napi::Env env) override { return env.Undefined(); }
};

DType ToDType(const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  for (int i = 0; i < kDTypeCount; ++i) {
    if (DTypeName(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  throw InvalidArgument(value.Env(), "unknown dtype \"" + name + "\"");
}

bool IsOf(napi_typedarray_type type, DType dtype) {
  switch (dtype) {
    case DType::kU8:
      return type == napi_uint8_array || type == napi_uint8_clamped_array;
    case DType::kI8:
      return type == napi_int8_array;
    case DType::kU16:
      return type == napi_uint16_array;
    case DType::kI16:
      return type == napi_int16_array;
    case DType::kU32:
      return type == napi_uint32_array;
    case DType::kI32:
      return type == napi_int32_array;
    case DType::kF32:
      return type == napi_float32_array;
    case DType::kF64:
      break;
  }
  return type == napi_float64_array;
}

class TiffWriterObject : public Napi::ObjectWrap<TiffWriterObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "TiffWriter",
                       {InstanceMethod<&TiffWriterObject::Open>("open"),
                        InstanceMethod<&TiffWriterObject::WriteTile>("writeTile"),
                        InstanceMethod<&TiffWriterObject::WriteArray>("writeArray"),
                        InstanceMethod<&TiffWriterObject::Finish>("finish"),
                        InstanceMethod<&TiffWriterObject::Abandon>("abandon")});
  }

  explicit TiffWriterObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<TiffWriterObject>(info), state_(std::make_shared<State>()) {}

 private:
  // open(path, encoding)
  Napi::Value Open(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return Rejecting(env, [&]() -> Napi::Value {
      if (!info[0].IsString()) throw InvalidArgument(env, "path must be a string");
      if (!info[1].IsObject()) throw InvalidArgument(env, "encoding must be an object");
      const TiffEncoding encoding = ToEncoding(info[1].As<Napi::Object>());
      return (new OpenWorker(env, state_, info[0].As<Napi::String>().Utf8Value(), encoding))
          ->Start();
    });
  }

  // height, width and page of writeTile and writeArray
  static Plane ToPlane(const Napi::CallbackInfo& info, size_t at, DType dtype) {
    const int64_t height = ToUint32(info[at], "height", kMaxSide);
    const int64_t width = ToUint32(info[at + 1], "width", kMaxSide);
    if (!info[at + 2].IsObject()) throw InvalidArgument(info.Env(), "page must be an object");
    return PackedPlane(nullptr, dtype, height, width);
  }

  static bool Holds(double bytes, const Plane& plane) {
    return static_cast<double>(plane.height) * static_cast<double>(plane.width) *
               static_cast<double>(DTypeSize(plane.dtype)) <=
           bytes;
  }

  // writeTile(pool, slot, generation, dtype, height, width, page)
  Napi::Value WriteTile(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return Rejecting(env, [&]() -> Napi::Value {
      std::shared_ptr<TilePool> pool = UnwrapPool(info[0]);
      const Loan loan{ToUint32(info[1], "slot", pool->slots() - 1),
                      ToUint32(info[2], "generation", std::numeric_limits<uint32_t>::max())};
      const Plane plane = ToPlane(info, 4, ToDType(info[3]));
      if (!Holds(static_cast<double>(pool->slot_bytes()), plane)) {
        throw InvalidArgument(env, "the plane is larger than its slot");
      }
      Page page = ToPage(info[6].As<Napi::Object>());
      return (new PageWorker(env, state_, std::move(pool), loan, plane, std::move(page)))->Start();
    });
  }

  // writeArray(pixels, dtype, height, width, page)
  Napi::Value WriteArray(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return Rejecting(env, [&]() -> Napi::Value {
      const DType dtype = ToDType(info[1]);
      if (!info[0].IsTypedArray() ||
          !IsOf(info[0].As<Napi::TypedArray>().TypedArrayType(), dtype)) {
        throw InvalidArgument(env,
                              "pixels must be a typed array of " + std::string(DTypeName(dtype)));
      }
      const auto array = info[0].As<Napi::TypedArray>();
      Plane plane = ToPlane(info, 2, dtype);
      if (!Holds(static_cast<double>(array.ByteLength()), plane)) {
        throw InvalidArgument(env, "pixels has fewer values than the plane");
      }
      plane.data = static_cast<std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset();
      return (new PageWorker(env, state_, array, plane, ToPage(info[4].As<Napi::Object>())))
          ->Start();
    });
  }

  Napi::Value Finish(const Napi::CallbackInfo& info) {
    return Rejecting(info.Env(), [&]() -> Napi::Value {
      return (new FinishWorker(info.Env(), state_))->Start();
    });
  }

  Napi::Value Abandon(const Napi::CallbackInfo& info) {
    return Rejecting(info.Env(), [&]() -> Napi::Value {
      return (new AbandonWorker(info.Env(), state_))->Start();
    });
  }

  std::shared_ptr<State> state_;
};

}  // namespace

void InitTiffWriter(Napi::Env env, Napi::Object exports) {
  exports.Set("TiffWriter", TiffWriterObject::Define(env));
}

}  // namespace tilecast::bind
