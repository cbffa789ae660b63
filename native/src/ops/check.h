// SPDX-License-Identifier: MIT
// Argument checks shared by the ops, with messages in the same words everywhere.
#pragma once

#include <string>
#include <string_view>

#include "error.h"
#include "image.h"

namespace tilecast {

// kOpShape unless plane is [height, width].
void RequireShape(std::string_view op, std::string_view argument, const Plane& plane,
                  int64_t height, int64_t width);
// kOpDtype unless plane has that dtype.
void RequireDType(std::string_view op, std::string_view argument, const Plane& plane, DType dtype);
// kInvalidArgument unless plane has a pixel.
void RequirePixels(std::string_view op, const Plane& plane);

}  // namespace tilecast
