// SPDX-License-Identifier: MIT
// Argument checks shared by the ops.
#include "ops/check.h"

namespace tilecast {

namespace {

std::string Shape(int64_t height, int64_t width) {
  std::string text = "[";
  text += std::to_string(height);
  text += ", ";
  text += std::to_string(width);
  text += "]";
  return text;
}

std::string Sentence(std::string_view op, std::string_view argument, std::string_view expected,
                     std::string_view got) {
  std::string text(op);
  text += ": ";
  text += argument;
  text += " must ";
  text += expected;
  text += ", got ";
  text += got;
  return text;
}

}  // namespace

void RequireShape(std::string_view op, std::string_view argument, const Plane& plane,
                  int64_t height, int64_t width) {
  if (plane.height == height && plane.width == width) return;
  throw Error(Code::kOpShape, Sentence(op, argument, "have shape " + Shape(height, width),
                                       Shape(plane.height, plane.width)));
}

void RequireDType(std::string_view op, std::string_view argument, const Plane& plane, DType dtype) {
  if (plane.dtype == dtype) return;
  throw Error(Code::kOpDtype, Sentence(op, argument, "be " + std::string(DTypeName(dtype)),
                                       DTypeName(plane.dtype)));
}

void RequirePixels(std::string_view op, const Plane& plane) {
  if (plane.height > 0 && plane.width > 0) return;
  throw Error(Code::kInvalidArgument, Sentence(op, "the image", "have at least one pixel",
                                               "shape " + Shape(plane.height, plane.width)));
}

}  // namespace tilecast
