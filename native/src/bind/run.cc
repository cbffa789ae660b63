// SPDX-License-Identifier: MIT
// Runner: one executor, its programs and resources, and the batched way back into JavaScript.
#include <map>

#include "bind/bind.h"
#include "bind/gpu_device.h"
#include "bind/pool.h"
#include "bind/run_data.h"
#include "bind/run_gpu.h"
#include "exec/block_plan.h"
#include "exec/executor.h"
#include "ops/arithmetic.h"
#include "ops/kernels/kernels.h"
#include "tiff/tiff_reader.h"

namespace tilecast::bind {
namespace {

class Runner : public Napi::ObjectWrap<Runner> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Runner",
                       {
                           StaticMethod<&Runner::SlotsNeeded>("slotsNeeded"),
                           StaticMethod<&Runner::InBlocks>("inBlocks"),
                           InstanceMethod<&Runner::AddProgram>("addProgram"),
                           InstanceMethod<&Runner::AddField>("addField"),
                           InstanceMethod<&Runner::AddFieldFile>("addFieldFile"),
                           InstanceMethod<&Runner::AddEstimator>("addEstimator"),
                           InstanceMethod<&Runner::AddFunction>("addFunction"),
                           InstanceMethod<&Runner::FinishEstimator>("finishEstimator"),
                           InstanceMethod<&Runner::AddAligner>("addAligner"),
                           InstanceMethod<&Runner::FinishAligner>("finishAligner"),
                           InstanceMethod<&Runner::Field>("field"),
                           InstanceMethod<&Runner::Start>("start"),
                           InstanceMethod<&Runner::CompleteCall>("completeCall"),
                           InstanceMethod<&Runner::Cancel>("cancel"),
                           InstanceMethod<&Runner::Timings>("timings"),
                           InstanceMethod<&Runner::Processor>("processor"),
                           InstanceMethod<&Runner::Gpu>("gpu"),
                           InstanceMethod<&Runner::Views>("views"),
                           InstanceMethod<&Runner::Close>("close"),
                       });
  }

  // new Runner(pool, { threads, cores?, gpu?, notOnGpu?, image, labels, thumbnailPx, viewSlots?,
  // viewWaitMs? })
  explicit Runner(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Runner>(info) {
    Guard(info.Env(), [&] {
      auto pool = UnwrapPool(info[0]);
      const auto o = info[1].As<Napi::Object>();
      ExecutorOptions options;
      options.threads = std::max(1, IntOr(o, "threads", 1));
      options.cores = std::max(0, IntOr(o, "cores", 0));
      if (o.Get("gpu").IsObject()) options.gpu = UnwrapGpu(o.Get("gpu"));
      options.not_on_gpu = NamesFrom(o.Get("notOnGpu"));
      options.image_encoding = EncodingFrom(o.Get("image").As<Napi::Object>());
      options.label_encoding = EncodingFrom(o.Get("labels").As<Napi::Object>());
      options.thumbnail_px = std::max(8, IntOr(o, "thumbnailPx", 160));
      options.view_slots = std::max(0, IntOr(o, "viewSlots", 0));
      options.view_wait_ms = std::max(0, IntOr(o, "viewWaitMs", 0));
      if (const Napi::Value v = o.Get("objectBytes"); v.IsNumber())
        options.object_bytes = static_cast<uint64_t>(v.As<Napi::Number>().DoubleValue());
      executor_ = std::make_unique<Executor>(std::move(pool), options);
    });
    napi_add_env_cleanup_hook(info.Env(), &Runner::OnExit, this);
  }

  ~Runner() override {
    napi_remove_env_cleanup_hook(Env(), &Runner::OnExit, this);
    Stop();
  }

 private:
  // The loop is going away: no thread may call into it any more.
  static void OnExit(void* self) { static_cast<Runner*>(self)->Stop(); }

  void Stop() {
    if (!executor_) return;
    executor_->Cancel();
    FailCalls("the run was stopped");
    executor_->Join();
    borrowed_.Reset();
    if (running_) {
      running_ = false;
      on_results_.Release();
      on_call_.Release();
    }
  }

  void FailCalls(const char* why) {
    const std::lock_guard lock(calls_mutex_);
    stopped_ = true;
    for (auto& [id, call] : calls_) {
      call->failed = true;
      call->message = why;
      call->Complete();
    }
    calls_.clear();
  }

  Executor& executor() const {
    if (!executor_) throw Error(Code::kInvalidArgument, "the runner is closed");
    return *executor_;
  }

  static Napi::Value SlotsNeeded(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      Program program = ProgramFrom(info[0].As<Napi::Object>());
      program.Finalize();
      return Napi::Number::New(info.Env(), program.slots);
    });
  }

  // inBlocks(program): { slots, unfit }, the slots that a thread takes, and the first instruction
  // that needs its whole image in a tile, or -1.
  static Napi::Value InBlocks(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const Program program = ProgramFrom(info[0].As<Napi::Object>());
      const Job job = JobFrom(info[1].As<Napi::Object>());
      const BlockPlan plan(program, job);
      const Instruction* const unfit =
          plan.Unfit(static_cast<uint64_t>(info[2].As<Napi::Number>().DoubleValue()));
      Napi::Object out = Napi::Object::New(info.Env());
      out.Set("slots", BlockSlots(program));
      out.Set("unfit", unfit == nullptr ? -1.0 : static_cast<double>(unfit - program.code.data()));
      return out;
    });
  }

  Napi::Value AddProgram(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      return Napi::Number::New(info.Env(),
                               executor().AddProgram(ProgramFrom(info[0].As<Napi::Object>())));
    });
  }

  Napi::Value AddField(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const int64_t h = info[0].As<Napi::Number>().Int64Value();
      const int64_t w = info[1].As<Napi::Number>().Int64Value();
      const auto data = info[2].As<Napi::Float32Array>();
      if (static_cast<int64_t>(data.ElementLength()) != h * w) {
        throw Error(Code::kOpShape, "the illumination image's data does not have its shape");
      }
      return Napi::Number::New(info.Env(),
                               executor().AddField(h, w, {data.Data(), data.Data() + h * w}));
    });
  }

  // A TIFF of any dtype as a float32 field; returns { resource, height, width }.
  Napi::Value AddFieldFile(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      TiffReader reader;
      reader.Open(info[0].As<Napi::String>().Utf8Value());
      const TiffPage page = reader.page(0);
      std::vector<std::byte> raw(static_cast<size_t>(page.height * page.width) *
                                 DTypeSize(page.dtype));
      const Plane in = PackedPlane(raw.data(), page.dtype, page.height, page.width);
      reader.ReadPlane(0, 0, in);
      std::vector<float> field(static_cast<size_t>(in.pixels()));
      Rescale(in, 1, 0, PackedPlane(field.data(), DType::kF32, page.height, page.width));
      Napi::Object out = Napi::Object::New(info.Env());
      out.Set("resource", executor().AddField(page.height, page.width, std::move(field)));
      out.Set("height", static_cast<double>(page.height));
      out.Set("width", static_cast<double>(page.width));
      return out;
    });
  }

  Napi::Value AddEstimator(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      return Napi::Number::New(info.Env(),
                               executor().AddEstimator(info[0].As<Napi::Number>().Int64Value(),
                                                       info[1].As<Napi::Number>().Int64Value(),
                                                       info[2].As<Napi::Number>().Int64Value(),
                                                       info[3].As<Napi::Number>().Int32Value()));
    });
  }

  Napi::Value AddFunction(const Napi::CallbackInfo& info) {
    return Guard(info.Env(),
                 [&] { return Napi::Number::New(info.Env(), executor().AddFunction()); });
  }

  void FinishEstimator(const Napi::CallbackInfo& info) {
    Guard(info.Env(), [&] {
      constexpr std::pair<const char*, EstimateMethod> methods[] = {
          {"median", EstimateMethod::kMedian}, {"mean", EstimateMethod::kMean}};
      executor().FinishEstimator(info[0].As<Napi::Number>().Int32Value(),
                                 OneOf(info[1].As<Napi::String>().Utf8Value(), methods, "estimate"),
                                 info[2].As<Napi::Number>().DoubleValue());
    });
  }

  // addAligner(height, width, images, pairs: first, second, y, x of each; reach, upsample)
  Napi::Value AddAligner(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const auto list = info[3].As<Napi::Float64Array>();
      std::vector<AlignPair> pairs(list.ElementLength() / 4);
      for (size_t i = 0; i < pairs.size(); ++i) {
        const double* p = list.Data() + 4 * i;
        pairs[i] = {static_cast<int>(p[0]), static_cast<int>(p[1]), p[2], p[3]};
      }
      return Napi::Number::New(
          info.Env(),
          executor().AddAligner(std::make_unique<Aligner>(
              info[0].As<Napi::Number>().Int64Value(), info[1].As<Napi::Number>().Int64Value(),
              info[2].As<Napi::Number>().Int32Value(), std::move(pairs),
              info[4].As<Napi::Number>().DoubleValue(), info[5].As<Napi::Number>().Int32Value())));
    });
  }

  // Of each pair found (0 or 1), y, x, score, chance.
  Napi::Value FinishAligner(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const auto matches = executor().FinishAligner(info[0].As<Napi::Number>().Int32Value());
      auto out = Napi::Float64Array::New(info.Env(), 5 * matches.size());
      for (size_t i = 0; i < matches.size(); ++i) {
        const PairMatch& m = matches[i];
        const double row[] = {m.found ? 1.0 : 0.0, m.y, m.x, m.score, m.chance};
        std::copy(std::begin(row), std::end(row), out.Data() + 5 * i);
      }
      return out;
    });
  }

  Napi::Value Field(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const auto& field = executor().field(info[0].As<Napi::Number>().Int32Value());
      auto out = Napi::Float32Array::New(info.Env(), field.size());
      std::copy(field.begin(), field.end(), out.Data());
      return out;
    });
  }

  // start(jobs, onResults(results, finished), onCall(call))
  void Start(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Guard(env, [&] {
      if (running_) throw Error(Code::kInvalidArgument, "the runner is at work already");
      std::vector<Job> jobs;
      const auto list = info[0].As<Napi::Array>();
      jobs.reserve(list.Length());
      for (uint32_t i = 0; i < list.Length(); ++i) {
        const Napi::HandleScope scope(env);
        jobs.push_back(JobFrom(list.Get(i).As<Napi::Object>()));
        if (jobs.back().borrows && borrowed_.IsEmpty())
          borrowed_ = Napi::Persistent<Napi::Object>(list);
      }
      on_results_ = Napi::ThreadSafeFunction::New(env, info[1].As<Napi::Function>(),
                                                  "tilecast results", 0, 1);
      on_call_ =
          Napi::ThreadSafeFunction::New(env, info[2].As<Napi::Function>(), "tilecast calls", 0, 1);
      // A new token a run: what the one before left in its queue would hand this one's results to
      // the other's callback.
      alive_ = std::make_shared<int>(0);
      running_ = true;
      Ref();
      executor().Start(
          std::move(jobs),
          [this] {
            // What is queued may outlive this run and this object; the token tells, on the
            // JavaScript thread.
            on_results_.NonBlockingCall(
                [this, alive = std::weak_ptr<int>(alive_)](Napi::Env e, Napi::Function f) {
                  if (alive.lock()) Deliver(e, f);
                });
          },
          [this](FunctionCall* call) { Ask(call); });
    });
  }

  void Deliver(Napi::Env env, Napi::Function callback) {
    if (!running_ || env == nullptr) return;
    bool finished = false;
    std::vector<JobResult> results = executor_->Drain(&finished);
    if (results.empty() && !finished) return;
    auto out = Napi::Array::New(env, results.size());
    for (size_t i = 0; i < results.size(); ++i)
      out.Set(static_cast<uint32_t>(i), ResultObject(env, results[i]));
    if (finished) {
      executor_->Join();
      running_ = false;
      borrowed_.Reset();
      on_results_.Release();
      on_call_.Release();
      Unref();
    }
    callback.Call({out, Napi::Boolean::New(env, finished)});
  }

  // On a worker thread.
  void Ask(FunctionCall* call) {
    double id = 0;
    {
      const std::lock_guard lock(calls_mutex_);
      if (stopped_) {
        call->failed = true;
        call->message = "the run was stopped";
        call->Complete();
        return;
      }
      id = static_cast<double>(++last_call_);
      calls_[last_call_] = call;
    }
    on_call_.NonBlockingCall(
        [this, id, alive = std::weak_ptr<int>(alive_)](Napi::Env env, Napi::Function f) {
          if (env == nullptr || !alive.lock()) return;
          Napi::Object o = Napi::Object::New(env);
          {
            const std::lock_guard lock(calls_mutex_);
            const auto at = calls_.find(static_cast<uint64_t>(id));
            if (at == calls_.end()) return;
            const FunctionCall& c = *at->second;
            o.Set("id", id);
            o.Set("resource", c.resource);
            o.Set("slotIn", c.in.slot);
            o.Set("slotOut", c.out.slot);
            o.Set("height", static_cast<double>(c.image.height));
            o.Set("width", static_cast<double>(c.image.width));
            o.Set("dtype", std::string(DTypeName(c.image.dtype)));
            o.Set("outDtype", std::string(DTypeName(c.out_dtype)));
            o.Set("job", static_cast<double>(c.job->index));
            o.Set("source", static_cast<double>(c.source));
          }
          f.Call({o});
        });
  }

  // completeCall(id, error?: string)
  void CompleteCall(const Napi::CallbackInfo& info) {
    const std::lock_guard lock(calls_mutex_);
    const auto at = calls_.find(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
    if (at == calls_.end()) return;  // stopped meanwhile
    FunctionCall* call = at->second;
    calls_.erase(at);
    if (info[1].IsString()) {
      call->failed = true;
      call->message = info[1].As<Napi::String>().Utf8Value();
    }
    call->Complete();
  }

  void Cancel(const Napi::CallbackInfo&) {
    if (!executor_) return;
    executor_->Cancel();
    FailCalls("cancelled");
  }

  Napi::Value Timings(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const auto times = executor().Timings();
      auto out = Napi::Array::New(info.Env(), times.size());
      for (size_t i = 0; i < times.size(); ++i) {
        Napi::Object o = Napi::Object::New(info.Env());
        o.Set("stage", times[i].stage);
        o.Set("op", times[i].op);
        o.Set("seconds", times[i].seconds);
        out.Set(static_cast<uint32_t>(i), o);
      }
      return out;
    });
  }

  Napi::Value Processor(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const CpuTimes times = executor().Processor();
      Napi::Object o = Napi::Object::New(info.Env());
      o.Set("read", times.read);
      o.Set("compute", times.compute);
      o.Set("write", times.write);
      o.Set("blocked", times.blocked);
      return o;
    });
  }

  Napi::Value Gpu(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] { return AccountObject(info.Env(), executor().Gpu()); });
  }

  Napi::Value Views(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] {
      const ViewStats stats = executor().Views();
      Napi::Object o = Napi::Object::New(info.Env());
      o.Set("given", static_cast<double>(stats.given));
      o.Set("refused", static_cast<double>(stats.refused));
      o.Set("waitedMs", stats.waited_ms);
      o.Set("held", stats.held);
      return o;
    });
  }

  void Close(const Napi::CallbackInfo&) {
    const bool was_running = running_;
    Stop();
    executor_.reset();
    if (was_running) Unref();
  }

  std::unique_ptr<Executor> executor_;
  Napi::ThreadSafeFunction on_results_;
  Napi::ThreadSafeFunction on_call_;
  bool running_ = false;            // JavaScript's thread only
  Napi::ObjectReference borrowed_;  // jobs under way with fetched bytes: keeps those
  std::mutex calls_mutex_;
  std::map<uint64_t, FunctionCall*> calls_;
  uint64_t last_call_ = 0;
  bool stopped_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

void InitRun(Napi::Env env, Napi::Object exports) {
  exports.Set("Runner", Runner::Define(env));
  exports.Set("kernels", std::string(Kernels().name));
}

}  // namespace tilecast::bind
