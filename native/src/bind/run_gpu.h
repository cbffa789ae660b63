// SPDX-License-Identifier: MIT
// What the bindings of a run say of the GPU's share.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "exec/gpu_work.h"
#include "napi_setup.h"

namespace tilecast::bind {

std::set<std::string> NamesFrom(const Napi::Value& list);
std::vector<TileShape> ShapesFrom(const Napi::Value& list);
Napi::Object AccountObject(Napi::Env env, const GpuAccount& account);

}  // namespace tilecast::bind
