// SPDX-License-Identifier: MIT
// What `tilecast bench` measures in native code: each function works on threads of its own and
// gives a rate.
#include <functional>
#include <string>
#include <utility>

#include "bench/files.h"
#include "bench/handoff.h"
#include "bench/kernels.h"
#include "bench/memory.h"
#include "bench/tiff.h"
#include "bench/zarr.h"
#include "bind/promise.h"

namespace tilecast::bind {
namespace {

constexpr uint32_t kMaxSide = 16384;
constexpr double kMaxSeconds = 600;

double ToNumber(const Napi::Value& value, const char* name, double max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > max) {
    throw InvalidArgument(value.Env(), std::string(name) + " must be a number of at least 0");
  }
  return number;
}

uint64_t ToBytes(const Napi::Value& value, const char* name) {
  return static_cast<uint64_t>(ToNumber(value, name, kMaxInteger));
}

std::string ToText(const Napi::Value& value, const char* name) {
  if (!value.IsString()) {
    throw InvalidArgument(value.Env(), std::string(name) + " must be a string");
  }
  return value.As<Napi::String>().Utf8Value();
}

class MeasureWorker final : public PromiseWorker {
 public:
  MeasureWorker(Napi::Env env, std::function<double()> measure)
      : PromiseWorker(env, "tilecast.bench"), measure_(std::move(measure)) {}

 protected:
  void Work() override { result_ = measure_(); }
  Napi::Value Result(Napi::Env env) override { return Napi::Number::New(env, result_); }

 private:
  std::function<double()> measure_;
  double result_ = 0;
};

// Every measurement ends with its threads and the time that it may take.
struct Effort {
  int threads;
  double seconds;
  Effort(const Napi::CallbackInfo& info, size_t at)
      : threads(static_cast<int>(ToUint32(info[at], "threads", 4096))),
        seconds(ToNumber(info[at + 1], "seconds", kMaxSeconds)) {}
};

bench::MemoryAccess ToAccess(const Napi::Value& value) {
  using bench::MemoryAccess;
  constexpr std::pair<const char*, MemoryAccess> names[] = {
      {"read", MemoryAccess::kRead},
      {"copy", MemoryAccess::kCopy},
      {"stream-copy", MemoryAccess::kStreamCopy},
      {"fresh-shared", MemoryAccess::kFreshShared},
      {"warm-shared", MemoryAccess::kWarmShared}};
  const std::string name = ToText(value, "access");
  for (const auto& [text, access] : names) {
    if (name == text) return access;
  }
  throw InvalidArgument(value.Env(), "unknown access \"" + name + "\"");
}

ZarrEncoding ToEncoding(const Napi::Value& codec, const Napi::Value& level) {
  constexpr std::pair<const char*, ChunkCodec> names[] = {{"none", ChunkCodec::kNone},
                                                          {"blosc-lz4", ChunkCodec::kBloscLz4},
                                                          {"blosc-zstd", ChunkCodec::kBloscZstd},
                                                          {"zstd", ChunkCodec::kZstd}};
  const std::string name = ToText(codec, "codec");
  ZarrEncoding encoding;
  encoding.level = static_cast<int>(ToUint32(level, "level", 22));
  encoding.separator = '.';
  for (const auto& [text, value] : names) {
    if (name != text) continue;
    encoding.codec = value;
    return encoding;
  }
  throw InvalidArgument(codec.Env(), "unknown codec \"" + name + "\"");
}

// memory(access, bytes, threads, seconds)
std::function<double()> Memory(const Napi::CallbackInfo& info) {
  const auto access = ToAccess(info[0]);
  const uint64_t bytes = ToBytes(info[1], "bytes");
  const Effort effort(info, 2);
  return [=] { return bench::MeasureMemory(access, bytes, effort.threads, effort.seconds); };
}

// readFile(path, block, threads, seconds)
std::function<double()> ReadFile(const Napi::CallbackInfo& info) {
  const std::string path = ToText(info[0], "path");
  const uint64_t block = ToBytes(info[1], "block");
  const Effort effort(info, 2);
  return [=] { return bench::MeasureFileRead(path, block, effort.threads, effort.seconds); };
}

// writeFiles(folder, bytes, sync, mostBytes, threads, seconds)
std::function<double()> WriteFiles(const Napi::CallbackInfo& info) {
  const std::string folder = ToText(info[0], "folder");
  const uint64_t bytes = ToBytes(info[1], "bytes");
  const bool sync = info[2].ToBoolean();
  const uint64_t most = ToBytes(info[3], "mostBytes");
  const Effort effort(info, 4);
  return [=] {
    return bench::MeasureFileWrite(folder, bytes, sync, most, effort.threads, effort.seconds);
  };
}

// writeTiff(path, compression, side)
std::function<double()> WriteTiff(const Napi::CallbackInfo& info) {
  const std::string path = ToText(info[0], "path");
  const std::string compression = ToText(info[1], "compression");
  const int64_t side = ToUint32(info[2], "side", kMaxSide);
  return [=] { return static_cast<double>(bench::WriteTestTiff(path, compression, side)); };
}

// readTiff(path, threads, seconds)
std::function<double()> ReadTiff(const Napi::CallbackInfo& info) {
  const std::string path = ToText(info[0], "path");
  const Effort effort(info, 1);
  return [=] { return bench::MeasureTiffRead(path, effort.threads, effort.seconds); };
}

// decodeTiff(path, threads, seconds)
std::function<double()> DecodeTiff(const Napi::CallbackInfo& info) {
  const std::string path = ToText(info[0], "path");
  const Effort effort(info, 1);
  return [=] { return bench::MeasureTiffCodec(path, effort.threads, effort.seconds); };
}

// writeZarr(folder, side, codec, level, mostBytes, threads, seconds)
std::function<double()> WriteZarr(const Napi::CallbackInfo& info) {
  const std::string folder = ToText(info[0], "folder");
  const int64_t side = ToUint32(info[1], "side", kMaxSide);
  const ZarrEncoding encoding = ToEncoding(info[2], info[3]);
  const uint64_t most = ToBytes(info[4], "mostBytes");
  const Effort effort(info, 5);
  return [=] {
    return bench::MeasureZarrWrite(folder, side, encoding, most, effort.threads, effort.seconds);
  };
}

// zarrBytes(folder, side, codec, level)
std::function<double()> ZarrBytes(const Napi::CallbackInfo& info) {
  const std::string folder = ToText(info[0], "folder");
  const int64_t side = ToUint32(info[1], "side", kMaxSide);
  const ZarrEncoding encoding = ToEncoding(info[2], info[3]);
  return [=] { return static_cast<double>(bench::ZarrPlaneBytes(folder, side, encoding)); };
}

// kernel(name, side, threads, seconds)
std::function<double()> Kernel(const Napi::CallbackInfo& info) {
  const std::string name = ToText(info[0], "name");
  const int64_t side = ToUint32(info[1], "side", kMaxSide);
  const Effort effort(info, 2);
  return [=] { return bench::MeasureKernel(name, side, effort.threads, effort.seconds); };
}

bench::HandoffEnds ToEnds(const Napi::CallbackInfo& info) {
  using bench::HandoffKind;
  const std::string kind = ToText(info[0], "kind");
  bench::HandoffEnds ends;
  ends.kind = kind == "line"    ? HandoffKind::kLine
              : kind == "futex" ? HandoffKind::kFutex
                                : HandoffKind::kTile;
  ends.pool = ToText(info[1], "pool");
  ends.out = ToText(info[2], "out");
  ends.in = ToText(info[3], "in");
  ends.spin_us = ToUint32(info[4], "spinUs", 1000000);
  return ends;
}

// handoffPing(kind, pool, out, in, spinUs, seconds)
std::function<double()> HandoffPing(const Napi::CallbackInfo& info) {
  const bench::HandoffEnds ends = ToEnds(info);
  const double seconds = ToNumber(info[5], "seconds", kMaxSeconds);
  return [=] { return bench::HandoffPing(ends, seconds); };
}

// handoffEcho(kind, pool, out, in, spinUs)
std::function<double()> HandoffEcho(const Napi::CallbackInfo& info) {
  return [ends = ToEnds(info)] {
    bench::HandoffEcho(ends);
    return 0.0;
  };
}

// handoffStop(kind, pool, out, in, spinUs)
std::function<double()> HandoffStop(const Napi::CallbackInfo& info) {
  return [ends = ToEnds(info)] {
    bench::HandoffStop(ends);
    return 0.0;
  };
}

// handoffFlood(channel)
std::function<double()> HandoffFlood(const Napi::CallbackInfo& info) {
  return [id = ToText(info[0], "channel")] { return bench::HandoffFlood(id); };
}

// fillSlots(slotBytes, slots, pooled, seconds)
std::function<double()> FillSlots(const Napi::CallbackInfo& info) {
  const uint64_t bytes = ToBytes(info[0], "slotBytes");
  const uint32_t slots = ToUint32(info[1], "slots", 32768);
  const bool pooled = info[2].ToBoolean();
  const double seconds = ToNumber(info[3], "seconds", kMaxSeconds);
  return [=] { return bench::MeasureSlotFill(bytes, slots, pooled, seconds); };
}

template <std::function<double()> (*parse)(const Napi::CallbackInfo&)>
Napi::Value Measure(const Napi::CallbackInfo& info) {
  return Rejecting(info.Env(), [&]() -> Napi::Value {
    return (new MeasureWorker(info.Env(), parse(info)))->Start();
  });
}

}  // namespace

void InitBench(Napi::Env env, Napi::Object exports) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("memory", Napi::Function::New(env, Measure<Memory>, "memory"));
  o.Set("readFile", Napi::Function::New(env, Measure<ReadFile>, "readFile"));
  o.Set("writeFiles", Napi::Function::New(env, Measure<WriteFiles>, "writeFiles"));
  o.Set("writeTiff", Napi::Function::New(env, Measure<WriteTiff>, "writeTiff"));
  o.Set("readTiff", Napi::Function::New(env, Measure<ReadTiff>, "readTiff"));
  o.Set("decodeTiff", Napi::Function::New(env, Measure<DecodeTiff>, "decodeTiff"));
  o.Set("writeZarr", Napi::Function::New(env, Measure<WriteZarr>, "writeZarr"));
  o.Set("zarrBytes", Napi::Function::New(env, Measure<ZarrBytes>, "zarrBytes"));
  o.Set("kernel", Napi::Function::New(env, Measure<Kernel>, "kernel"));
  o.Set("handoffPing", Napi::Function::New(env, Measure<HandoffPing>, "handoffPing"));
  o.Set("handoffEcho", Napi::Function::New(env, Measure<HandoffEcho>, "handoffEcho"));
  o.Set("handoffStop", Napi::Function::New(env, Measure<HandoffStop>, "handoffStop"));
  o.Set("handoffFlood", Napi::Function::New(env, Measure<HandoffFlood>, "handoffFlood"));
  o.Set("fillSlots", Napi::Function::New(env, Measure<FillSlots>, "fillSlots"));
  Napi::Array kernels = Napi::Array::New(env);
  for (const bench::KernelInfo& k : bench::MeasuredKernels()) {
    Napi::Object kernel = Napi::Object::New(env);
    kernel.Set("name", std::string(k.name));
    kernel.Set("bytesRead", k.bytes_read);
    kernel.Set("bytesWritten", k.bytes_written);
    kernels.Set(kernels.Length(), kernel);
  }
  o.Set("kernels", kernels);
  o.Set("hasStreamCopy", bench::HasAccess(bench::MemoryAccess::kStreamCopy));
  exports.Set("bench", o);
}

}  // namespace tilecast::bind
