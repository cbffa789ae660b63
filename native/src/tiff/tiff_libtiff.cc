// SPDX-License-Identifier: MIT
// Binding to libtiff through dlopen: no header and no link dependency, so that tilecast works where
// it is missing.
#include "tiff/tiff_libtiff.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "error.h"

namespace tilecast {
namespace {

// The part of tiffio.h (libtiff 4.0 and later) that is used here.
struct Tiff;
struct OpenOptions;
using Size = int64_t;     // tmsize_t
using Offset = uint64_t;  // toff_t
using Handle = void*;     // thandle_t
using ReadProc = Size (*)(Handle, void*, Size);
using SeekProc = Offset (*)(Handle, Offset, int);
using CloseProc = int (*)(Handle);
using SizeProc = Offset (*)(Handle);
using MapProc = int (*)(Handle, void**, Offset*);
using UnmapProc = void (*)(Handle, void*, Offset);
using GlobalHandler = void (*)(const char*, const char*, va_list);
using Handler = int (*)(Tiff*, void*, const char*, const char*, va_list);

constexpr uint32_t kTagJpegColorMode = 65538;
constexpr int kJpegColorModeRgb = 1;
constexpr int kOrientationTopLeft = 1;
// A damaged field must not make libtiff ask for more than this at once; far above any real strip.
constexpr Size kMaxSingleAllocation = Size{1} << 31;

struct Library {
  const char* (*GetVersion)() = nullptr;
  Tiff* (*ClientOpen)(const char*, const char*, Handle, ReadProc, ReadProc, SeekProc, CloseProc,
                      SizeProc, MapProc, UnmapProc) = nullptr;
  void (*Close)(Tiff*) = nullptr;
  int (*SetSubDirectory)(Tiff*, uint64_t) = nullptr;
  int (*SetField)(Tiff*, uint32_t, ...) = nullptr;
  int (*IsCodecConfigured)(uint16_t) = nullptr;
  Size (*ReadEncodedStrip)(Tiff*, uint32_t, void*, Size) = nullptr;
  Size (*ReadEncodedTile)(Tiff*, uint32_t, void*, Size) = nullptr;
  int (*ReadRGBAImageOriented)(Tiff*, uint32_t, uint32_t, uint32_t*, int, int) = nullptr;
  GlobalHandler (*SetErrorHandler)(GlobalHandler) = nullptr;
  GlobalHandler (*SetWarningHandler)(GlobalHandler) = nullptr;
  // libtiff 4.5: handlers of one file, so that other users of the library in this process keep
  // theirs.
  OpenOptions* (*OpenOptionsAlloc)() = nullptr;
  void (*OpenOptionsFree)(OpenOptions*) = nullptr;
  void (*OpenOptionsSetErrorHandlerExtR)(OpenOptions*, Handler, void*) = nullptr;
  void (*OpenOptionsSetWarningHandlerExtR)(OpenOptions*, Handler, void*) = nullptr;
  void (*OpenOptionsSetMaxSingleMemAlloc)(OpenOptions*, Size) = nullptr;
  Tiff* (*ClientOpenExt)(const char*, const char*, Handle, ReadProc, ReadProc, SeekProc, CloseProc,
                         SizeProc, MapProc, UnmapProc, OpenOptions*) = nullptr;
  bool loaded = false;
  bool per_file() const {
    return OpenOptionsAlloc != nullptr && OpenOptionsFree != nullptr &&
           OpenOptionsSetErrorHandlerExtR != nullptr &&
           OpenOptionsSetWarningHandlerExtR != nullptr && ClientOpenExt != nullptr;
  }
};

// libtiff before 4.5 reports to one handler a process, on the thread that made the call.
thread_local std::string* current_message = nullptr;

std::string Format(const char* format, va_list args) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, args);
  return text;
}

void OnGlobalError(const char*, const char* format, va_list args) {
  if (current_message != nullptr && current_message->empty())
    *current_message = Format(format, args);
}

int OnError(Tiff*, void* user, const char*, const char* format, va_list args) {
  // The first message is the cause; what follows are its consequences.
  auto* message = static_cast<std::string*>(user);
  if (message->empty()) *message = Format(format, args);
  return 1;
}
int OnWarning(Tiff*, void*, const char*, const char*, va_list) {
  return 1;
}

const Library& Load() {
  static const Library library = [] {
    Library lib;
    void* handle = nullptr;
#ifdef __APPLE__
    constexpr const char* names[] = {"libtiff.6.dylib", "libtiff.5.dylib", "libtiff.dylib"};
#else
    constexpr const char* names[] = {"libtiff.so.6", "libtiff.so.5"};
#endif
    for (const char* name : names) {
      handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (handle != nullptr) break;
    }
    if (handle == nullptr) return lib;
    bool complete = true;
    const auto find = [&](auto& function, const char* name, bool required) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(handle, name));
      if (required && function == nullptr) complete = false;
    };
    find(lib.GetVersion, "TIFFGetVersion", true);
    find(lib.ClientOpen, "TIFFClientOpen", true);
    find(lib.Close, "TIFFClose", true);
    find(lib.SetSubDirectory, "TIFFSetSubDirectory", true);
    find(lib.SetField, "TIFFSetField", true);
    find(lib.IsCodecConfigured, "TIFFIsCODECConfigured", true);
    find(lib.ReadEncodedStrip, "TIFFReadEncodedStrip", true);
    find(lib.ReadEncodedTile, "TIFFReadEncodedTile", true);
    find(lib.ReadRGBAImageOriented, "TIFFReadRGBAImageOriented", true);
    find(lib.SetErrorHandler, "TIFFSetErrorHandler", true);
    find(lib.SetWarningHandler, "TIFFSetWarningHandler", true);
    find(lib.OpenOptionsAlloc, "TIFFOpenOptionsAlloc", false);
    find(lib.OpenOptionsFree, "TIFFOpenOptionsFree", false);
    find(lib.OpenOptionsSetErrorHandlerExtR, "TIFFOpenOptionsSetErrorHandlerExtR", false);
    find(lib.OpenOptionsSetWarningHandlerExtR, "TIFFOpenOptionsSetWarningHandlerExtR", false);
    find(lib.OpenOptionsSetMaxSingleMemAlloc, "TIFFOpenOptionsSetMaxSingleMemAlloc", false);
    find(lib.ClientOpenExt, "TIFFClientOpenExt", false);
    lib.loaded = complete;
    if (complete && !lib.per_file()) {
      lib.SetErrorHandler(OnGlobalError);
      lib.SetWarningHandler(nullptr);
    }
    return lib;
  }();
  return library;
}

std::string NotReadable(const TiffDirectory& d, const std::string& why) {
  return TiffCompressionName(d.page.compression) + " compression " + why;
}

}  // namespace

std::string LibtiffVersion() {
  if (!Load().loaded) return "";
  // "LIBTIFF, Version 4.5.0\nCopyright ..."
  const std::string text = Load().GetVersion();
  const size_t at = text.find("Version ");
  if (at == std::string::npos) return text.substr(0, text.find('\n'));
  return text.substr(at + 8, text.find('\n', at) - at - 8);
}

struct LibtiffDecoder::Impl {
  TiffFile& file;
  const TiffDirectory& directory;
  const Library& lib = Load();
  Tiff* tiff = nullptr;
  uint64_t position = 0;
  std::string message;

  Impl(TiffFile& f, const TiffDirectory& d) : file(f), directory(d) {}
  ~Impl() {
    const Scope scope(*this);
    if (tiff != nullptr) lib.Close(tiff);
  }

  // Collects messages of this file while it lives.
  struct Scope {
    explicit Scope(Impl& impl) : before(current_message) {
      impl.message.clear();
      current_message = &impl.message;
    }
    ~Scope() { current_message = before; }
    std::string* before;
  };

  static Size Read(Handle handle, void* dst, Size n) {
    auto& self = *static_cast<Impl*>(handle);
    auto* out = static_cast<uint8_t*>(dst);
    Size total = 0;
    while (total < n) {
      const int64_t got =
          self.file.ReadSome(self.position, static_cast<uint64_t>(n - total), out + total);
      if (got <= 0) break;
      total += got;
      self.position += static_cast<uint64_t>(got);
    }
    return total;
  }
  static Size Write(Handle, void*, Size) { return 0; }
  static Offset Seek(Handle handle, Offset offset, int whence) {
    auto& self = *static_cast<Impl*>(handle);
    if (whence == SEEK_CUR) offset += self.position;
    if (whence == SEEK_END) offset += self.file.size();
    return self.position = offset;
  }
  static int CloseFile(Handle) { return 0; }
  static Offset FileSize(Handle handle) { return static_cast<Impl*>(handle)->file.size(); }
  static int Map(Handle, void**, Offset*) { return 0; }
  static void Unmap(Handle, void*, Offset) {}

  [[noreturn]] void Fail(const std::string& what, int64_t offset = -1) const {
    const std::string text = what + (message.empty() ? "" : " (libtiff: " + message + ")");
    if (offset >= 0) file.Damaged(text, static_cast<uint64_t>(offset));
    file.Damaged(text);
  }
};

LibtiffDecoder::LibtiffDecoder(TiffFile& file, const TiffDirectory& directory)
    : impl_(std::make_unique<Impl>(file, directory)) {
  Impl& self = *impl_;
  const Library& lib = self.lib;
  if (!lib.loaded) {
    file.Unsupported(NotReadable(
        directory,
        "needs libtiff, which is not installed; install it: apt-get install libtiff6 (Debian, "
        "Ubuntu; libtiff5 on older ones), "
        "dnf install libtiff (Fedora, RHEL), conda install libtiff, brew install libtiff"));
  }
  if (lib.IsCodecConfigured(directory.page.compression) == 0) {
    file.Unsupported(
        NotReadable(directory, "is not supported by the libtiff " + LibtiffVersion() +
                                   " on this machine; rewrite the file as deflate or LZW"));
  }
  const Impl::Scope scope(self);
  // m: no memory mapping, c: strips as they are in the file.
  constexpr const char* mode = "rmc";
  if (lib.per_file()) {
    OpenOptions* options = lib.OpenOptionsAlloc();
    if (options == nullptr) throw std::bad_alloc();
    lib.OpenOptionsSetErrorHandlerExtR(options, OnError, &self.message);
    lib.OpenOptionsSetWarningHandlerExtR(options, OnWarning, nullptr);
    if (lib.OpenOptionsSetMaxSingleMemAlloc != nullptr) {
      lib.OpenOptionsSetMaxSingleMemAlloc(options, kMaxSingleAllocation);
    }
    self.tiff =
        lib.ClientOpenExt(file.path().c_str(), mode, &self, Impl::Read, Impl::Write, Impl::Seek,
                          Impl::CloseFile, Impl::FileSize, Impl::Map, Impl::Unmap, options);
    lib.OpenOptionsFree(options);
  } else {
    self.tiff = lib.ClientOpen(file.path().c_str(), mode, &self, Impl::Read, Impl::Write,
                               Impl::Seek, Impl::CloseFile, Impl::FileSize, Impl::Map, Impl::Unmap);
  }
  if (self.tiff == nullptr) self.Fail("libtiff cannot open the file");
  if (lib.SetSubDirectory(self.tiff, directory.offset) == 0) {
    self.Fail("libtiff cannot read the page's directory", static_cast<int64_t>(directory.offset));
  }
  if (directory.page.compression == 7 && directory.ycbcr) {
    lib.SetField(self.tiff, kTagJpegColorMode, kJpegColorModeRgb);
  }
}

LibtiffDecoder::~LibtiffDecoder() = default;

void LibtiffDecoder::Decode(uint64_t index, uint64_t bytes, uint8_t* dst) {
  Impl& self = *impl_;
  const Impl::Scope scope(self);
  const bool tiled = self.directory.page.tiled;
  const char* kind = tiled ? "tile " : "strip ";
  if (index > UINT32_MAX) self.file.Damaged(kind + std::to_string(index) + " is out of range");
  const auto read = tiled ? self.lib.ReadEncodedTile : self.lib.ReadEncodedStrip;
  const Size got = read(self.tiff, static_cast<uint32_t>(index), dst, static_cast<Size>(bytes));
  if (got < 0 || static_cast<uint64_t>(got) < bytes || !self.message.empty()) {
    self.Fail(kind + std::to_string(index) + " (" +
              TiffCompressionName(self.directory.page.compression) + ") decodes to " +
              std::to_string(std::max<Size>(got, 0)) + " of " + std::to_string(bytes) + " bytes");
  }
}

bool LibtiffDecoder::whole_image() const {
  return impl_->directory.ycbcr && impl_->directory.page.compression != 7;
}

void LibtiffDecoder::DecodeImage(uint8_t* rgba) {
  Impl& self = *impl_;
  const Impl::Scope scope(self);
  const TiffPage& page = self.directory.page;
  if (self.lib.ReadRGBAImageOriented(
          self.tiff, static_cast<uint32_t>(page.width), static_cast<uint32_t>(page.height),
          reinterpret_cast<uint32_t*>(rgba), kOrientationTopLeft, 1) == 0) {
    self.Fail("libtiff cannot decode the image");
  }
}

}  // namespace tilecast
