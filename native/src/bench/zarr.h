// SPDX-License-Identifier: MIT
// The rate of writing planes as Zarr arrays.
#pragma once

#include <cstdint>
#include <string>

#include "zarr/plane_writer.h"

namespace tilecast::bench {

// Pixels a second of all threads together: Nuclei(side) compressed and written below `folder`, one
// shard a plane, over its own first ones after `most_bytes` of all threads' pixels together. The
// folder is left to the caller to remove. Throws kIo.
double MeasureZarrWrite(const std::string& folder, int64_t side, const ZarrEncoding& encoding,
                        uint64_t most_bytes, int threads, double seconds);

// The bytes that such a plane has on disk: writing as many is the limit. Leaves its file below
// `folder`.
int64_t ZarrPlaneBytes(const std::string& folder, int64_t side, const ZarrEncoding& encoding);

}  // namespace tilecast::bench
