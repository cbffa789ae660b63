// SPDX-License-Identifier: MIT
// Async functions of the addon: work on a libuv thread, a promise, and arguments that reject
// instead of throwing.
#pragma once

#include <cmath>
#include <limits>
#include <new>
#include <optional>
#include <string>

#include "bind/bind.h"

namespace tilecast::bind {

inline Napi::Error InvalidArgument(Napi::Env env, const std::string& message) {
  return ToJs(env, Error(Code::kInvalidArgument, message));
}

// The largest integer that JavaScript counts exactly.
inline constexpr double kMaxInteger = 9007199254740991.0;

inline uint32_t ToUint32(const Napi::Value& value, const char* name, uint32_t max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > max || std::floor(number) != number) {
    throw InvalidArgument(value.Env(),
                          std::string(name) + " must be an integer of 0 to " + std::to_string(max));
  }
  return static_cast<uint32_t>(number);
}

// From 0 to kMaxInteger.
inline int64_t ToInteger(const Napi::Value& value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > kMaxInteger || std::floor(number) != number) {
    throw InvalidArgument(value.Env(), std::string(name) + " must be an integer of at least 0");
  }
  return static_cast<int64_t>(number);
}

// A promise that work on a libuv thread settles. Subclasses keep what the work needs and makes; an
// Error of the core rejects.
class PromiseWorker : public Napi::AsyncWorker {
 public:
  Napi::Promise Start() {
    const Napi::Promise promise = deferred_.Promise();
    Queue();
    return promise;
  }

 protected:
  PromiseWorker(Napi::Env env, const char* name)
      : Napi::AsyncWorker(env, name), deferred_(Napi::Promise::Deferred::New(env)) {}

  virtual void Work() = 0;                        // on the libuv thread
  virtual Napi::Value Result(Napi::Env env) = 0;  // on JavaScript's thread

 private:
  void Execute() final {
    try {
      Work();
    } catch (const Error& e) {
      error_ = e;
    } catch (const std::bad_alloc&) {
      error_ = Error(Code::kIo, "out of memory");
    }
  }
  void OnOK() final {
    if (error_) {
      deferred_.Reject(ToJs(Env(), *error_).Value());
      return;
    }
    try {
      deferred_.Resolve(Result(Env()));
    } catch (const Napi::Error& e) {
      deferred_.Reject(e.Value());
    }
  }
  void OnError(const Napi::Error& e) final { deferred_.Reject(e.Value()); }

  Napi::Promise::Deferred deferred_;
  std::optional<Error> error_;
};

// An async function never throws: what is wrong with its arguments rejects the promise.
template <class F>
Napi::Value Rejecting(Napi::Env env, F&& start) {
  try {
    return Guard(env, [&] { return start(); });
  } catch (const Napi::Error& e) {
    auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(e.Value());
    return deferred.Promise();
  }
}

}  // namespace tilecast::bind
