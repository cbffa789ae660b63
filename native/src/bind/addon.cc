// SPDX-License-Identifier: MIT
// The addon's entry point: one Init a noun.
#include "bind/bind.h"

namespace tilecast::bind {

Napi::Error ToJs(Napi::Env env, const Error& error) {
  Napi::Error js = Napi::Error::New(env, error.what());
  js.Set("code", Napi::String::New(env, std::string(CodeName(error.code()))));
  if (!error.path().empty()) js.Set("path", Napi::String::New(env, error.path()));
  if (error.page() >= 0) js.Set("page", Napi::Number::New(env, static_cast<double>(error.page())));
  if (error.offset() >= 0) {
    js.Set("offset", Napi::Number::New(env, static_cast<double>(error.offset())));
  }
  return js;
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Napi::Array codes = Napi::Array::New(env, kCodeCount);
  for (int i = 0; i < kCodeCount; ++i) {
    codes.Set(static_cast<uint32_t>(i), std::string(CodeName(static_cast<Code>(i))));
  }
  exports.Set("errorCodes", codes);
  InitPool(env, exports);
  InitChannel(env, exports);
  InitImages(env, exports);
  InitParts(env, exports);
  InitTiffWriter(env, exports);
  InitOps(env, exports);
  InitGpu(env, exports);
  InitGpuDevice(env, exports);
  InitRunGpu(env, exports);
  InitRun(env, exports);
  InitZarr(env, exports);
  InitBench(env, exports);
  return exports;
}

}  // namespace tilecast::bind

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return tilecast::bind::Init(env, exports);
}

NODE_API_MODULE(tilecast, InitAddon)
