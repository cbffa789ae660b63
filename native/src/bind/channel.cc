// SPDX-License-Identifier: MIT
// TileChannel for JavaScript: a thread for waiting senders and one for waiting receivers, and one
// crossing a batch.
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "bind/bind.h"
#include "shm/channel.h"

namespace tilecast::bind {
namespace {

Napi::Error InvalidArgument(Napi::Env env, const std::string& message) {
  return ToJs(env, Error(Code::kInvalidArgument, message));
}

// One waiting call and what became of it.
struct Call {
  std::vector<TileDescriptor> batch;  // to send, or room for what is received
  size_t received = 0;
  std::atomic<bool> cancel{false};
  std::optional<Error> error;
  Napi::FunctionReference done;  // (error, bytes)
};

void Complete(Napi::Env env, Call* call, bool receives);

// A thread that waits on the channel in JavaScript's stead, call after call. Made at the first
// call; joined before its environment goes.
class Waiter {
 public:
  // `keep` tells the owner, on the JavaScript thread, whether calls are under way: it must outlive
  // them.
  Waiter(std::shared_ptr<TileChannel> channel, bool receives, std::function<void(bool)> keep)
      : channel_(std::move(channel)), receives_(receives), keep_(std::move(keep)) {}

  void Start(Napi::Env env, std::shared_ptr<Call> call) {
    if (!thread_.joinable()) {
      function_ = Napi::ThreadSafeFunction::New(
          env, Napi::Function(),
          receives_ ? "tilecast.TileChannel.receive" : "tilecast.TileChannel.send", 0, 1);
      thread_ = std::thread([this] { Run(); });
    }
    if (pending_++ == 0) {
      function_.Ref(env);  // a waiting call keeps the process alive
      keep_(true);
    }
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(call));
    wake_.notify_one();
  }

  // On the JavaScript thread. Calls that still wait end with kCancelled; with `deliver` false
  // nobody hears of it, as the environment ends.
  void Stop(bool deliver) {
    if (!thread_.joinable()) return channel_.reset();
    {
      const std::lock_guard lock(mutex_);
      deliver_ = deliver;
      stop_ = true;
      for (const auto& call : queue_) call->cancel.store(true);
      if (current_) current_->cancel.store(true);
      wake_.notify_one();
    }
    channel_->WakeAll();
    thread_.join();
    channel_.reset();
    function_.Release();
  }

 private:
  void Run() {
    for (;;) {
      std::shared_ptr<Call> call;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
        if (queue_.empty()) return;
        call = current_ = std::move(queue_.front());
        queue_.pop_front();
      }
      try {
        if (receives_) {
          call->received = channel_->Receive(call->batch, &call->cancel);
        } else {
          channel_->Send(call->batch, &call->cancel);
        }
      } catch (const Error& error) {
        call->error = error;
      }
      bool deliver = true;
      {
        const std::lock_guard lock(mutex_);
        current_.reset();
        deliver = deliver_;
      }
      if (!deliver) continue;
      // The reference to a JavaScript function may only be dropped on its thread: the call travels.
      auto* travelling = new std::shared_ptr<Call>(std::move(call));
      const napi_status status = function_.NonBlockingCall(
          travelling, [this](Napi::Env env, Napi::Function, std::shared_ptr<Call>* held) {
            const std::unique_ptr<std::shared_ptr<Call>> owner(held);
            if (static_cast<napi_env>(env) == nullptr) return;
            Complete(env, held->get(), receives_);
            if (--pending_ != 0) return;
            // After Stop the function goes by itself when its queue is empty.
            if (channel_) function_.Unref(env);
            keep_(false);
          });
      if (status != napi_ok) delete travelling;
    }
  }

  std::shared_ptr<TileChannel> channel_;  // null after Stop
  const bool receives_;
  const std::function<void(bool)> keep_;
  Napi::ThreadSafeFunction function_;
  std::thread thread_;
  size_t pending_ = 0;  // of the JavaScript thread
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Call>> queue_;
  std::shared_ptr<Call> current_;
  bool stop_ = false;
  bool deliver_ = true;
};

Napi::Value ToBytes(Napi::Env env, const std::vector<TileDescriptor>& batch, size_t n) {
  Napi::ArrayBuffer bytes = Napi::ArrayBuffer::New(env, n * sizeof(TileDescriptor));
  if (n != 0) std::memcpy(bytes.Data(), batch.data(), n * sizeof(TileDescriptor));
  return bytes;
}

void Complete(Napi::Env env, Call* call, bool receives) {
  const Napi::HandleScope scope(env);
  const Napi::FunctionReference done = std::move(call->done);
  try {
    if (call->error) {
      done.Call({ToJs(env, *call->error).Value()});
    } else if (receives) {
      done.Call({env.Null(), ToBytes(env, call->batch, call->received)});
    } else {
      done.Call({env.Null()});
    }
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  }
}

std::vector<TileDescriptor> ToBatch(const Napi::Value& value) {
  if (!value.IsArrayBuffer()) {
    throw InvalidArgument(value.Env(), "batch must be an ArrayBuffer of 56-byte descriptors");
  }
  Napi::ArrayBuffer bytes = value.As<Napi::ArrayBuffer>();
  if (bytes.ByteLength() % sizeof(TileDescriptor) != 0) {
    throw InvalidArgument(value.Env(), "batch must be a multiple of 56 bytes, got " +
                                           std::to_string(bytes.ByteLength()));
  }
  std::vector<TileDescriptor> batch(bytes.ByteLength() / sizeof(TileDescriptor));
  if (!batch.empty()) std::memcpy(batch.data(), bytes.Data(), bytes.ByteLength());
  return batch;
}

class ChannelObject;

struct Environment {
  Napi::FunctionReference constructor;
  std::shared_ptr<TileChannel> made;
  bool made_here = false;
  std::set<ChannelObject*> open;
};

class ChannelObject : public Napi::ObjectWrap<ChannelObject> {
 public:
  static Napi::Function Define(Napi::Env env, Environment* environment) {
    return DefineClass(env, "NativeTileChannel",
                       {
                           InstanceAccessor<&ChannelObject::Id>("id"),
                           InstanceAccessor<&ChannelObject::Capacity>("capacity"),
                           InstanceMethod<&ChannelObject::TrySend>("trySend"),
                           InstanceMethod<&ChannelObject::TryReceive>("tryReceive"),
                           InstanceMethod<&ChannelObject::Send>("send"),
                           InstanceMethod<&ChannelObject::Receive>("receive"),
                           InstanceMethod<&ChannelObject::Stats>("stats"),
                           InstanceMethod<&ChannelObject::Close>("close"),
                       },
                       environment);
  }

  explicit ChannelObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ChannelObject>(info) {
    auto* environment = static_cast<Environment*>(info.Data());
    channel_ = std::exchange(environment->made, nullptr);
    if (!channel_) {
      throw InvalidArgument(info.Env(), "a TileChannel is made by TileChannel.create or open");
    }
    id_ = channel_->id();
    capacity_ = channel_->capacity();
    environment_ = environment;
    environment_->open.insert(this);
    made_here_ = environment->made_here;
    const auto keep = [this](bool alive) {
      if (alive) {
        Ref();
      } else {
        Unref();
      }
    };
    sender_ = std::make_unique<Waiter>(channel_, false, keep);
    receiver_ = std::make_unique<Waiter>(channel_, true, keep);
  }
  ~ChannelObject() override { Shut(false); }

  // Ends the waiting threads, and the channel where this object made it.
  void Shut(bool deliver) {
    if (!channel_) return;
    environment_->open.erase(this);
    sender_->Stop(deliver);
    receiver_->Stop(deliver);
    if (made_here_) channel_->Close();
    channel_.reset();
  }

 private:
  const std::shared_ptr<TileChannel>& Open(Napi::Env env) const {
    if (!channel_)
      throw ToJs(env, Error(Code::kPoolClosed, "the tile channel " + id_ + " is closed"));
    return channel_;
  }
  Napi::Value Id(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), id_); }
  Napi::Value Capacity(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), capacity_);
  }

  Napi::Value TrySend(const Napi::CallbackInfo& info) {
    const auto& channel = Open(info.Env());
    const std::vector<TileDescriptor> batch = ToBatch(info[0]);
    return Napi::Number::New(info.Env(), static_cast<double>(Guard(
                                             info.Env(), [&] { return channel->TrySend(batch); })));
  }

  Napi::Value TryReceive(const Napi::CallbackInfo& info) {
    const auto& channel = Open(info.Env());
    // Kept: a poll that finds nothing must not cost a batch's memory.
    const size_t most = Most(info[0]);
    if (batch_.size() < most) batch_.resize(most);
    const double spin_us = info[1].IsNumber() ? info[1].As<Napi::Number>().DoubleValue() : 0;
    if (!(spin_us >= 0 && spin_us <= 1000000)) {
      throw InvalidArgument(info.Env(), "spinUs must be a number of 0 to 1000000");
    }
    const size_t n = channel->TryReceive({batch_.data(), most}, static_cast<uint32_t>(spin_us));
    return ToBytes(info.Env(), batch_, n);
  }

  // (batch, done): gives a function that withdraws the call.
  Napi::Value Send(const Napi::CallbackInfo& info) {
    Open(info.Env());
    auto call = std::make_shared<Call>();
    call->batch = ToBatch(info[0]);
    return Wait(info, *sender_, call);
  }
  // (most, done): as send; done is called with an empty batch when the channel is closed.
  Napi::Value Receive(const Napi::CallbackInfo& info) {
    Open(info.Env());
    auto call = std::make_shared<Call>();
    call->batch.resize(Most(info[0]));
    return Wait(info, *receiver_, call);
  }

  Napi::Value Wait(const Napi::CallbackInfo& info, Waiter& waiter,
                   const std::shared_ptr<Call>& call) {
    const Napi::Env env = info.Env();
    if (!info[1].IsFunction()) throw InvalidArgument(env, "done must be a function");
    call->done = Napi::Persistent(info[1].As<Napi::Function>());
    waiter.Start(env, call);
    const std::weak_ptr<Call> weak = call;
    const std::weak_ptr<TileChannel> woken = channel_;
    return Napi::Function::New(env, [weak, woken](const Napi::CallbackInfo&) {
      if (const auto waiting = weak.lock()) waiting->cancel.store(true);
      if (const auto channel = woken.lock()) channel->WakeAll();
    });
  }

  size_t Most(const Napi::Value& value) const {
    const double most = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
    if (!(most >= 1)) throw InvalidArgument(value.Env(), "most must be a number of at least 1");
    return most < capacity_ ? static_cast<size_t>(most) : capacity_;
  }

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const ChannelStats stats = Open(env)->Stats();
    Napi::Object object = Napi::Object::New(env);
    const auto set = [&](const char* name, uint64_t value) {
      object.Set(name, Napi::Number::New(env, static_cast<double>(value)));
    };
    set("capacity", stats.capacity);
    set("processes", stats.processes);
    set("sent", stats.sent);
    set("received", stats.received);
    set("skipped", stats.skipped);
    set("lost", stats.lost);
    return object;
  }

  void Close(const Napi::CallbackInfo&) { Shut(true); }

  Environment* environment_ = nullptr;
  bool made_here_ = false;
  std::vector<TileDescriptor> batch_;  // of TryReceive
  std::shared_ptr<TileChannel> channel_;
  std::string id_;
  uint32_t capacity_ = 0;
  std::unique_ptr<Waiter> sender_, receiver_;
};

}  // namespace

void InitChannel(Napi::Env env, Napi::Object exports) {
  // Objects may be finalized after the clean-up hook: the environment's record outlives both.
  const auto environment = std::make_shared<Environment>();
  environment->constructor = Napi::Persistent(ChannelObject::Define(env, environment.get()));
  env.AddCleanupHook([environment] {
    while (!environment->open.empty()) (*environment->open.begin())->Shut(false);
    environment->constructor.Reset();
  });
  Napi::Object tile_channel = Napi::Object::New(env);
  const auto create = [environment](const Napi::CallbackInfo& info) {
    const double capacity = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
    const auto cells =
        capacity >= 0 && capacity <= UINT32_MAX ? static_cast<uint32_t>(capacity) : 0;
    environment->made = Guard(info.Env(), [&] { return TileChannel::Create(cells); });
    environment->made_here = true;
    return environment->constructor.New({});
  };
  tile_channel.Set("create", Napi::Function::New(env, create, "create"));
  const auto open = [environment](const Napi::CallbackInfo& info) {
    const std::string id = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
    environment->made = Guard(info.Env(), [&] { return TileChannel::Open(id); });
    environment->made_here = false;
    return environment->constructor.New({});
  };
  tile_channel.Set("open", Napi::Function::New(env, open, "open"));
  exports.Set("TileChannel", tile_channel);
}

}  // namespace tilecast::bind
