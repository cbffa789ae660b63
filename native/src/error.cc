// SPDX-License-Identifier: MIT
// Error codes as text, and messages that carry their place.
#include "error.h"

#include <cstring>

namespace tilecast {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "ERR_INVALID_ARGUMENT";
    case Code::kIo:
      return "ERR_IO";
    case Code::kTiffDamaged:
      return "ERR_TIFF_DAMAGED";
    case Code::kTiffUnsupported:
      return "ERR_TIFF_UNSUPPORTED";
    case Code::kZarrDamaged:
      return "ERR_ZARR_DAMAGED";
    case Code::kZarrUnsupported:
      return "ERR_ZARR_UNSUPPORTED";
    case Code::kPoolMemory:
      return "ERR_POOL_MEMORY";
    case Code::kPoolClosed:
      return "ERR_POOL_CLOSED";
    case Code::kPoolNotFound:
      return "ERR_POOL_NOT_FOUND";
    case Code::kPoolVersion:
      return "ERR_POOL_VERSION";
    case Code::kSlotReleased:
      return "ERR_SLOT_RELEASED";
    case Code::kSlotTooSmall:
      return "ERR_SLOT_TOO_SMALL";
    case Code::kOpDtype:
      return "ERR_OP_DTYPE";
    case Code::kOpShape:
      return "ERR_OP_SHAPE";
    case Code::kFunction:
      return "ERR_FUNCTION";
    case Code::kCancelled:
      return "ERR_CANCELLED";
    case Code::kGpuUnavailable:
      return "ERR_GPU_UNAVAILABLE";
    case Code::kGpuFailed:
      return "ERR_GPU_FAILED";
    case Code::kInternal:
      return "ERR_INTERNAL";
  }
  return "ERR_INTERNAL";
}

namespace {
std::string WithPlace(std::string message, const std::string& path, int64_t page, int64_t offset) {
  if (path.empty()) return message;
  std::string place = path;
  if (page >= 0) place += ", page " + std::to_string(page);
  if (offset >= 0) place += ", byte " + std::to_string(offset);
  return place + ": " + message;
}
}  // namespace

Error::Error(Code code, std::string message, std::string path, int64_t page, int64_t offset)
    : code_(code),
      message_(WithPlace(std::move(message), path, page, offset)),
      path_(std::move(path)),
      page_(page),
      offset_(offset) {}

Error IoError(std::string_view doing, const std::string& path, int err) {
  return Error(Code::kIo, std::string(doing) + " failed: " + std::strerror(err), path);
}

}  // namespace tilecast
