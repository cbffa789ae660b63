// SPDX-License-Identifier: MIT
// Entry point of the C++ unit tests.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

// The pool's tests fork while its threads run, and the children make threads of their own.
extern "C" const char* __tsan_default_options() {
  return "die_after_fork=0";
}
