// SPDX-License-Identifier: MIT
// The short form of the crash harness (crash/crash.cc) as one test.
#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace tilecast {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr const char* kRounds = "15";
#else
constexpr const char* kRounds = "60";
#endif

TEST_CASE("processes killed at random instants cost the others nothing and leave nothing") {
  std::array<char, 4096> self{};
  REQUIRE(readlink("/proc/self/exe", self.data(), self.size() - 1) > 0);
  std::string program(self.data());
  program = program.substr(0, program.rfind('/')) + "/tilecast_crash";
  FILE* run = popen(("'" + program + "' --rounds " + kRounds + " 2>&1").c_str(), "r");
  REQUIRE(run != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), run) != nullptr) output += buffer.data();
  const int status = pclose(run);
  INFO(output);
  CHECK(status == 0);
}

}  // namespace
}  // namespace tilecast
