// SPDX-License-Identifier: MIT
// How other binding files get at the array behind a JavaScript object.
#pragma once

#include <memory>
#include <vector>

#include "napi_setup.h"
#include "zarr/array.h"
#include "zarr/plane_reader.h"

namespace tilecast::bind {

// The description behind a NativeZarrArray of this very copy of the addon; ERR_INVALID_ARGUMENT for
// anything else.
std::shared_ptr<const ZarrArray> UnwrapZarrArray(const Napi::Value& value);

// A plane's place along the array's leading axes. Throws ERR_INVALID_ARGUMENT.
std::vector<int64_t> ToIndex(const Napi::Value& value);

// An object from names of files to their parts, or to null for those that there are not. Borrows
// the bytes: keep `value`. Throws ERR_INVALID_ARGUMENT.
FetchedChunks ToFetchedChunks(const Napi::Value& value);

}  // namespace tilecast::bind
