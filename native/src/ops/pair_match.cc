// SPDX-License-Identifier: MIT
// Candidate peaks of a correlation surface, judged on the pixels that they would lay on each other.
#include "ops/pair_match.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "ops/fft.h"
#include "ops/gaussian.h"

namespace tilecast {
namespace {

using Mirror = PhaseCorrelator::Mirror;

constexpr double kSigma = 1.5;
// The filter reaches so far (GaussianLaplace). Nearer than kEdge px to an image's edge its result
// says more of the boundary than of the image, and would match other boundaries.
constexpr int64_t kReach = 6, kEdge = 4;
// Of the greatest value: less is the filter's rounding, whose pattern is the same everywhere.
constexpr float kRounding = 2e-6f;
// Fewer rows or columns in common say nothing.
constexpr int64_t kLeastOverlap = 8;
constexpr size_t kPeaks = 5;

struct Span {
  int64_t first = 0, second = 0, length = 0;
};

Span SpanOf(int64_t n, double offset, double reach) {
  const auto common = static_cast<int64_t>(std::ceil(static_cast<double>(n) - std::abs(offset)));
  const int64_t wanted = common + static_cast<int64_t>(std::ceil(reach));
  if (wanted < kLeastOverlap) return {};
  const int64_t length = FastFftSize(std::min(n, wanted));
  return offset >= 0 ? Span{n - length, 0, length} : Span{0, n - length, length};
}

Plane Part(const Plane& p, int64_t y, int64_t x, int64_t height, int64_t width) {
  return {p.data + y * p.stride + x * static_cast<int64_t>(DTypeSize(p.dtype)), p.dtype, height,
          width, p.stride};
}

// What of two windows overlaps when the second lies at (y, x) in the first.
std::pair<Plane, Plane> Overlap(const Plane& a, const Plane& b, int64_t y, int64_t x) {
  const int64_t height = a.height - std::abs(y), width = a.width - std::abs(x);
  return {Part(a, std::max<int64_t>(y, 0), std::max<int64_t>(x, 0), height, width),
          Part(b, std::max<int64_t>(-y, 0), std::max<int64_t>(-x, 0), height, width)};
}

// out(float32) = in - its least value, so that an even image is 0 and what the filter leaves of it
// too; returns the greatest value of out.
float FromDarkest(const Plane& in, const Plane& out) {
  return Visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    T least = std::numeric_limits<T>::max();
    for (int64_t y = 0; y < in.height; ++y) {
      const T* from = in.row<T>(y);
      for (int64_t x = 0; x < in.width; ++x) least = from[x] < least ? from[x] : least;
    }
    float greatest = 0;
    for (int64_t y = 0; y < in.height; ++y) {
      const T* from = in.row<T>(y);
      float* to = out.row<float>(y);
      for (int64_t x = 0; x < in.width; ++x) {
        const auto v =
            static_cast<float>(static_cast<double>(from[x]) - static_cast<double>(least));
        to[x] = v;
        greatest = v > greatest ? v : greatest;
      }
    }
    return greatest;
  });
}

int64_t Ramp(int64_t height, int64_t width) {
  return std::clamp<int64_t>(std::min(height, width) / 8, 1, 16);
}

}  // namespace

PairWindows WindowsOf(int64_t height, int64_t width, double y, double x, double reach) {
  const Span rows = SpanOf(height - 2 * kEdge, y, reach);
  const Span columns = SpanOf(width - 2 * kEdge, x, reach);
  if (rows.length < kLeastOverlap || columns.length < kLeastOverlap) return {};
  return {rows.length,           columns.length,      rows.first + kEdge,
          columns.first + kEdge, rows.second + kEdge, columns.second + kEdge};
}

void FilterWindow(const Plane& in, int64_t y, int64_t x, const Plane& out) {
  const int64_t top = std::max<int64_t>(y - kReach, 0), left = std::max<int64_t>(x - kReach, 0);
  const int64_t bottom = std::min(y + out.height + kReach, in.height);
  const int64_t right = std::min(x + out.width + kReach, in.width);
  const int64_t height = bottom - top, width = right - left;
  static thread_local std::vector<float> memory;
  memory.resize(static_cast<size_t>(2 * height * width));
  const Plane dark = PackedPlane(memory.data(), DType::kF32, height, width);
  const Plane filtered = PackedPlane(memory.data() + height * width, DType::kF32, height, width);
  const float least = kRounding * FromDarkest(Part(in, top, left, height, width), dark);
  GaussianLaplace(dark, kSigma, filtered);
  for (int64_t row = 0; row < out.height; ++row) {
    const float* from = filtered.row<float>(y - top + row) + (x - left);
    float* to = out.row<float>(row);
    for (int64_t i = 0; i < out.width; ++i) to[i] = std::abs(from[i]) > least ? from[i] : 0;
  }
}

double Correlation(const Plane& a, const Plane& b) {
  constexpr int64_t kLanes = 16;  // independent sums, which the compiler puts into vectors
  double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  for (int64_t y = 0; y < a.height; ++y) {
    const float *pa = a.row<float>(y), *pb = b.row<float>(y);
    std::array<float, kLanes> la{}, lb{}, laa{}, lbb{}, lab{};
    const int64_t whole = a.width / kLanes * kLanes;
    for (int64_t x = 0; x < whole; x += kLanes) {
      for (int64_t i = 0; i < kLanes; ++i) {
        const auto at = static_cast<size_t>(i);
        const float va = pa[x + i], vb = pb[x + i];
        la[at] += va;
        lb[at] += vb;
        laa[at] += va * va;
        lbb[at] += vb * vb;
        lab[at] += va * vb;
      }
    }
    for (int64_t x = whole; x < a.width; ++x) {
      const auto at = static_cast<size_t>(x - whole);
      la[at] += pa[x];
      lb[at] += pb[x];
      laa[at] += pa[x] * pa[x];
      lbb[at] += pb[x] * pb[x];
      lab[at] += pa[x] * pb[x];
    }
    for (size_t i = 0; i < kLanes; ++i) {
      sa += la[i];
      sb += lb[i];
      saa += laa[i];
      sbb += lbb[i];
      sab += lab[i];
    }
  }
  const auto n = static_cast<double>(a.pixels());
  const double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
  if (!(va > 0 && vb > 0)) return 0;
  return std::clamp((sab - sa * sb / n) / std::sqrt(va * vb), -1.0, 1.0);
}

PairMatcher::Peak PairMatcher::Best(const Plane& first, const Plane& second, Mirror mirror,
                                    double y, double x, double reach) {
  const int64_t height = first.height, width = first.width;
  const std::vector<float>& surface = correlator_.Surface(CrossPower::kNone, mirror);
  // A mirrored image's surface is of its mirror image through pixel 0, one pixel off its own.
  const int64_t off_y = mirror == Mirror::kBoth || mirror == Mirror::kRows ? 1 : 0;
  const int64_t off_x = mirror == Mirror::kBoth || mirror == Mirror::kColumns ? 1 : 0;
  const auto wrap = [](int64_t i, int64_t n) { return ((i % n) + n) % n; };
  const auto value = [&](int64_t sy, int64_t sx) {
    return surface[static_cast<size_t>(wrap(sy - off_y, height) * width + wrap(sx - off_x, width))];
  };
  const auto low = [&](double at, int64_t n) {
    return std::max(static_cast<int64_t>(std::ceil(at - reach)), kLeastOverlap - n);
  };
  const auto high = [&](double at, int64_t n) {
    return std::min(static_cast<int64_t>(std::floor(at + reach)), n - kLeastOverlap);
  };
  struct Candidate {
    float value;
    int64_t y, x;
  };
  std::vector<Candidate> candidates;
  for (int64_t sy = low(y, height); sy <= high(y, height); ++sy) {
    for (int64_t sx = low(x, width); sx <= high(x, width); ++sx) {
      const float v = value(sy, sx);
      if (!(v > 0)) continue;
      if (candidates.size() == kPeaks && v <= candidates.back().value) continue;
      bool peak = true;
      for (int64_t i = 0; peak && i < 9; ++i) peak = value(sy + i / 3 - 1, sx + i % 3 - 1) <= v;
      if (!peak) continue;
      const auto at = std::find_if(candidates.begin(), candidates.end(),
                                   [&](const Candidate& c) { return c.value < v; });
      candidates.insert(at, {v, sy, sx});
      if (candidates.size() > kPeaks) candidates.pop_back();
    }
  }
  Peak best;
  const auto judge = [&](int64_t sy, int64_t sx) {
    const auto [a, b] = Overlap(first, second, sy, sx);
    const double score = Correlation(a, b);
    const double strength =
        std::atanh(std::min(score, 1 - 1e-9)) * std::sqrt(static_cast<double>(a.pixels()));
    if (strength > best.strength) best = {sy, sx, score, strength};
  };
  for (const Candidate& c : candidates) judge(c.y, c.x);
  // The taper, and what wraps around, may have moved the peak.
  for (Peak from;
       best.strength > 0 && (best.y != from.y || best.x != from.x || from.strength == 0);) {
    from = best;
    for (int64_t i = 0; i < 9; ++i) {
      const int64_t sy = from.y + i / 3 - 1, sx = from.x + i % 3 - 1;
      const bool inside = sy >= low(y, height) && sy <= high(y, height) && sx >= low(x, width) &&
                          sx <= high(x, width);
      if (i != 4 && inside) judge(sy, sx);
    }
  }
  return best;
}

PairMatch PairMatcher::Match(const Plane& first, const Plane& second, double y, double x,
                             double reach, int upsample) {
  correlator_.Load(first, second, Ramp(first.height, first.width));
  const Peak best = Best(first, second, Mirror::kNone, y, x, reach);
  if (!(best.strength > 0)) return {};
  double chance = 0;
  mirrored_.resize(static_cast<size_t>(second.pixels()));
  const Plane mirrored = PackedPlane(mirrored_.data(), DType::kF32, second.height, second.width);
  for (const Mirror mirror : {Mirror::kBoth, Mirror::kRows, Mirror::kColumns}) {
    for (int64_t row = 0; row < second.height; ++row) {
      const float* from =
          second.row<float>(mirror == Mirror::kColumns ? row : second.height - 1 - row);
      float* to = mirrored.row<float>(row);
      if (mirror == Mirror::kRows) {
        std::copy(from, from + second.width, to);
      } else {
        std::reverse_copy(from, from + second.width, to);
      }
    }
    chance = std::max(chance, Best(first, mirrored, mirror, y, x, reach).strength);
  }
  PairMatch match{true, static_cast<double>(best.y), static_cast<double>(best.x), best.score, 0};
  const auto [a, b] = Overlap(first, second, best.y, best.x);
  match.chance = std::tanh(chance / std::sqrt(static_cast<double>(a.pixels())));
  if (upsample > 1) {
    const int64_t height = FastFftSize(a.height), width = FastFftSize(a.width);
    fine_.Load(Part(a, 0, 0, height, width), Part(b, 0, 0, height, width), Ramp(height, width));
    fine_.Surface(CrossPower::kNone);
    const ImageShift shift = fine_.Refine(0, 0, upsample);
    match.y += shift.y;
    match.x += shift.x;
  }
  return match;
}

}  // namespace tilecast
