// SPDX-License-Identifier: MIT
// TilePool for JavaScript: one object a pool, its memory as external ArrayBuffers, waiting
// through a thread-safe function.
#include "bind/pool.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "bind/bind.h"
#include "bind/pool_bridge.h"
#include "shm/sweep.h"

namespace tilecast::bind {
namespace {

class PoolObject;

// What one environment (the main thread, or a worker thread) holds. Lives as long as its `create`
// function.
struct Environment : std::enable_shared_from_this<Environment> {
  Napi::FunctionReference constructor;
  std::shared_ptr<TilePool>
      made;               // by `create`, `attach` or `open`, on its way into the constructor
  bool attached = false;  // not by `create`
  std::set<PoolObject*> open;
};

// Marks our objects. The second half is an address inside this copy of the addon: two copies loaded
// into one process (two versions in node_modules) never take each other's objects.
napi_type_tag PoolTag() {
  static const char here = 0;
  return {0x74696c652d706f6fULL, reinterpret_cast<uintptr_t>(&here)};
}

Napi::Error InvalidArgument(Napi::Env env, const std::string& message) {
  return ToJs(env, Error(Code::kInvalidArgument, message));
}

std::string Describe(const Napi::Value& value) {
  if (value.IsEmpty() || value.IsUndefined()) return "undefined";
  if (value.IsString()) return "\"" + value.As<Napi::String>().Utf8Value() + "\"";
  if (value.IsFunction()) return "a function";
  if (value.IsSymbol()) return "a symbol";
  if (value.IsObject()) return "an object";
  return value.ToString().Utf8Value();
}

uint64_t ToInteger(const Napi::Value& value, const char* name, uint64_t max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > static_cast<double>(max) || std::floor(number) != number) {
    throw InvalidArgument(value.Env(), std::string(name) + " must be an integer of 0 to " +
                                           std::to_string(max) + ", got " + Describe(value));
  }
  return static_cast<uint64_t>(number);
}

// A JavaScript engine ends the process where an ArrayBuffer is longer than it can be (4 GiB in Node
// 20), so that large pools have several, of whole slots.
constexpr uint64_t kBufferBytes = uint64_t{2} << 30;
constexpr uint64_t kMostSlotBytes = (uint64_t{4} << 30) - 4096;

constexpr uint64_t kMaxSafeInteger = (uint64_t{1} << 53) - 1;

class PoolObject : public Napi::ObjectWrap<PoolObject>, private Bridge::Owner {
 public:
  static Napi::Function Define(Napi::Env env, Environment* environment);

  explicit PoolObject(const Napi::CallbackInfo& info);
  ~PoolObject() override { CloseNative(); }

  // The pool, or ERR_POOL_CLOSED.
  const std::shared_ptr<TilePool>& Open(Napi::Env env) const {
    if (!pool_) throw ToJs(env, Error(Code::kPoolClosed, "the tile pool " + id_ + " is closed"));
    return pool_;
  }

  // Everything but the ArrayBuffers, so that it can run while the environment ends.
  void CloseNative();

 private:
  Napi::Value Buffers(const Napi::CallbackInfo&) { return buffers_.Value(); }
  Napi::Value SlotsPerBuffer(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), slots_per_buffer_);
  }
  Napi::Value Id(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), id_); }
  Napi::Value SlotBytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(last_.slot_bytes));
  }
  Napi::Value Slots(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), last_.slots);
  }
  Napi::Value TryLoan(const Napi::CallbackInfo& info);
  void AddLease(const Napi::CallbackInfo& info);
  void Release(const Napi::CallbackInfo& info);
  Napi::Value IsCurrent(const Napi::CallbackInfo& info);
  Napi::Value WhenFree(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value ExportSlot(const Napi::CallbackInfo& info);
  Napi::Value Unexport(const Napi::CallbackInfo& info);
  Napi::Value HandOver(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  // A slot for the oldest callback of `whenFree`, which takes it by calling tryLoan.
  void OnGrant(Bridge::Grant& grant) override;
  Napi::Object JsObject() override { return Value(); }
  void Balance();
  void Forget(uint64_t ticket);

  std::shared_ptr<TilePool> pool_;  // null after close
  bool attached_ = false;           // another thread or process made it and closes it
  std::shared_ptr<Environment> environment_;
  std::string id_;
  PoolStats last_;  // of the creation while open, of the end after close
  Napi::Reference<Napi::Array> buffers_;
  uint32_t slots_per_buffer_ = 1;

  struct Callback {
    uint64_t ticket;
    Napi::FunctionReference function;
  };
  Bridge* bridge_ = nullptr;  // made at the first whenFree
  std::deque<Callback> callbacks_;
  uint64_t next_ticket_ = 0;
  size_t wanted_ = 0;  // slots asked of the pool and not here yet; granted ones may be on their way
  bool waiting_ = false;
  std::optional<Loan> granted_;
  bool ended_ = false;  // this turn's callback gets no slot, but the reason
};

Loan ToLoan(const Napi::CallbackInfo& info) {
  // The hot path: numbers are taken as they are, and the pool refuses what does not fit.
  if (!info[0].IsNumber() || !info[1].IsNumber()) {
    throw InvalidArgument(info.Env(), "slot and generation must be numbers, got " +
                                          Describe(info[0]) + " and " + Describe(info[1]));
  }
  const double slot = info[0].As<Napi::Number>().DoubleValue();
  const double generation = info[1].As<Napi::Number>().DoubleValue();
  if (!(slot >= 0 && slot <= UINT32_MAX && generation >= 0 && generation <= UINT32_MAX)) {
    throw InvalidArgument(info.Env(), "slot and generation must be unsigned 32-bit integers, got " +
                                          Describe(info[0]) + " and " + Describe(info[1]));
  }
  return {static_cast<uint32_t>(slot), static_cast<uint32_t>(generation)};
}

// A view of `count` slots that keeps the memory mapped for as long as anything can see it, whatever
// becomes of the pool's object.
Napi::ArrayBuffer BufferOf(Napi::Env env, const std::shared_ptr<TilePool>& pool, uint32_t slot,
                           uint32_t count) {
  auto* keep = new std::shared_ptr<TilePool>(pool);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, pool->data(slot), count * pool->slot_bytes(),
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<TilePool>*>(hint); },
      keep, &buffer);
  if (status == napi_ok) return {env, buffer};
  delete keep;
  if (status == napi_no_external_buffers_allowed) {
    throw ToJs(env, Error(Code::kPoolMemory,
                          "this JavaScript runtime does not allow external ArrayBuffers "
                          "(Electron's memory cage), so it cannot see shared memory without a "
                          "copy: run tilecast in a Node process beside it"));
  }
  throw Napi::Error::New(env);
}

PoolObject::PoolObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PoolObject>(info) {
  const Napi::Env env = info.Env();
  auto* environment = static_cast<Environment*>(info.Data());
  const std::shared_ptr<TilePool> pool = std::exchange(environment->made, nullptr);
  if (!pool) throw InvalidArgument(env, "a TilePool is made by TilePool.create(slotBytes, slots)");
  slots_per_buffer_ = static_cast<uint32_t>(
      std::clamp<uint64_t>(kBufferBytes / pool->slot_bytes(), 1, pool->slots()));
  auto buffers = Napi::Array::New(env);
  for (uint32_t slot = 0; slot < pool->slots(); slot += slots_per_buffer_) {
    const uint32_t count = std::min(slots_per_buffer_, pool->slots() - slot);
    buffers.Set(buffers.Length(), BufferOf(env, pool, slot, count));
  }
  buffers_ = Napi::Persistent(buffers);
  const napi_type_tag tag = PoolTag();
  info.This().As<Napi::Object>().TypeTag(&tag);
  environment_ = environment->shared_from_this();
  environment_->open.insert(this);
  pool_ = pool;
  attached_ = environment->attached;
  id_ = pool_->id();
  last_ = pool_->Stats();
}

void PoolObject::CloseNative() {
  if (!pool_) return;
  environment_->open.erase(this);
  if (bridge_ != nullptr) {
    while (bridge_->Unwant(*pool_)) {
    }
    std::exchange(bridge_, nullptr)->Shut();
  }
  if (granted_) pool_->Release(*std::exchange(granted_, std::nullopt));
  if (!attached_) pool_->Close();
  last_ = pool_->Stats();
  pool_.reset();
}

void PoolObject::Close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!pool_) return;
  CloseNative();
  // Views of it become empty instead of dangling. Where somebody transferred the buffer away it is
  // detached already, and its new owner keeps the memory.
  const Napi::Array buffers = buffers_.Value();
  for (uint32_t i = 0; i < buffers.Length(); ++i) {
    auto buffer = buffers.Get(i).As<Napi::ArrayBuffer>();
    if (!buffer.IsDetached()) buffer.Detach();
  }
  if (waiting_) {
    waiting_ = false;
    Unref();
  }
  // Each waiting callback is called one last time: its tryLoan then throws ERR_POOL_CLOSED.
  std::exception_ptr error;
  for (const Callback& callback : std::exchange(callbacks_, {})) {
    try {
      callback.function.Call(env.Undefined(), {});
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

// Asks the pool for as many slots as callbacks wait. While any does, the process stays alive and so
// does this object.
void PoolObject::Balance() {
  if (bridge_ == nullptr) return;
  for (; wanted_ < callbacks_.size(); ++wanted_) bridge_->Want(*pool_);
  for (; wanted_ > callbacks_.size() && bridge_->Unwant(*pool_); --wanted_) {
  }
  const bool waiting = !callbacks_.empty();
  if (waiting == waiting_) return;
  waiting_ = waiting;
  bridge_->KeepAlive(Env(), waiting);
  if (waiting) {
    Ref();
  } else {
    Unref();
  }
}

Napi::Value PoolObject::TryLoan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto& pool = Open(env);
  Loan loan;
  if (ended_) {
    Guard(env, [&] { pool->ThrowEnd(); });
  } else if (granted_) {
    loan = *std::exchange(granted_, std::nullopt);
  } else if (!Guard(env, [&] { return pool->TryLoan(loan); })) {
    return env.Undefined();
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("slot", Napi::Number::New(env, loan.slot));
  object.Set("generation", Napi::Number::New(env, loan.generation));
  return object;
}

void PoolObject::AddLease(const Napi::CallbackInfo& info) {
  const auto& pool = Open(info.Env());
  Guard(info.Env(), [&] { pool->AddLease(ToLoan(info)); });
}

void PoolObject::Release(const Napi::CallbackInfo& info) {
  if (!pool_) return;  // closing gave everything back
  Guard(info.Env(), [&] { pool_->Release(ToLoan(info)); });
}

Napi::Value PoolObject::IsCurrent(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), pool_ && pool_->IsCurrent(ToLoan(info)));
}

std::string ToText(const Napi::Value& value, const char* name) {
  if (!value.IsString()) {
    throw InvalidArgument(value.Env(),
                          std::string(name) + " must be a string, got " + Describe(value));
  }
  return value.As<Napi::String>().Utf8Value();
}

Napi::Value PoolObject::ExportSlot(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto& pool = Open(env);
  const std::string name = ToText(info[2], "name");
  const auto reader = static_cast<uint32_t>(ToInteger(info[3], "readerPid", INT32_MAX));
  const PoolExport report = Guard(env, [&] { return pool->Export(ToLoan(info), name, reader); });
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", Napi::String::New(env, report.name));
  object.Set("copied", Napi::Boolean::New(env, report.copied));
  object.Set("reason", Napi::String::New(env, report.reason));
  object.Set("bytes", Napi::Number::New(env, static_cast<double>(report.bytes)));
  return object;
}

Napi::Value PoolObject::Unexport(const Napi::CallbackInfo& info) {
  const std::string name = ToText(info[0], "name");
  if (!pool_) return Napi::Boolean::New(info.Env(), false);
  return Napi::Boolean::New(info.Env(), Guard(info.Env(), [&] { return pool_->Unexport(name); }));
}

Napi::Value PoolObject::HandOver(const Napi::CallbackInfo& info) {
  const std::string name = ToText(info[0], "name");
  if (!pool_) return Napi::Boolean::New(info.Env(), false);
  return Napi::Boolean::New(info.Env(), Guard(info.Env(), [&] { return pool_->HandOver(name); }));
}

Napi::Value PoolObject::WhenFree(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto& pool = Open(env);
  if (!info[0].IsFunction()) {
    throw InvalidArgument(env, "callback must be a function, got " + Describe(info[0]));
  }
  if (bridge_ == nullptr) bridge_ = Bridge::New(env, pool, this);
  const uint64_t ticket = next_ticket_++;
  callbacks_.push_back({ticket, Napi::Persistent(info[0].As<Napi::Function>())});
  Guard(env, [&] { Balance(); });
  return Napi::Function::New(
      env, [this, ticket,
            self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(
                info.This().As<Napi::Object>()))](const Napi::CallbackInfo&) { Forget(ticket); });
}

void PoolObject::Forget(uint64_t ticket) {
  const auto found =
      std::find_if(callbacks_.begin(), callbacks_.end(),
                   [&](const Callback& callback) { return callback.ticket == ticket; });
  if (found == callbacks_.end()) return;
  callbacks_.erase(found);
  // Where its slot is on its way already, OnGrant passes it to the next callback, or back.
  Balance();
}

void PoolObject::OnGrant(Bridge::Grant& grant) {
  const Napi::Env env = Env();
  --wanted_;
  if (callbacks_.empty() || !pool_) return;  // the grant's destructor gives the slot back
  const Napi::FunctionReference callback = std::move(callbacks_.front().function);
  callbacks_.pop_front();
  Balance();
  if (grant.pool) {
    granted_ = grant.loan;
  } else {
    ended_ = true;
  }
  grant.pool.reset();
  const auto give_back = [&] {
    ended_ = false;
    if (granted_ && pool_) pool_->Release(*granted_);
    granted_.reset();
  };
  try {
    callback.Call(env.Undefined(), {});
  } catch (...) {
    give_back();
    throw;
  }
  give_back();
}

Napi::Value PoolObject::Stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const PoolStats stats = pool_ ? pool_->Stats() : last_;
  Napi::Object object = Napi::Object::New(env);
  object.Set("slots", Napi::Number::New(env, stats.slots));
  object.Set("free", Napi::Number::New(env, stats.free));
  object.Set("slotBytes", Napi::Number::New(env, static_cast<double>(stats.slot_bytes)));
  object.Set("loans", Napi::Number::New(env, static_cast<double>(stats.loans)));
  object.Set("waits", Napi::Number::New(env, static_cast<double>(stats.waits)));
  object.Set("peakInUse", Napi::Number::New(env, stats.peak_in_use));
  object.Set("processes", Napi::Number::New(env, stats.processes));
  object.Set("handedOver", Napi::Number::New(env, static_cast<double>(stats.handed_over)));
  object.Set("slotsMissing", Napi::Number::New(env, stats.missing));
  object.Set("spares", Napi::Number::New(env, stats.spares));
  return object;
}

Napi::Function PoolObject::Define(Napi::Env env, Environment* environment) {
  return DefineClass(env, "NativeTilePool",
                     {
                         InstanceAccessor<&PoolObject::Buffers>("buffers"),
                         InstanceAccessor<&PoolObject::SlotsPerBuffer>("slotsPerBuffer"),
                         InstanceAccessor<&PoolObject::Id>("id"),
                         InstanceAccessor<&PoolObject::SlotBytes>("slotBytes"),
                         InstanceAccessor<&PoolObject::Slots>("slots"),
                         InstanceMethod<&PoolObject::TryLoan>("tryLoan"),
                         InstanceMethod<&PoolObject::AddLease>("addLease"),
                         InstanceMethod<&PoolObject::Release>("release"),
                         InstanceMethod<&PoolObject::IsCurrent>("isCurrent"),
                         InstanceMethod<&PoolObject::WhenFree>("whenFree"),
                         InstanceMethod<&PoolObject::ExportSlot>("exportSlot"),
                         InstanceMethod<&PoolObject::Unexport>("unexport"),
                         InstanceMethod<&PoolObject::HandOver>("handOver"),
                         InstanceMethod<&PoolObject::Stats>("stats"),
                         InstanceMethod<&PoolObject::Close>("close"),
                     },
                     environment);
}

Napi::Value Create(const Napi::CallbackInfo& info, Environment& environment) {
  const uint64_t slot_bytes = ToInteger(info[0], "slotBytes", kMaxSafeInteger);
  if (slot_bytes > kMostSlotBytes) {
    throw InvalidArgument(info.Env(),
                          "slotBytes: a slot may have at most 4 GiB, which is what an "
                          "ArrayBuffer can hold, and is to have " +
                              std::to_string(slot_bytes) + " bytes");
  }
  const auto slots = static_cast<uint32_t>(ToInteger(info[1], "slots", UINT32_MAX));
  environment.made = Guard(info.Env(), [&] { return TilePool::Create(slot_bytes, slots); });
  environment.attached = false;
  return environment.constructor.New({});
}

Napi::Value Attach(const Napi::CallbackInfo& info, Environment& environment) {
  const Napi::Env env = info.Env();
  const std::string id = ToText(info[0], "id");
  environment.made = TilePool::Find(id);
  if (!environment.made) {
    throw ToJs(env, Error(Code::kPoolClosed, "this process has no open tile pool " + id));
  }
  environment.attached = true;
  return environment.constructor.New({});
}

Napi::Value OpenById(const Napi::CallbackInfo& info, Environment& environment) {
  const Napi::Env env = info.Env();
  const std::string id = ToText(info[0], "id");
  const std::string access = ToText(info[1], "access");
  const PoolAccess wanted = access == "write"  ? PoolAccess::kWrite
                            : access == "read" ? PoolAccess::kRead
                                               : PoolAccess::kObserve;
  environment.made = Guard(env, [&] { return TilePool::Open(id, wanted); });
  environment.attached = true;
  return environment.constructor.New({});
}

Napi::Value Sweep(const Napi::CallbackInfo& info) {
  const shm::SweepReport report = shm::SweepSharedMemory();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("pools", Napi::Number::New(info.Env(), report.pools));
  object.Set("objects", Napi::Number::New(info.Env(), report.objects));
  object.Set("bytes", Napi::Number::New(info.Env(), static_cast<double>(report.bytes)));
  return object;
}

}  // namespace

std::shared_ptr<TilePool> UnwrapPool(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  const napi_type_tag tag = PoolTag();
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag)) {
    throw InvalidArgument(
        env, "pool must be a native tile pool made by TilePool.create, got " + Describe(value));
  }
  const auto& pool = PoolObject::Unwrap(value.As<Napi::Object>())->Open(env);
  if (pool->access() != PoolAccess::kWrite) {
    throw InvalidArgument(env, "pool must be writable: " + pool->id() + " was opened read-only");
  }
  return pool;
}

void InitPool(Napi::Env env, Napi::Object exports) {
  const auto environment = std::make_shared<Environment>();
  environment->constructor = Napi::Persistent(PoolObject::Define(env, environment.get()));
  env.AddCleanupHook([environment] {
    while (!environment->open.empty()) (*environment->open.begin())->CloseNative();
    environment->constructor.Reset();
  });
  const auto create = [environment](const Napi::CallbackInfo& info) {
    return Create(info, *environment);
  };
  Napi::Object tile_pool = Napi::Object::New(env);
  tile_pool.Set("create", Napi::Function::New(env, create, "create"));
  const auto attach = [environment](const Napi::CallbackInfo& info) {
    return Attach(info, *environment);
  };
  tile_pool.Set("attach", Napi::Function::New(env, attach, "attach"));
  const auto open = [environment](const Napi::CallbackInfo& info) {
    return OpenById(info, *environment);
  };
  tile_pool.Set("open", Napi::Function::New(env, open, "open"));
  tile_pool.Set("sweep", Napi::Function::New(env, Sweep, "sweep"));
  exports.Set("TilePool", tile_pool);
}

}  // namespace tilecast::bind
