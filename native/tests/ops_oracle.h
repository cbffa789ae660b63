// SPDX-License-Identifier: MIT
// Reads the cases that scripts/make-ops-oracle.py wrote into $TILECAST_OPS_ORACLE.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "image.h"

namespace tilecast::test {

// An array of any dtype with padded rows.
struct Array {
  std::vector<std::byte> memory;
  Plane plane;
};

inline Array MakeArray(DType dtype, int64_t height, int64_t width) {
  Array out;
  const int64_t size = static_cast<int64_t>(DTypeSize(dtype)), stride = (width + 5) * size;
  out.memory.resize(static_cast<size_t>(height * stride));
  out.plane = {out.memory.data(), dtype, height, width, stride};
  return out;
}

using Values = std::map<std::string, std::string>;

class Oracle {
 public:
  explicit Oracle(const std::string& folder) {
    std::ifstream manifest(folder + "/manifest.txt");
    REQUIRE_MESSAGE(manifest, "no manifest.txt in ", folder);
    for (std::string line; std::getline(manifest, line);) {
      std::istringstream words(line);
      std::string kind, name;
      words >> kind >> name;
      if (kind == "array") {
        std::string dtype_name;
        int64_t height = 0, width = 0;
        words >> dtype_name >> height >> width;
        DType dtype{};
        for (int i = 0; i < kDTypeCount; ++i) {
          if (DTypeName(static_cast<DType>(i)) == dtype_name) dtype = static_cast<DType>(i);
        }
        REQUIRE(DTypeName(dtype) == dtype_name);
        Array array = MakeArray(dtype, height, width);
        std::ifstream raw(folder + "/" + name + ".raw", std::ios::binary);
        for (int64_t y = 0; y < height; ++y)
          raw.read(array.plane.row<char>(y), array.plane.row_bytes());
        REQUIRE(raw);
        arrays_.emplace(name, std::move(array));
      } else {
        Values values;
        for (std::string word; words >> word;) {
          const size_t equals = word.find('=');
          values[word.substr(0, equals)] = word.substr(equals + 1);
        }
        cases_.push_back({name, std::move(values), line});
      }
    }
  }

  const Plane& plane(const std::string& name) const { return arrays_.at(name).plane; }

  template <class F>
  int Each(const std::string& op, F f) const {
    int count = 0;
    for (const auto& c : cases_) {
      if (c.op != op) continue;
      INFO(c.line);
      f(c.values);
      ++count;
    }
    CHECK(count > 0);
    return count;
  }

 private:
  struct Case {
    std::string op;
    Values values;
    std::string line;
  };
  std::map<std::string, Array> arrays_;
  std::vector<Case> cases_;
};

// Loaded once; null, with a message, when the oracle was not made.
inline const Oracle* TheOracle() {
  static const Oracle* const oracle = []() -> const Oracle* {
    const char* folder = std::getenv("TILECAST_OPS_ORACLE");
    if (folder == nullptr) return nullptr;
    return new Oracle(folder);
  }();
  if (oracle == nullptr)
    MESSAGE(
        "left out: TILECAST_OPS_ORACLE is not set (scripts/make-ops-oracle.py makes the folder)");
  return oracle;
}

inline double Number(const Values& v, const std::string& key, double otherwise = 0) {
  const auto found = v.find(key);
  return found == v.end() ? otherwise : std::strtod(found->second.c_str(), nullptr);
}

inline double At(const Plane& p, int64_t y, int64_t x) {
  return Visit(p.dtype,
               [&](auto zero) { return static_cast<double>(p.row<decltype(zero)>(y)[x]); });
}

// Checks got against want: each pixel within `relative` of its own magnitude plus `absolute`.
// Reports the worst pixel only.
inline void CheckPlanes(const Plane& got, const Plane& want, double relative = 0,
                        double absolute = 0) {
  REQUIRE(got.height == want.height);
  REQUIRE(got.width == want.width);
  REQUIRE(got.dtype == want.dtype);
  double worst = 0;
  int64_t at_y = 0, at_x = 0;
  for (int64_t y = 0; y < got.height; ++y) {
    for (int64_t x = 0; x < got.width; ++x) {
      const double a = At(got, y, x), b = At(want, y, x);
      double excess = std::abs(a - b) - relative * std::abs(b) - absolute;
      if (a == b || (std::isnan(a) && std::isnan(b))) excess = 0;
      if (std::isnan(excess)) excess = INFINITY;
      if (excess > worst) {
        worst = excess;
        at_y = y;
        at_x = x;
      }
    }
  }
  INFO("first worst at row ", at_y, ", column ", at_x, ": got ", At(got, at_y, at_x), ", want ",
       At(want, at_y, at_x));
  CHECK(worst == 0);
}

inline double Greatest(const Plane& p) {
  double greatest = 0;
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x) greatest = std::max(greatest, std::abs(At(p, y, x)));
  }
  return greatest;
}

inline void CheckClose(double got, double want, double relative, double absolute = 0) {
  if (std::isnan(got) && std::isnan(want)) return;
  INFO("got ", got, ", want ", want);
  CHECK(std::abs(got - want) <= relative * std::abs(want) + absolute);
}

}  // namespace tilecast::test
