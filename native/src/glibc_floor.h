// SPDX-License-Identifier: MIT
// Included by the compiler before every file of a Linux release (CMakeLists.txt): binds libc and
// libstdc++ functions to their old versions.
//
// A function that got a new version in a newer library ("hypot@@GLIBC_2.35") is bound to the newest
// one that the build machine has, and the addon would then not load on older systems, although the
// old version does the same (what changed is errno handling or the library that it lives in). What
// has no old version is in glibc_floor.cc. test/package checks the result: glibc 2.28,
// libstdc++ 3.4.25, as in RHEL 8.
#pragma once

#if defined(__x86_64__)
#define TILECAST_GLIBC_FIRST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define TILECAST_GLIBC_FIRST "GLIBC_2.17"
#endif

#ifdef TILECAST_GLIBC_FIRST
// Assembler, because the linker decides by these directives; a file that does not use the function
// is not changed by them.
#define TILECAST_BIND(name, version) __asm__(".symver " #name "," #name "@" version)
TILECAST_BIND(exp, TILECAST_GLIBC_FIRST);
TILECAST_BIND(log, TILECAST_GLIBC_FIRST);
TILECAST_BIND(log2, TILECAST_GLIBC_FIRST);
TILECAST_BIND(pow, TILECAST_GLIBC_FIRST);
TILECAST_BIND(hypot, TILECAST_GLIBC_FIRST);
TILECAST_BIND(dladdr, TILECAST_GLIBC_FIRST);
TILECAST_BIND(dlopen, TILECAST_GLIBC_FIRST);
TILECAST_BIND(dlsym, TILECAST_GLIBC_FIRST);
TILECAST_BIND(dlclose, TILECAST_GLIBC_FIRST);
TILECAST_BIND(dlerror, TILECAST_GLIBC_FIRST);
TILECAST_BIND(shm_open, TILECAST_GLIBC_FIRST);
TILECAST_BIND(shm_unlink, TILECAST_GLIBC_FIRST);
TILECAST_BIND(pthread_mutex_trylock, TILECAST_GLIBC_FIRST);
// std::condition_variable::wait(std::unique_lock<std::mutex>&)
TILECAST_BIND(_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE, "GLIBCXX_3.4.11");
#undef TILECAST_BIND
#endif
