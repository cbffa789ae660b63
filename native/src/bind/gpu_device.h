// SPDX-License-Identifier: MIT
// How other binding files get at the GPU behind a JavaScript value.
#pragma once

#include <memory>

#include "gpu/engine.h"
#include "napi_setup.h"

namespace tilecast::bind {

// The engine behind a NativeGpuDevice. Throws ERR_INVALID_ARGUMENT for anything else.
std::shared_ptr<gpu::Engine> UnwrapGpu(const Napi::Value& value);

}  // namespace tilecast::bind
