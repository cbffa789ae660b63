// SPDX-License-Identifier: MIT
// What glibc_floor.cc replaces behaves as the library's own: exceptions in flight, sizes that
// overflow, fstat, to_chars.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Counted {
  explicit Counted(std::shared_ptr<int> token) : token(std::move(token)) {}
  std::shared_ptr<int> token;
};

}  // namespace

TEST_CASE(
    "an exception_ptr keeps its exception alive, across threads, and lets it go with the last "
    "copy") {
  const auto token = std::make_shared<int>(7);
  std::exception_ptr kept;
  std::thread([&] {
    try {
      throw Counted(token);
    } catch (...) {
      kept = std::current_exception();
    }
  }).join();
  CHECK(token.use_count() == 2);
  {
    const std::vector<std::exception_ptr> copies(100, kept);
    CHECK(copies[99] == kept);
    CHECK(token.use_count() == 2);  // copies share the one exception
  }
  CHECK(token.use_count() == 2);
  try {
    std::rethrow_exception(kept);
  } catch (const Counted& e) {
    CHECK(*e.token == 7);
  }
  kept = nullptr;
  CHECK(token.use_count() == 1);
}

TEST_CASE("an array size that overflows throws bad_array_new_length") {
  volatile size_t n = SIZE_MAX / 4;
  CHECK_THROWS_AS(static_cast<void>(std::allocator<double>().allocate(n)),
                  std::bad_array_new_length);
}

TEST_CASE("fstat tells a pipe from a directory") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  struct stat st = {};
  CHECK(fstat(ends[0], &st) == 0);
  CHECK(S_ISFIFO(st.st_mode));
  close(ends[0]);
  close(ends[1]);
  CHECK(fstat(ends[0], &st) == -1);
}

TEST_CASE("to_chars prints the shortest text that reads back as the same number") {
  for (const double v : {0.1, 1.0 / 3, 1e-300, 1.7976931348623157e308, -2.5, 5e-324, std::exp(1.0),
                         std::hypot(1, 1)}) {
    char buffer[32];
    const std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
    CHECK(std::strtod(text.c_str(), nullptr) == v);
    CHECK(text.size() <= 24);
  }
  char buffer[32];
  CHECK(std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, 0.1).ptr) == "0.1");
}
