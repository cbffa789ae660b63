// SPDX-License-Identifier: MIT
// The one error type of the native core: a stable code, a sentence, and the place in a file it is
// about.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace tilecast {

// Codes are stable and shared with lib/errors.ts (a test compares the two lists).
enum class Code : uint8_t {
  kInvalidArgument,
  kIo,               // the operating system refused: open, read, write, mkdir
  kTiffDamaged,      // not a TIFF, truncated, or fields that contradict each other
  kTiffUnsupported,  // a valid TIFF that neither the fast path nor libtiff reads
  kZarrDamaged,      // a chunk, shard or frame that is truncated or contradicts itself
  kZarrUnsupported,  // a valid Zarr array of a kind or codec that is not read
  kPoolMemory,       // shared memory cannot be had
  kPoolClosed,
  kPoolNotFound,  // no pool or channel of that name in another process
  kPoolVersion,   // it is there, but of another layout
  kSlotReleased,  // use after release, or a second release
  kSlotTooSmall,
  kOpDtype,   // an op met a dtype that it does not take
  kOpShape,   // images of one op disagree in shape
  kFunction,  // a user's function threw
  kCancelled,
  kGpuUnavailable,  // no device that computes, or no library to reach it
  kGpuFailed,       // the device was lost, or refuses a kernel or a size
  kInternal,
};

std::string_view CodeName(Code code);  // "ERR_TIFF_DAMAGED"
inline constexpr int kCodeCount = static_cast<int>(Code::kInternal) + 1;

class Error : public std::exception {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  Error(Code code, std::string message, std::string path, int64_t page = -1, int64_t offset = -1);

  Code code() const { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }
  // The file it is about, or empty; its page (0-based) and byte offset, or -1.
  const std::string& path() const { return path_; }
  int64_t page() const { return page_; }
  int64_t offset() const { return offset_; }

 private:
  Code code_;
  std::string message_;  // complete: names path, page and offset too
  std::string path_;
  int64_t page_ = -1;
  int64_t offset_ = -1;
};

// An Error of kIo with errno's text.
[[nodiscard]] Error IoError(std::string_view doing, const std::string& path, int err);

}  // namespace tilecast
