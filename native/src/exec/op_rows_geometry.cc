// SPDX-License-Identifier: MIT
// Rows of the geometry ops: results of another size than their input.
#include "exec/op_registry.h"

namespace tilecast {

std::vector<OpRow> GeometryRows() {
  return {};
}

}  // namespace tilecast
