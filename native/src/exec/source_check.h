// SPDX-License-Identifier: MIT
// Files change between the catalogue's look at them and the job that reads them.
#pragma once

#include "exec/program.h"
#include "tiff/tiff_reader.h"

namespace tilecast {

// kOpShape when the page is no longer what the catalogue says of the source.
void CheckUnchanged(const Source& source, const TiffPage& page);

}  // namespace tilecast
