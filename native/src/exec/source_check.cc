// SPDX-License-Identifier: MIT
// Compares size and dtype.
#include "exec/source_check.h"

namespace tilecast {

void CheckUnchanged(const Source& source, const TiffPage& page) {
  if (page.height != source.height || page.width != source.width || page.dtype != source.dtype) {
    const auto text = [](int64_t w, int64_t h, DType t) {
      return std::to_string(w) + " x " + std::to_string(h) + " " + std::string(DTypeName(t));
    };
    throw Error(Code::kOpShape,
                "the file changed since the plate was opened: it was " +
                    text(source.width, source.height, source.dtype) + " and is " +
                    text(page.width, page.height, page.dtype),
                source.path, source.page);
  }
}

}  // namespace tilecast
