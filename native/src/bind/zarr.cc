// SPDX-License-Identifier: MIT
// ZarrArray: an array's description, planes of it into loaned slots, sizes and times of its files.
#include "bind/zarr.h"

#include <utility>

#include "bind/parts.h"
#include "bind/pool.h"
#include "bind/promise.h"
#include "bind/run_data.h"
#include "bind/slot_lease.h"
#include "codec/raw_buffer.h"
#include "ops/resample.h"
#include "zarr/plane_reader.h"
#include "zarr/plane_writer.h"

namespace tilecast::bind {
namespace {

constexpr napi_type_tag kTag = {0x7a61727261727261ull, 0x74696c6563617374ull};

std::vector<int64_t> ToIntegers(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) {
    throw InvalidArgument(value.Env(), std::string(name) + " must be an array of integers");
  }
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> out(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) out[i] = ToInteger(array.Get(i), name);
  return out;
}

std::string ToText(const Napi::Object& o, const char* key) {
  const Napi::Value value = o.Get(key);
  if (!value.IsString()) throw InvalidArgument(o.Env(), std::string(key) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

ByteCodec ToCodec(Napi::Env env, const std::string& name) {
  constexpr std::pair<const char*, ByteCodec> names[] = {
      {"blosc", ByteCodec::kBlosc}, {"zstd", ByteCodec::kZstd}, {"gzip", ByteCodec::kGzip},
      {"zlib", ByteCodec::kZlib},   {"lz4", ByteCodec::kLz4},   {"crc32c", ByteCodec::kCrc32c}};
  for (const auto& [text, codec] : names) {
    if (name == text) return codec;
  }
  throw InvalidArgument(env, "unknown codec \"" + name + "\"");
}

DType ToDType(Napi::Env env, const std::string& name) {
  for (int i = 0; i < kDTypeCount; ++i) {
    if (DTypeName(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  throw InvalidArgument(env, "unknown dtype \"" + name + "\"");
}

ZarrArray ToArray(const Napi::Object& o) {
  const Napi::Env env = o.Env();
  ZarrArray a;
  a.dir = ToText(o, "path");
  a.key_prefix = ToText(o, "keyPrefix");
  a.separator = ToText(o, "separator") == "." ? '.' : '/';
  a.dtype = ToDType(env, ToText(o, "dtype"));
  a.big_endian = o.Get("bigEndian").ToBoolean();
  a.fill = o.Get("fill").ToNumber().DoubleValue();
  a.shape = ToIntegers(o.Get("shape"), "shape");
  a.chunk = ToIntegers(o.Get("chunk"), "chunk");
  if (!o.Get("shards").IsArray()) throw InvalidArgument(env, "shards must be an array");
  const auto shards = o.Get("shards").As<Napi::Array>();
  for (uint32_t i = 0; i < shards.Length(); ++i) {
    if (!shards.Get(i).IsObject()) throw InvalidArgument(env, "every shard must be an object");
    const auto s = shards.Get(i).As<Napi::Object>();
    a.shards.push_back({ToIntegers(s.Get("chunk"), "chunk"), s.Get("indexAtEnd").ToBoolean(),
                        s.Get("indexChecksum").ToBoolean()});
  }
  if (!o.Get("codecs").IsArray()) throw InvalidArgument(env, "codecs must be an array");
  const auto codecs = o.Get("codecs").As<Napi::Array>();
  for (uint32_t i = 0; i < codecs.Length(); ++i) {
    a.codecs.push_back(ToCodec(env, codecs.Get(i).ToString().Utf8Value()));
  }
  a.Check();
  return a;
}

class ReadZarrPlaneWorker final : public PromiseWorker {
 public:
  // Takes a lease of its own, as readPlane does for TIFFs.
  ReadZarrPlaneWorker(Napi::Env env, std::shared_ptr<TilePool> pool, Loan loan,
                      std::shared_ptr<const ZarrArray> array, std::vector<int64_t> index, int64_t y,
                      int64_t x, int64_t height, int64_t width, const Napi::Value& fetched)
      : PromiseWorker(env, "tilecast.readZarrPlane"),
        lease_(std::move(pool), loan),
        array_(std::move(array)),
        index_(std::move(index)),
        y_(y),
        x_(x),
        height_(height),
        width_(width) {
    if (!fetched.IsUndefined()) {
      chunks_ = ToFetchedChunks(fetched);
      fetched_ = Napi::Persistent(fetched.As<Napi::Object>());
    }
    lease_.Take();
  }

 protected:
  void Work() override {
    struct Finally {
      ReadZarrPlaneWorker& self;
      ~Finally() { self.lease_.Release(); }
    } const finally{*this};
    // Checked first: a size that no memory has must not overflow on its way to the slot's.
    if (height_ > array_->height() || width_ > array_->width()) {
      throw Error(Code::kOpShape, "the region is larger than the plane", array_->dir);
    }
    const Plane dst = PackedPlane(lease_.data(), array_->dtype, height_, width_);
    if (static_cast<double>(height_) * static_cast<double>(width_) *
            static_cast<double>(DTypeSize(array_->dtype)) >
        static_cast<double>(lease_.slot_bytes())) {
      throw Error(Code::kSlotTooSmall,
                  "a region of " + std::to_string(width_) + " x " + std::to_string(height_) +
                      " px of " + std::string(DTypeName(array_->dtype)) +
                      " does not fit into a slot of " + std::to_string(lease_.slot_bytes()) +
                      " bytes; create the pool with larger slots",
                  array_->dir);
    }
    // One a libuv thread: its buffers, codec contexts and decoded chunks are kept between calls.
    thread_local ZarrPlaneReader reader({size_t{64} << 20});
    if (fetched_.IsEmpty()) {
      reader.Read(*array_, index_, y_, x_, dst);
    } else {
      reader.Read(*array_, chunks_, index_, y_, x_, dst);
    }
    bytes_read_ = reader.bytes_read();
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object o = Napi::Object::New(env);
    o.Set("width", static_cast<double>(width_));
    o.Set("height", static_cast<double>(height_));
    o.Set("dtype", std::string(DTypeName(array_->dtype)));
    o.Set("bytesRead", static_cast<double>(bytes_read_));
    return o;
  }

 private:
  SlotLease lease_;
  std::shared_ptr<const ZarrArray> array_;
  std::vector<int64_t> index_;
  int64_t y_, x_, height_, width_;
  Napi::ObjectReference fetched_;  // keeps the bytes
  FetchedChunks chunks_;
  int64_t bytes_read_ = 0;
};

class StatZarrWorker final : public PromiseWorker {
 public:
  StatZarrWorker(Napi::Env env, std::shared_ptr<const ZarrArray> array)
      : PromiseWorker(env, "tilecast.statPlanes"), array_(std::move(array)) {}

 protected:
  void Work() override {
    const size_t n = array_->leading();
    for (size_t i = 0; i < n; ++i) {
      if (array_->shape[i] == 0) return;
    }
    // C order, as planes are numbered. Planes of one chunk have the same files, and lie in a row as
    // a rule.
    std::vector<int64_t> index(n, 0);
    std::vector<int64_t> previous;
    PlaneFiles files;
    for (;;) {
      std::vector<int64_t> chunk(n);
      for (size_t i = 0; i < n; ++i) chunk[i] = index[i] / array_->chunk[i];
      if (planes_.empty() || chunk != previous) files = StatPlane(*array_, index);
      previous = std::move(chunk);
      planes_.push_back(files.bytes);
      planes_.push_back(files.mtime_ms);
      size_t axis = n;
      while (axis > 0 && ++index[axis - 1] == array_->shape[axis - 1]) index[--axis] = 0;
      if (axis == 0) return;
    }
  }

  Napi::Value Result(Napi::Env env) override {
    auto out = Napi::Float64Array::New(env, planes_.size());
    std::copy(planes_.begin(), planes_.end(), out.Data());
    return out;
  }

 private:
  std::shared_ptr<const ZarrArray> array_;
  std::vector<double> planes_;
};

// The file of each level of a plane, for those who give it its name themselves.
class EncodePlaneWorker final : public PromiseWorker {
 public:
  EncodePlaneWorker(Napi::Env env, const Napi::TypedArray& pixels, const Plane& plane, int levels,
                    const ZarrEncoding& encoding)
      : PromiseWorker(env, "tilecast.encodeZarrPlane"),
        pixels_(Napi::Persistent(pixels.As<Napi::Object>())),
        plane_(plane),
        levels_(levels),
        encoding_(encoding) {}

 protected:
  void Work() override {
    // One a libuv thread: its buffers and codec contexts are kept between calls.
    thread_local PlaneWriter writer;
    thread_local RawBuffer scratch[2];
    Plane level = plane_;
    for (int i = 0; i < levels_; ++i) {
      if (i > 0) {
        Plane half =
            PackedPlane(nullptr, level.dtype, HalfSize(level.height), HalfSize(level.width));
        half.data =
            reinterpret_cast<std::byte*>(scratch[i % 2].Ensure(static_cast<size_t>(half.bytes())));
        HalveMean(level, half);
        level = half;
      }
      const std::span<const std::byte> file = writer.Encode(level, encoding_);
      files_.emplace_back(file.begin(), file.end());
    }
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Array all = Napi::Array::New(env, files_.size());
    for (size_t i = 0; i < files_.size(); ++i) {
      all.Set(static_cast<uint32_t>(i),
              Napi::Buffer<std::byte>::Copy(env, files_[i].data(), files_[i].size()));
    }
    return all;
  }

 private:
  Napi::ObjectReference pixels_;  // keeps them
  Plane plane_;
  int levels_;
  ZarrEncoding encoding_;
  std::vector<std::vector<std::byte>> files_;
};

// encodeZarrPlane(pixels, dtype, height, width, levels, encoding)
Napi::Value EncodeZarrPlane(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Rejecting(env, [&]() -> Napi::Value {
    constexpr auto max = static_cast<uint32_t>(std::numeric_limits<int32_t>::max());
    if (!info[0].IsTypedArray()) throw InvalidArgument(env, "pixels must be a typed array");
    if (!info[5].IsObject()) throw InvalidArgument(env, "encoding must be an object");
    const auto pixels = info[0].As<Napi::TypedArray>();
    const DType dtype = ToDType(env, info[1].ToString().Utf8Value());
    Plane plane = PackedPlane(nullptr, dtype, ToUint32(info[2], "height", max),
                              ToUint32(info[3], "width", max));
    if (pixels.ElementSize() != DTypeSize(dtype) || plane.height == 0 || plane.width == 0 ||
        static_cast<double>(plane.height) * static_cast<double>(plane.width) !=
            static_cast<double>(pixels.ElementLength())) {
      throw InvalidArgument(env, "pixels must be those of the plane");
    }
    plane.data = static_cast<std::byte*>(pixels.ArrayBuffer().Data()) + pixels.ByteOffset();
    const auto levels = static_cast<int>(ToUint32(info[4], "levels", 32));
    return (new EncodePlaneWorker(env, pixels, plane, levels,
                                  EncodingFrom(info[5].As<Napi::Object>())))
        ->Start();
  });
}

class ZarrArrayObject : public Napi::ObjectWrap<ZarrArrayObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ZarrArray",
                       {InstanceMethod<&ZarrArrayObject::ReadPlane>("readPlane"),
                        InstanceMethod<&ZarrArrayObject::StatPlanes>("statPlanes")});
  }

  // new ZarrArray({ path, keyPrefix, separator, dtype, bigEndian, fill, shape, chunk, shards,
  // codecs })
  explicit ZarrArrayObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ZarrArrayObject>(info) {
    Guard(info.Env(), [&] {
      if (!info[0].IsObject()) throw InvalidArgument(info.Env(), "expected an array's description");
      array_ = std::make_shared<const ZarrArray>(ToArray(info[0].As<Napi::Object>()));
    });
    info.This().As<Napi::Object>().TypeTag(&kTag);
  }

  const std::shared_ptr<const ZarrArray>& array() const { return array_; }

 private:
  // readPlane(pool, slot, generation, index, y, x, height, width[, fetched])
  Napi::Value ReadPlane(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return Rejecting(env, [&]() -> Napi::Value {
      std::shared_ptr<TilePool> pool = UnwrapPool(info[0]);
      constexpr auto max = std::numeric_limits<uint32_t>::max();
      const Loan loan{ToUint32(info[1], "slot", pool->slots() - 1),
                      ToUint32(info[2], "generation", max)};
      return (new ReadZarrPlaneWorker(env, std::move(pool), loan, array_, ToIndex(info[3]),
                                      ToInteger(info[4], "y"), ToInteger(info[5], "x"),
                                      ToInteger(info[6], "height"), ToInteger(info[7], "width"),
                                      info[8]))
          ->Start();
    });
  }

  Napi::Value StatPlanes(const Napi::CallbackInfo& info) {
    return Rejecting(info.Env(), [&]() -> Napi::Value {
      return (new StatZarrWorker(info.Env(), array_))->Start();
    });
  }

  std::shared_ptr<const ZarrArray> array_;
};

}  // namespace

std::shared_ptr<const ZarrArray> UnwrapZarrArray(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) {
    throw InvalidArgument(value.Env(), "array must be a ZarrArray of this addon");
  }
  return ZarrArrayObject::Unwrap(value.As<Napi::Object>())->array();
}

std::vector<int64_t> ToIndex(const Napi::Value& value) {
  return ToIntegers(value, "index");
}

FetchedChunks ToFetchedChunks(const Napi::Value& value) {
  if (!value.IsObject()) throw InvalidArgument(value.Env(), "fetched must be an object");
  const auto object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  FetchedChunks chunks;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Value name = names.Get(i);
    const Napi::Value file = object.Get(name);
    std::optional<FileParts> parts;
    if (file.IsObject()) {
      parts = ToParts(file.As<Napi::Object>());
    } else if (!file.IsNull()) {
      throw InvalidArgument(value.Env(), "fetched: every value must be a file's parts or null");
    }
    chunks.emplace(name.ToString().Utf8Value(), std::move(parts));
  }
  return chunks;
}

void InitZarr(Napi::Env env, Napi::Object exports) {
  exports.Set("ZarrArray", ZarrArrayObject::Define(env));
  exports.Set("encodeZarrPlane", Napi::Function::New(env, EncodeZarrPlane, "encodeZarrPlane"));
}

}  // namespace tilecast::bind
