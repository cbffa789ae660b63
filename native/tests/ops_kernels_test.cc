// SPDX-License-Identifier: MIT
// Every kernel table that this CPU runs gives the same results: bit for bit, except the Gaussian
// (fused or not) and float sums (order).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "image.h"
#include "ops/kernels/kernels.h"

namespace tilecast {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<const KernelTable*> Tables() {
  const KernelTable* tables[8];
  const int count = RunnableKernels(tables, 8);
  return {tables, tables + count};
}

// A row of `n` pixels of random bytes (integers) or values with some NaN and infinities (floats),
// off any alignment.
struct TestRow {
  TestRow(DType dtype, int64_t n, uint32_t seed, bool odd_values = true)
      : bytes(static_cast<size_t>(n) * DTypeSize(dtype) + 8) {
    std::mt19937 random(seed);
    Visit(dtype, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = 0; i < n; ++i) {
        T value;
        if constexpr (IsFloat(DTypeOf<T>::value)) {
          value = static_cast<T>(std::uniform_real_distribution<double>(-1000, 5000)(random));
          if (odd_values && random() % 37 == 0) value = static_cast<T>(kNan);
          if (odd_values && random() % 41 == 0) value = static_cast<T>(-HUGE_VAL);
        } else {
          value = static_cast<T>(random());
        }
        std::memcpy(data() + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
      }
    });
  }
  std::byte* data() { return bytes.data() + 8; }
  std::vector<std::byte> bytes;
};

template <class T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  // NaN payloads and signs may differ between instruction sets: NaN equals NaN here.
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && !(a[i] != a[i] && b[i] != b[i])) return false;
  }
  return a.size() == b.size();
}

// Runs `compute(table)` on every table and checks that all results equal the first one's.
template <class T>
void CheckSame(const std::function<std::vector<T>(const KernelTable&)>& compute) {
  const auto tables = Tables();
  const std::vector<T> want = compute(*tables[0]);
  for (size_t i = 1; i < tables.size(); ++i) {
    INFO("kernels ", tables[i]->name, " against ", tables[0]->name);
    CHECK(SameBits(compute(*tables[i]), want));
  }
}

const int64_t kLengths[] = {0, 1, 3, 15, 16, 17, 31, 63, 64, 65, 127, 128, 200, 517};

TEST_CASE("the CPU's best table is in use unless a lower one is asked for") {
  const auto tables = Tables();
  REQUIRE(!tables.empty());
  const char* wanted = std::getenv("TILECAST_CPU");
  bool known = false;
  for (const KernelTable* table : tables)
    known |= wanted != nullptr && std::string(wanted) == table->name;
  CHECK(std::string(Kernels().name) ==
        (known ? std::string(wanted) : std::string(tables.back()->name)));
}

TEST_CASE("point kernels agree between instruction sets") {
  for (int d = 0; d < kDTypeCount; ++d) {
    const auto dtype = static_cast<DType>(d);
    for (const int64_t n : kLengths) {
      INFO(DTypeName(dtype), ", ", n, " pixels");
      const auto size = static_cast<size_t>(n);
      TestRow in(dtype, n, 1 + static_cast<uint32_t>(n)), field(DType::kF32, n, 2, false);
      CheckSame<float>([&](const KernelTable& k) {
        std::vector<float> out(size);
        k.to_f32[d](in.data(), out.data(), n);
        return out;
      });
      CheckSame<float>([&](const KernelTable& k) {
        std::vector<float> out(size);
        k.flat_field[d](in.data(), reinterpret_cast<const float*>(field.data()), 11.3f, out.data(),
                        n);
        return out;
      });
      CheckSame<float>([&](const KernelTable& k) {
        std::vector<float> out(size);
        k.subtract[d](in.data(), 11.3f, out.data(), n);
        return out;
      });
      CheckSame<double>([&](const KernelTable& k) {
        std::vector<double> out(size);
        k.scale_to_f64[d](in.data(), 0.1, -0.3, out.data(), n);
        return out;
      });
      CheckSame<uint8_t>([&](const KernelTable& k) {
        std::vector<uint8_t> out(size);
        k.scale_to_u8[d](in.data(), 0.07, -0.3, out.data(), n);
        return out;
      });
      CheckSame<uint8_t>([&](const KernelTable& k) {
        std::vector<uint8_t> out(size);
        k.threshold[d](in.data(), 100.5, out.data(), n);
        return out;
      });
      CheckSame<uint64_t>([&](const KernelTable& k) {
        std::vector<uint64_t> out((size + 63) / 64);
        k.threshold_bits[d](in.data(), 100.5, out.data(), n);
        return out;
      });
    }
  }
}

TEST_CASE("threshold bits are the threshold's bytes") {
  for (int d = 0; d < kDTypeCount; ++d) {
    for (const int64_t n : kLengths) {
      TestRow in(static_cast<DType>(d), n, 5);
      for (const double value : {0.0, 77.7, -1e9, 1e300, kNan}) {
        std::vector<uint8_t> bytes(static_cast<size_t>(n));
        std::vector<uint64_t> bits(static_cast<size_t>(n + 63) / 64, ~uint64_t{0});
        Kernels().threshold[d](in.data(), value, bytes.data(), n);
        Kernels().threshold_bits[d](in.data(), value, bits.data(), n);
        for (int64_t i = 0; i < static_cast<int64_t>(bits.size()) * 64; ++i) {
          const bool bit = (bits[static_cast<size_t>(i / 64)] >> (i % 64) & 1) != 0;
          REQUIRE(bit == (i < n && bytes[static_cast<size_t>(i)] != 0));
        }
      }
    }
  }
}

TEST_CASE("saturating conversions agree between instruction sets") {
  for (int d = 0; d < kDTypeCount; ++d) {
    for (const int64_t n : kLengths) {
      std::vector<double> in(static_cast<size_t>(n));
      std::mt19937 random(3);
      for (size_t i = 0; i < in.size(); ++i) {
        const double values[] = {0.5,          -0.5,          2.5,   255.5,  65535.5, 4294967294.5,
                                 2147483647.5, -2147483648.5, 1e300, -1e300, kNan,    -128.5};
        in[i] = i % 2 == 0
                    ? values[random() % 12]
                    : std::ldexp(static_cast<double>(random()), -static_cast<int>(random() % 33));
      }
      Visit(static_cast<DType>(d), [&](auto zero) {
        using T = decltype(zero);
        CheckSame<T>([&](const KernelTable& k) {
          std::vector<T> out(in.size());
          k.from_f64[d](in.data(), out.data(), n);
          return out;
        });
      });
    }
  }
}

TEST_CASE("accumulating and resampling kernels agree between instruction sets") {
  for (int d = 0; d < kDTypeCount; ++d) {
    const auto dtype = static_cast<DType>(d);
    for (const int64_t n : kLengths) {
      INFO(DTypeName(dtype), ", ", n, " pixels");
      TestRow a(dtype, 2 * n, 1), b(dtype, 2 * n, 2);
      Visit(dtype, [&](auto zero) {
        using T = decltype(zero);
        CheckSame<T>([&](const KernelTable& k) {
          std::vector<T> acc(static_cast<size_t>(n));
          if (n > 0) std::memcpy(acc.data(), a.data(), acc.size() * sizeof(T));
          k.max[d](b.data(), acc.data(), n);
          return acc;
        });
        CheckSame<T>([&](const KernelTable& k) {
          std::vector<T> out(static_cast<size_t>(n));
          k.halve_mean[d](a.data(), b.data(), out.data(), n);
          return out;
        });
      });
      auto sum = [&](auto zero) {
        using Sum = decltype(zero);
        CheckSame<Sum>([&](const KernelTable& k) {
          std::vector<Sum> acc(static_cast<size_t>(n));
          k.sum_first[d](a.data(), acc.data(), n);
          k.sum_next[d](b.data(), acc.data(), n);
          return acc;
        });
      };
      if (DTypeSize(dtype) > 2) {
        sum(double{});
      } else if (dtype == DType::kU8 || dtype == DType::kU16) {
        sum(uint32_t{});
      } else {
        sum(int32_t{});
      }
    }
  }
}

TEST_CASE("reductions agree between instruction sets") {
  for (int d = 0; d < kDTypeCount; ++d) {
    const auto dtype = static_cast<DType>(d);
    for (const int64_t n : kLengths) {
      INFO(DTypeName(dtype), ", ", n, " pixels");
      TestRow in(dtype, n, 9), finite(dtype, n, 10, false);
      CheckSame<double>([&](const KernelTable& k) {
        RowRange range{HUGE_VAL, -HUGE_VAL, false};
        k.range[d](in.data(), n, &range);
        return std::vector<double>{range.min, range.max, range.nan ? 1.0 : 0.0};
      });
      CheckSame<double>([&](const KernelTable& k) {
        SpanSums sums{0, 0, HUGE_VAL, -HUGE_VAL, false};
        k.span[d](in.data(), n, &sums);
        return std::vector<double>{static_cast<double>(sums.integer), sums.min, sums.max,
                                   sums.nan ? 1.0 : 0.0};
      });
      const auto tables = Tables();
      double first = 0;
      for (size_t i = 0; i < tables.size(); ++i) {
        SpanSums sums{0, 0, HUGE_VAL, -HUGE_VAL, false};
        tables[i]->span[d](finite.data(), n, &sums);
        if (i == 0) first = sums.real;
        CHECK(std::abs(sums.real - first) <= 1e-12 * 5000 * static_cast<double>(n));
      }
    }
  }
}

template <class T>
void CheckBins(bool (*KernelTable::*bin)(const T*, const BinSpec<T>*, uint8_t*, int64_t)) {
  std::vector<T> edges(257);
  const T first = static_cast<T>(-1000), last = static_cast<T>(5000);
  for (size_t i = 0; i < 257; ++i) edges[i] = static_cast<T>(i) * ((last - first) / 256) + first;
  edges[256] = last;
  const BinSpec<T> spec{edges.data(), first, last, 256 / (last - first), static_cast<T>(1e-3)};
  for (const int64_t n : kLengths) {
    TestRow in(DTypeOf<T>::value, n, 4, false);
    std::vector<T> pixels(static_cast<size_t>(n));
    if (n > 0) std::memcpy(pixels.data(), in.data(), pixels.size() * sizeof(T));
    for (size_t i = 0; i < pixels.size(); i += 5) pixels[i] = edges[i * 7 % 257];
    for (size_t i = 2; i < pixels.size(); i += 5)
      pixels[i] = std::nextafter(edges[i * 7 % 256 + 1], first);
    std::vector<uint8_t> want;
    for (const T v : pixels) {
      const auto above = std::upper_bound(edges.begin(), edges.end(), v) - edges.begin();
      want.push_back(static_cast<uint8_t>(std::min<ptrdiff_t>(above - 1, 255)));
    }
    for (const KernelTable* table : Tables()) {
      INFO(table->name, ", ", n, " pixels");
      std::vector<uint8_t> bins(pixels.size());
      REQUIRE((table->*bin)(pixels.data(), &spec, bins.data(), n));
      CHECK(bins == want);
      for (size_t i = 0; i < pixels.size(); i += 13) {
        for (const T odd :
             {static_cast<T>(kNan), std::nextafter(first, static_cast<T>(-1e9)),
              std::nextafter(last, static_cast<T>(1e9)), -std::numeric_limits<T>::infinity(),
              std::numeric_limits<T>::max(), first - 3 * (edges[1] - edges[0])}) {
          const T kept = pixels[i];
          pixels[i] = odd;
          CHECK_FALSE((table->*bin)(pixels.data(), &spec, bins.data(), n));
          pixels[i] = kept;
        }
      }
    }
  }
}

TEST_CASE("bins are those that the edges define, and odd pixels are reported") {
  CheckBins<float>(&KernelTable::bin_f32);
  CheckBins<double>(&KernelTable::bin_f64);
}

TEST_CASE("gaussian kernels agree between instruction sets") {
  for (const int64_t radius : {0, 1, 2, 6, 7, 20}) {
    std::vector<float> weights;
    float total = 0;
    for (int64_t i = 0; i <= radius; ++i) {
      weights.push_back(
          std::exp(-static_cast<float>(i * i) / static_cast<float>(1 + radius * radius)));
      total += i == 0 ? weights.back() : 2 * weights.back();
    }
    for (float& w : weights) w /= total;
    const Taps taps{weights.data(), radius};
    for (const int64_t n : kLengths) {
      std::vector<TestRow> source;
      std::vector<const float*> rows;
      for (int64_t i = 0; i <= 2 * radius + 1; ++i)
        source.emplace_back(DType::kU16, n, static_cast<uint32_t>(i + 1));
      std::vector<std::vector<float>> converted;
      for (auto& row : source) {
        converted.emplace_back(static_cast<size_t>(n) + 1);
        Kernels().to_f32[static_cast<int>(DType::kU16)](row.data(), converted.back().data(), n);
      }
      for (auto& row : converted) rows.push_back(row.data());
      std::vector<float> first_v, first_h;
      for (const KernelTable* table : Tables()) {
        INFO(table->name, ", radius ", radius, ", ", n, " pixels");
        std::vector<float> v(static_cast<size_t>(n)),
            h(static_cast<size_t>(std::max<int64_t>(0, n - 2 * radius)));
        table->gaussian_vertical(rows.data(), &taps, v.data(), n);
        float low = INFINITY, high = -INFINITY;
        table->gaussian_horizontal(rows[0], &taps, h.data(), static_cast<int64_t>(h.size()), &low,
                                   &high);
        if (first_v.empty()) first_v = v;
        if (first_h.empty()) first_h = h;
        std::vector<float> pair(v.size()), next(v.size()), alone(v.size());
        table->gaussian_vertical2(rows.data(), &taps, pair.data(), next.data(), n);
        table->gaussian_vertical(rows.data() + 1, &taps, alone.data(), n);
        CHECK(pair == v);
        CHECK(next == alone);
        for (size_t i = 0; i < v.size(); ++i)
          REQUIRE(v[i] == doctest::Approx(first_v[i]).epsilon(1e-6));
        for (size_t i = 0; i < h.size(); ++i) {
          REQUIRE(h[i] == doctest::Approx(first_h[i]).epsilon(1e-6));
          REQUIRE(low <= h[i]);
          REQUIRE(high >= h[i]);
        }
      }
    }
  }
}

TEST_CASE("perimeter counts agree with a count by pixel") {
  std::mt19937 random(8);
  for (const int64_t words : {1, 2, 5}) {
    std::vector<uint64_t> rows[3];
    for (auto& row : rows) {
      row.assign(static_cast<size_t>(words) + 2, 0);
      for (int64_t i = 1; i <= words; ++i)
        row[static_cast<size_t>(i)] = (static_cast<uint64_t>(random()) << 32 | random()) &
                                      (static_cast<uint64_t>(random()) << 32 | random());
    }
    auto bit = [&](int row, int64_t x) {
      return static_cast<int>(rows[row][static_cast<size_t>(x / 64 + 1)] >> (x % 64) & 1);
    };
    auto at = [&](int row, int64_t x) { return x < 0 || x >= 64 * words ? 0 : bit(row, x); };
    int64_t want[3] = {0, 0, 0};
    for (int64_t x = 0; x < 64 * words; ++x) {
      if (!at(1, x)) continue;
      const int code = 1 + 2 * (at(0, x) + at(2, x) + at(1, x - 1) + at(1, x + 1)) +
                       10 * (at(0, x - 1) + at(0, x + 1) + at(2, x - 1) + at(2, x + 1));
      for (const int one : {5, 7, 15, 17, 25, 27}) want[0] += code == one;
      for (const int root : {21, 33}) want[1] += code == root;
      for (const int half : {13, 23}) want[2] += code == half;
    }
    for (const KernelTable* table : Tables()) {
      int64_t counts[3] = {0, 0, 0};
      table->perimeter_row(rows[0].data() + 1, rows[1].data() + 1, rows[2].data() + 1, words,
                           counts);
      CHECK(counts[0] == want[0]);
      CHECK(counts[1] == want[1]);
      CHECK(counts[2] == want[2]);
    }
  }
}

}  // namespace
}  // namespace tilecast
