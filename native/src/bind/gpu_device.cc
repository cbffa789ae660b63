// SPDX-License-Identifier: MIT
// The GPU as JavaScript holds it: opened on a libuv thread, an opaque handle, what it says of
// itself.
#include "bind/gpu_device.h"

#include "bind/bind.h"
#include "bind/promise.h"
#include "bind/run_data.h"

namespace tilecast::bind {
namespace {

constexpr napi_type_tag kTag = {0x7f3c5a2d91e04b68, 0x8d1e6f0b42c7a935};

using Handle = Napi::External<std::shared_ptr<gpu::Engine>>;

constexpr std::pair<const char*, gpu::PlaneAccess> kAccesses[] = {
    {"auto", gpu::PlaneAccess::kAuto},
    {"bind", gpu::PlaneAccess::kBind},
    {"copy", gpu::PlaneAccess::kCopy},
    {"stage", gpu::PlaneAccess::kStage}};

Napi::Object AdapterObject(Napi::Env env, const gpu::Engine& engine) {
  const gpu::AdapterFacts& f = engine.facts();
  Napi::Object o = Napi::Object::New(env);
  o.Set("name", f.name);
  o.Set("vendor", f.vendor);
  o.Set("driver", f.driver);
  o.Set("backend", f.backend);
  o.Set("library", f.library);
  o.Set("software", f.software);
  o.Set("discrete", f.discrete);
  o.Set("hostMapped", f.host_mapped);
  o.Set("hostMappedReason", f.host_mapped_reason);
  for (const auto& [name, access] : kAccesses) {
    if (access == engine.access()) o.Set("planes", name);
  }
  o.Set("maxBufferBytes", static_cast<double>(f.max_buffer_bytes));
  o.Set("maxBindingBytes", static_cast<double>(f.max_binding_bytes));
  return o;
}

class OpenGpuWorker final : public PromiseWorker {
 public:
  OpenGpuWorker(Napi::Env env, gpu::EngineOptions options)
      : PromiseWorker(env, "tilecast.openGpu"), options_(std::move(options)) {}

 protected:
  void Work() override { engine_ = gpu::Engine::Open(options_); }
  Napi::Value Result(Napi::Env env) override {
    const Handle handle =
        Handle::New(env, new std::shared_ptr<gpu::Engine>(engine_),
                    [](Napi::Env, std::shared_ptr<gpu::Engine>* engine) { delete engine; });
    handle.TypeTag(&kTag);
    Napi::Object o = Napi::Object::New(env);
    o.Set("handle", handle);
    o.Set("adapter", AdapterObject(env, *engine_));
    return o;
  }

 private:
  const gpu::EngineOptions options_;
  std::shared_ptr<gpu::Engine> engine_;
};

// openGpu({ adapter?, library?, planes? })
Napi::Value OpenGpu(const Napi::CallbackInfo& info) {
  return Rejecting(info.Env(), [&]() -> Napi::Value {
    gpu::EngineOptions options;
    if (info[0].IsObject()) {
      const auto o = info[0].As<Napi::Object>();
      const auto text = [&](const char* key) {
        const Napi::Value v = o.Get(key);
        return v.IsString() ? v.As<Napi::String>().Utf8Value() : std::string();
      };
      options.adapter = text("adapter");
      options.library = text("library");
      if (const auto planes = text("planes"); !planes.empty()) {
        options.planes = OneOf(planes, kAccesses, "way to the GPU");
      }
    }
    return (new OpenGpuWorker(info.Env(), std::move(options)))->Start();
  });
}

Napi::Value GpuStats(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    const gpu::EngineStats s = UnwrapGpu(info[0])->stats();
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("requests", static_cast<double>(s.requests));
    o.Set("submits", static_cast<double>(s.submits));
    o.Set("passes", static_cast<double>(s.passes));
    o.Set("bytesUp", static_cast<double>(s.bytes_up));
    o.Set("bytesDown", static_cast<double>(s.bytes_down));
    o.Set("imports", static_cast<double>(s.imports));
    o.Set("pipelines", static_cast<double>(s.pipelines));
    o.Set("devicesLost", static_cast<double>(s.devices_lost));
    o.Set("redone", static_cast<double>(s.redone));
    o.Set("encodeSeconds", s.encode_s);
    o.Set("waitSeconds", s.wait_s);
    return o;
  });
}

void CloseGpu(const Napi::CallbackInfo& info) {
  Guard(info.Env(), [&] { UnwrapGpu(info[0])->Close(); });
}

void LoseGpu(const Napi::CallbackInfo& info) {
  Guard(info.Env(), [&] { UnwrapGpu(info[0])->LoseDevice(); });
}

}  // namespace

std::shared_ptr<gpu::Engine> UnwrapGpu(const Napi::Value& value) {
  const Napi::Value handle =
      value.IsObject() ? value.As<Napi::Object>().Get("handle") : value.Env().Undefined();
  if (!handle.IsExternal() || !handle.As<Handle>().CheckTypeTag(&kTag)) {
    throw InvalidArgument(value.Env(), "gpu must be what openGpu gave");
  }
  return *handle.As<Handle>().Data();
}

void InitGpuDevice(Napi::Env env, Napi::Object exports) {
  exports.Set("openGpu", Napi::Function::New(env, OpenGpu, "openGpu"));
  exports.Set("gpuStats", Napi::Function::New(env, GpuStats, "gpuStats"));
  exports.Set("closeGpu", Napi::Function::New(env, CloseGpu, "closeGpu"));
  exports.Set("loseGpu", Napi::Function::New(env, LoseGpu, "loseGpu"));
}

}  // namespace tilecast::bind
