// SPDX-License-Identifier: MIT
// Our own copies of the few libc and libstdc++ symbols that RHEL 8 has under no version; see
// glibc_floor.h.
#ifdef TILECAST_GLIBC_FLOOR

#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdlib>
#include <new>

// Hidden, so that nobody but this addon is bound to them; named by asm labels, because the headers
// declare some of them differently.
#define TILECAST_LOCAL(symbol) __asm__(symbol) __attribute__((visibility("hidden")))

extern "C" {

// glibc 2.32; libstdc++'s shared_ptr reads it to skip atomics. "Not single-threaded" is always a
// correct answer.
extern char TilecastSingleThreaded TILECAST_LOCAL("__libc_single_threaded");
char TilecastSingleThreaded = 0;

// glibc 2.33 made fstat a function; before, it was this call with the version of the structure.
int __fxstat(int version, int fd, struct stat* out);
int TilecastFstat(int fd, struct stat* out) TILECAST_LOCAL("fstat");
int TilecastFstat(int fd, struct stat* out) {
#if defined(__x86_64__)
  return __fxstat(1, fd, out);
#else
  return __fxstat(0, fd, out);
#endif
}

// The same of stat.
int __xstat(int version, const char* path, struct stat* out);
int TilecastStat(const char* path, struct stat* out) TILECAST_LOCAL("stat");
int TilecastStat(const char* path, struct stat* out) {
#if defined(__x86_64__)
  return __xstat(1, path, out);
#else
  return __xstat(0, path, out);
#endif
}

// gcc 11: what new[] and std::vector throw for sizes that overflow.
[[noreturn]] void TilecastThrowBadArrayNewLength()
    TILECAST_LOCAL("_ZSt28__throw_bad_array_new_lengthv");
void TilecastThrowBadArrayNewLength() {
  throw std::bad_array_new_length();
}

// gcc 12 compiles copies and destruction of std::exception_ptr into the caller, which then calls
// these two; before, the copy constructor and the destructor were functions of the library, which
// every version still has. Looked up by name, because calling them here would call the compiled-in
// ones, and so these again.
void TilecastExceptionAddRef(void** self)
    TILECAST_LOCAL("_ZNSt15__exception_ptr13exception_ptr9_M_addrefEv");
void TilecastExceptionRelease(void** self)
    TILECAST_LOCAL("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");

}  // extern "C"

namespace {

template <class F>
F* LibraryFunction(const char* name) {
  // From the library itself: a program may have compiled-in copies of its own, and the dynamic
  // linker would prefer those.
  void* const library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void* const found = library == nullptr ? nullptr : dlsym(library, name);
  if (found == nullptr)
    std::abort();  // not a libstdc++ of gcc 4.4 or newer: nothing could have thrown
  return reinterpret_cast<F*>(found);
}

}  // namespace

void TilecastExceptionAddRef(void** self) {
  static auto* const copy =
      LibraryFunction<void(void**, void* const*)>("_ZNSt15__exception_ptr13exception_ptrC1ERKS0_");
  void* uncounted = nullptr;  // a copy that is never destroyed: the count stays one higher
  copy(&uncounted, self);
}

void TilecastExceptionRelease(void** self) {
  static auto* const destroy =
      LibraryFunction<void(void**)>("_ZNSt15__exception_ptr13exception_ptrD1Ev");
  destroy(self);
  *self = nullptr;
}

#endif  // TILECAST_GLIBC_FLOOR
