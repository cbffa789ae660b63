// SPDX-License-Identifier: MIT
// The way of a slot from the thread that freed it to the JavaScript thread that waits for it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "napi_setup.h"
#include "shm/tile_pool.h"

namespace tilecast::bind {

// The pool calls Deliver from whichever thread freed a slot; `open_` turns false, under the mutex,
// before the environment takes the thread-safe function away. Counted by its users: the owner, the
// thread-safe function, and every LoanAsync under way.
class Bridge {
 public:
  // A slot on its way. Who wants it takes `pool` out; else the destructor gives it back. Without a
  // pool: there will be none.
  struct Grant {
    std::shared_ptr<TilePool> pool;
    Loan loan;
    ~Grant() {
      if (pool) pool->Release(loan);
    }
  };
  class Owner {
   public:
    // On the JavaScript thread, inside a handle scope.
    virtual void OnGrant(Grant& grant) = 0;
    // Kept alive during OnGrant.
    virtual Napi::Object JsObject() = 0;

   protected:
    ~Owner() = default;
  };

  // All of these on the JavaScript thread. `Shut` is the last call of the owner.
  static Bridge* New(Napi::Env env, std::weak_ptr<TilePool> pool, Owner* owner) {
    return new Bridge(env, std::move(pool), owner);
  }
  // Whether the thread-safe function keeps the event loop running; at first it does not.
  void KeepAlive(Napi::Env env, bool alive);
  // One more slot is wanted. Throws as TilePool::LoanAsync.
  void Want(TilePool& pool);
  // One less; false when none waits: it is on its way.
  bool Unwant(TilePool& pool);
  void Shut();

 private:
  static void CallJs(Napi::Env env, Napi::Function, Bridge* bridge, Grant* data);
  using Function = Napi::TypedThreadSafeFunction<Bridge, Grant, CallJs>;

  Bridge(Napi::Env env, std::weak_ptr<TilePool> pool, Owner* owner);
  ~Bridge() = default;
  static void Deliver(void* context, const Loan* loan);
  static void OnEnvironmentEnd(void* data);
  void Unuse();

  Owner* owner_;  // null once it is gone
  napi_env env_;
  std::weak_ptr<TilePool> pool_;
  Function function_;
  std::mutex mutex_;
  bool open_ = true;
  std::atomic<int> uses_{2};  // the owner and the thread-safe function
};

}  // namespace tilecast::bind
