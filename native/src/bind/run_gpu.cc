// SPDX-License-Identifier: MIT
// Segments for JavaScript: which a program has, how fast they are either way, what became of them.
#include "bind/run_gpu.h"

#include "bind/bind.h"
#include "bind/gpu_device.h"
#include "bind/promise.h"
#include "bind/run_data.h"
#include "exec/segment_trial.h"

namespace tilecast::bind {
namespace {

Napi::Array TextArray(Napi::Env env, const std::vector<std::string>& list) {
  auto out = Napi::Array::New(env, list.size());
  for (size_t i = 0; i < list.size(); ++i) out.Set(static_cast<uint32_t>(i), list[i]);
  return out;
}

Napi::Array OnCpu(Napi::Env env, const std::vector<CpuInstruction>& list) {
  auto out = Napi::Array::New(env, list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    Napi::Object o = Napi::Object::New(env);
    o.Set("stage", list[i].stage);
    o.Set("op", list[i].title);
    o.Set("reason", list[i].why);
    out.Set(static_cast<uint32_t>(i), o);
  }
  return out;
}

// gpuSegments(program, sources, notOnGpu?)
Napi::Value GpuSegments(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&] {
    const Program program = ProgramFrom(info[0].As<Napi::Object>());
    const std::set<std::string> left = NamesFrom(info[2]);
    const GpuPlan plan = PlanForGpu(program, ShapesFrom(info[1]),
                                    [&](const GpuSegment& s) { return left.count(s.key) == 0; });
    auto segments = Napi::Array::New(env, plan.segments.size());
    for (size_t i = 0; i < plan.segments.size(); ++i) {
      const GpuSegment& s = plan.segments[i];
      Napi::Object o = Napi::Object::New(env);
      o.Set("key", s.key);
      o.Set("title", s.title);
      o.Set("stages", TextArray(env, StagesOf(plan, s)));
      segments.Set(static_cast<uint32_t>(i), o);
    }
    Napi::Object out = Napi::Object::New(env);
    out.Set("segments", segments);
    out.Set("onCpu", OnCpu(env, plan.on_cpu));
    out.Set("slots", plan.slots);
    return out;
  });
}

class TrySegmentsWorker final : public PromiseWorker {
 public:
  TrySegmentsWorker(Napi::Env env, std::shared_ptr<gpu::Engine> engine, GpuPlan plan,
                    TrialOptions options)
      : PromiseWorker(env, "tilecast.trySegments"),
        engine_(std::move(engine)),
        plan_(std::move(plan)),
        options_(options) {}

 protected:
  void Work() override { rates_ = TrySegments(plan_, engine_, options_); }
  Napi::Value Result(Napi::Env env) override {
    auto out = Napi::Array::New(env, rates_.size());
    for (size_t i = 0; i < rates_.size(); ++i) {
      Napi::Object o = Napi::Object::New(env);
      o.Set("key", rates_[i].key);
      o.Set("cpu", rates_[i].cpu);
      o.Set("gpu", rates_[i].gpu);
      o.Set("why", rates_[i].why);
      out.Set(static_cast<uint32_t>(i), o);
    }
    return out;
  }

 private:
  const std::shared_ptr<gpu::Engine> engine_;
  const GpuPlan plan_;
  const TrialOptions options_;
  std::vector<SegmentRates> rates_;
};

// trySegments(gpu, program, sources, { cores, workers, seconds, skip })
Napi::Value TrySegmentsOf(const Napi::CallbackInfo& info) {
  return Rejecting(info.Env(), [&]() -> Napi::Value {
    const auto o = info[3].As<Napi::Object>();
    TrialOptions options;
    options.cores = std::max(1, IntOr(o, "cores", 1));
    options.workers = std::max(options.cores, IntOr(o, "workers", 1));
    options.seconds = o.Get("seconds").As<Napi::Number>().DoubleValue();
    const std::set<std::string> skip = NamesFrom(o.Get("skip"));
    GpuPlan plan = PlanForGpu(ProgramFrom(info[1].As<Napi::Object>()), ShapesFrom(info[2]),
                              [&](const GpuSegment& s) { return skip.count(s.key) == 0; });
    return (new TrySegmentsWorker(info.Env(), UnwrapGpu(info[0]), std::move(plan), options))
        ->Start();
  });
}

}  // namespace

std::set<std::string> NamesFrom(const Napi::Value& list) {
  std::set<std::string> names;
  if (!list.IsArray()) return names;
  const auto array = list.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    names.insert(array.Get(i).As<Napi::String>().Utf8Value());
  }
  return names;
}

std::vector<TileShape> ShapesFrom(const Napi::Value& list) {
  std::vector<TileShape> shapes;
  const auto array = list.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const auto o = array.Get(i).As<Napi::Object>();
    shapes.push_back({DTypeOfName(o.Get("dtype").ToString().Utf8Value()),
                      o.Get("height").As<Napi::Number>().Int64Value(),
                      o.Get("width").As<Napi::Number>().Int64Value()});
  }
  return shapes;
}

Napi::Object AccountObject(Napi::Env env, const GpuAccount& account) {
  auto segments = Napi::Array::New(env, account.segments.size());
  for (size_t i = 0; i < account.segments.size(); ++i) {
    const SegmentAccount& s = account.segments[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("key", s.key);
    o.Set("title", s.title);
    o.Set("stages", TextArray(env, s.stages));
    o.Set("tiles", static_cast<double>(s.tiles));
    o.Set("seconds", s.seconds);
    auto redone = Napi::Array::New(env);
    for (const auto& [reason, tiles] : s.redone) {
      Napi::Object r = Napi::Object::New(env);
      r.Set("reason", reason);
      r.Set("tiles", static_cast<double>(tiles));
      redone.Set(redone.Length(), r);
    }
    o.Set("redone", redone);
    segments.Set(static_cast<uint32_t>(i), o);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("segments", segments);
  out.Set("onCpu", OnCpu(env, account.on_cpu));
  return out;
}

void InitRunGpu(Napi::Env env, Napi::Object exports) {
  exports.Set("gpuSegments", Napi::Function::New(env, GpuSegments, "gpuSegments"));
  exports.Set("trySegments", Napi::Function::New(env, TrySegmentsOf, "trySegments"));
}

}  // namespace tilecast::bind
