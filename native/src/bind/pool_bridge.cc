// SPDX-License-Identifier: MIT
// Bridge: a thread-safe function with a lifetime that outlasts both its JavaScript thread and the
// pool's threads.
#include "bind/pool_bridge.h"

#include <utility>

namespace tilecast::bind {

Bridge::Bridge(Napi::Env env, std::weak_ptr<TilePool> pool, Owner* owner)
    : owner_(owner), env_(env), pool_(std::move(pool)) {
  function_ = Function::New(
      env, "tilecast.TilePool.whenFree", 0, 1, this,
      [](Napi::Env, Bridge* self, Bridge*) { self->Unuse(); }, this);
  function_.Unref(env);
  // Hooks run last in, first out, so this one comes before the function's own.
  napi_add_env_cleanup_hook(env, OnEnvironmentEnd, this);
}

void Bridge::KeepAlive(Napi::Env env, bool alive) {
  if (alive) {
    function_.Ref(env);
  } else {
    function_.Unref(env);
  }
}

void Bridge::Want(TilePool& pool) {
  uses_.fetch_add(1);
  try {
    pool.LoanAsync(Deliver, this);
  } catch (...) {
    Unuse();
    throw;
  }
}

bool Bridge::Unwant(TilePool& pool) {
  if (!pool.CancelAsync(this)) return false;
  Unuse();
  return true;
}

void Bridge::Shut() {
  owner_ = nullptr;
  bool was_open = false;
  {
    const std::lock_guard lock(mutex_);
    was_open = std::exchange(open_, false);
  }
  if (was_open) {
    napi_remove_env_cleanup_hook(env_, OnEnvironmentEnd, this);
    function_.Release();
  }
  Unuse();
}

void Bridge::Unuse() {
  if (uses_.fetch_sub(1) == 1) delete this;
}

// A TilePool::LoanCallback: from any thread.
void Bridge::Deliver(void* context, const Loan* loan) {
  auto* bridge = static_cast<Bridge*>(context);
  {
    auto grant = std::make_unique<Grant>();
    if (loan != nullptr) {
      grant->pool = bridge->pool_.lock();
      grant->loan = *loan;
    }
    const std::lock_guard lock(bridge->mutex_);
    if (bridge->open_ && bridge->function_.NonBlockingCall(grant.get()) == napi_ok) {
      // The function's queue owns it now. NOLINTNEXTLINE(bugprone-unused-return-value)
      grant.release();
    }
  }
  bridge->Unuse();
}

void Bridge::OnEnvironmentEnd(void* data) {
  auto* bridge = static_cast<Bridge*>(data);
  const std::lock_guard lock(bridge->mutex_);
  bridge->open_ = false;
}

void Bridge::CallJs(Napi::Env env, Napi::Function, Bridge* bridge, Grant* data) {
  const std::unique_ptr<Grant> grant(data);
  if (env == nullptr || bridge == nullptr || bridge->owner_ == nullptr) return;
  const Napi::HandleScope scope(env);
  // The callback may drop the last reference to the owner.
  [[maybe_unused]] const Napi::Object alive = bridge->owner_->JsObject();
  try {
    bridge->owner_->OnGrant(*grant);
  } catch (const Napi::Error& error) {
    // An exception that merely left this function would be a deprecation warning (DEP0168) and
    // then lost.
    napi_fatal_exception(env, error.Value());
  }
}

}  // namespace tilecast::bind
