// SPDX-License-Identifier: MIT
// How other binding files take files of which parts have been fetched.
#pragma once

#include "bind/bind.h"
#include "file_parts.h"

namespace tilecast::bind {

// { name, size, offsets: number[], parts: Uint8Array[] }, ascending, without overlaps. Borrows the
// bytes: keep `o`. Throws ERR_INVALID_ARGUMENT.
FileParts ToParts(const Napi::Object& o);

}  // namespace tilecast::bind
