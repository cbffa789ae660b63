// SPDX-License-Identifier: MIT
// How other binding files get at the pool behind a JavaScript object.
#pragma once

#include <memory>

#include "napi_setup.h"
#include "shm/tile_pool.h"

namespace tilecast::bind {

// The pool behind a NativeTilePool of this very copy of the addon. Throws a JavaScript error:
// ERR_INVALID_ARGUMENT for anything else and for one that was opened read-only, ERR_POOL_CLOSED
// after close(). The pointer keeps the pool's memory mapped, also when JavaScript closes the pool
// meanwhile.
std::shared_ptr<TilePool> UnwrapPool(const Napi::Value& value);

}  // namespace tilecast::bind
