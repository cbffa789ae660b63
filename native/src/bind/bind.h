// SPDX-License-Identifier: MIT
// What the binding files share: one Init function a noun, and errors of the core as JavaScript
// errors.
#pragma once

#include "error.h"
#include "napi_setup.h"

namespace tilecast::bind {

void InitPool(Napi::Env env, Napi::Object exports);
void InitChannel(Napi::Env env, Napi::Object exports);
void InitImages(Napi::Env env, Napi::Object exports);
void InitParts(Napi::Env env, Napi::Object exports);
void InitTiffWriter(Napi::Env env, Napi::Object exports);
void InitOps(Napi::Env env, Napi::Object exports);
void InitGpu(Napi::Env env, Napi::Object exports);
void InitGpuDevice(Napi::Env env, Napi::Object exports);
void InitRunGpu(Napi::Env env, Napi::Object exports);
void InitRun(Napi::Env env, Napi::Object exports);
void InitZarr(Napi::Env env, Napi::Object exports);
void InitBench(Napi::Env env, Napi::Object exports);

// A JavaScript Error with `code` and, where known, `path`, `page`, `offset`.
Napi::Error ToJs(Napi::Env env, const Error& error);

// Runs f; an Error of the core is thrown as its JavaScript form.
template <class F>
auto Guard(Napi::Env env, F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Error& e) {
    throw ToJs(env, e);
  } catch (const std::bad_alloc&) {
    throw ToJs(env, Error(Code::kPoolMemory, "out of memory"));
  }
}

}  // namespace tilecast::bind
