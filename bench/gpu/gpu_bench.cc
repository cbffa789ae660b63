// SPDX-License-Identifier: MIT
// What the GPU engine reaches on this machine's GPU: tilecast's part of the GPU benchmark, see
// README.md.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "error.h"
#include "exec/op_registry.h"
#include "gpu/encode.h"
#include "gpu/engine.h"
#include "gpu/segmentation.h"
#include "ops/histogram.h"
#include "ops/label.h"

namespace tilecast::gpu {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int64_t side = 2048;
  int threads = 8;  // that call the engine at once
  double seconds = 1;
};

double Since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// Median of at least five calls, the first of which is not counted.
double SecondsPerCall(double seconds, const std::function<void()>& call) {
  call();
  std::vector<double> times;
  const auto until = Clock::now();
  while (times.size() < 5 || (Since(until) < seconds && times.size() < 10'000)) {
    const auto began = Clock::now();
    call();
    times.push_back(Since(began));
  }
  std::nth_element(times.begin(), times.begin() + static_cast<ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

// Calls of all threads together, per second.
double Rate(const Options& options, int threads, const std::function<void(int thread)>& call) {
  for (int t = 0; t < threads; ++t) call(t);
  std::atomic<int64_t> calls{0};
  std::vector<std::thread> all;
  const auto began = Clock::now();
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      do {
        call(t);
        ++calls;
      } while (Since(began) < options.seconds);
    });
  }
  for (std::thread& thread : all) thread.join();
  return static_cast<double>(calls.load()) / Since(began);
}

// Slots as a pool's, touched.
struct Slots {
  Slots(uint64_t bytes, uint32_t count) : slot_bytes((bytes + 4095) / 4096 * 4096), slots(count) {
    memory = static_cast<std::byte*>(mmap(nullptr, slot_bytes * slots, PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    if (memory == MAP_FAILED) throw Error(Code::kPoolMemory, "no memory for the planes");
  }
  ~Slots() { munmap(memory, slot_bytes * slots); }
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  Plane plane(uint32_t slot, DType dtype, int64_t side) const {
    return PackedPlane(memory + slot * slot_bytes, dtype, side, side);
  }
  std::byte* memory;
  uint64_t slot_bytes;
  uint32_t slots;
};

// Blobs of about 20 px on an uneven background.
void Paint(const Plane& plane) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> noise(0, 60);
  Visit(plane.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t y = 0; y < plane.height; ++y) {
      for (int64_t x = 0; x < plane.width; ++x) {
        const double cy = static_cast<double>(y % 48) - 24, cx = static_cast<double>(x % 40) - 20;
        const double blob = 3000 * std::exp(-(cy * cy + cx * cx) / 120);
        const double v = 300 + static_cast<double>(x) / 20 + blob + noise(random);
        plane.row<T>(y)[x] = static_cast<T>(sizeof(T) == 1 ? v / 16 : v);
      }
    }
  });
}

// ------------------------------------------------------------------------------------------- ops

struct OpCase {
  std::string_view op;
  DType dtype;
  std::vector<std::pair<std::string_view, double>> arguments;
};

const std::vector<OpCase>& OpCases() {
  static const std::vector<OpCase> cases = {
      {"flatField", DType::kU16, {}},
      {"rescale", DType::kU16, {{"scale", 1.5}, {"offset", 10}}},
      {"normalize", DType::kU16, {}},
      {"gaussian", DType::kF32, {{"sigma", 2}}},
      {"sobel", DType::kF32, {}},
      {"median", DType::kU16, {{"radius", 1}}},
      {"erode", DType::kU16, {{"radius", 3}}},
      {"bin", DType::kU16, {{"factor", 2}}},
  };
  return cases;
}

std::string NameOf(const OpCase& c) {
  std::string name = std::string(c.op);
  for (const auto& [key, value] : c.arguments) {
    char text[40];
    std::snprintf(text, sizeof(text), " %g", value);
    name += text;
  }
  return name + " " + std::string(DTypeName(c.dtype));
}

// The op, `times` over the same input, one pass after another on the device. Nothing when the GPU
// refuses it.
std::shared_ptr<const Recipe> Repeated(const OpCase& c, int64_t side, int times, double& bytes) {
  const OpRow& row = FindOp(c.op);
  OpArguments arguments(row);
  for (const auto& [name, value] : c.arguments) arguments.Set(name, value);
  const std::vector<DType> others(static_cast<size_t>(row.least_others), DType::kF32);
  if (Refuses(row, arguments, c.dtype, {side, side}, others)) return nullptr;
  RecipeBuilder builder;
  const GpuPlane in = builder.Input(c.dtype, side, side);
  OpLink link{&row, arguments};
  for (const DType d : others) link.others.push_back(builder.Input(d, side, side));
  const PlaneShape shape = row.ShapeOf({side, side}, arguments);
  const GpuPlane out = builder.Output(row.ResultOf(c.dtype, arguments), shape.height, shape.width);
  for (int n = 0; n < times; ++n) EncodeOps(builder, {&link, 1}, in, out);
  bytes = static_cast<double>(PlaneBytes(in.dtype, side, side)) * 1.0 +
          static_cast<double>(others.size()) * static_cast<double>(side * side * 4) +
          static_cast<double>(PlaneBytes(out.dtype, out.height, out.width));
  return std::make_shared<const Recipe>(builder.Take());
}

std::shared_ptr<const Recipe> Copies(int64_t side, int times) {
  auto recipe = std::make_shared<Recipe>();
  const auto words = static_cast<uint64_t>(side * side);
  recipe->buffers = {{Buffer::Kind::kInput, words * 4}, {Buffer::Kind::kOutput, words * 4}};
  Pass pass;
  pass.name = "copy";
  pass.wgsl = std::make_shared<const std::string>(R"(
@group(0) @binding(0) var<storage, read> given: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> made: array<vec4u>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) at: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let i = (group.y * groups.x + group.x) * 256u + at;
  if (i < arrayLength(&given)) { made[i] = given[i]; }
}
)");
  pass.buffers = {0, 1};
  pass.writes = {false, true};
  const auto groups = static_cast<uint32_t>((words / 4 + 255) / 256);
  pass.workgroups = {std::min(groups, 32768U), (groups + 32767) / 32768, 1};
  recipe->passes.assign(static_cast<size_t>(times), pass);
  return recipe;
}

// Seconds of one repetition: the slope between few and many, so that transfers don't count.
double SecondsOfOne(Engine& engine, const Options& options, int many,
                    const std::function<std::shared_ptr<const Recipe>(int)>& recipe,
                    const std::vector<Plane>& inputs, const Plane& output) {
  const auto timed = [&](int times) {
    Request request{recipe(times), inputs, {output}};
    return SecondsPerCall(options.seconds / 2, [&] { engine.Run(request); });
  };
  const double one = timed(1), all = timed(many);
  return (all - one) / (many - 1);
}

using Figures = std::map<std::string, double>;

void MeasureOps(Engine& engine, const Options& options, Figures& rates, Figures& limits) {
  const int many = engine.facts().software ? 5 : 50;
  const int64_t side = options.side;
  const auto plane_bytes = static_cast<uint64_t>(side * side * 4);
  Slots slots(plane_bytes, 3);
  engine.Register({slots.memory, slots.slot_bytes, slots.slots, {}});
  const Plane words = slots.plane(0, DType::kU32, side), copied = slots.plane(1, DType::kU32, side);
  const double copy_s = SecondsOfOne(
      engine, options, many, [&](int times) { return Copies(side, times); }, {words}, copied);
  const double copy_rate = 2 * static_cast<double>(plane_bytes) / copy_s;
  limits["copy bytes/s"] = copy_rate;
  for (const OpCase& c : OpCases()) {
    double bytes = 0;
    if (FindGpuRow(c.op) == nullptr || !Repeated(c, side, 1, bytes)) continue;
    const OpRow& row = FindOp(c.op);
    OpArguments arguments(row);
    for (const auto& [name, value] : c.arguments) arguments.Set(name, value);
    const PlaneShape shape = row.ShapeOf({side, side}, arguments);
    std::vector<Plane> inputs = {slots.plane(0, c.dtype, side)};
    Paint(inputs[0]);
    for (int n = 0; n < row.least_others; ++n) {
      inputs.push_back(slots.plane(2, DType::kF32, side));
      Paint(inputs.back());
    }
    const Plane output = PackedPlane(slots.memory + slots.slot_bytes,
                                     row.ResultOf(c.dtype, arguments), shape.height, shape.width);
    double unused = 0;
    const double s = SecondsOfOne(
        engine, options, many, [&](int times) { return Repeated(c, side, times, unused); }, inputs,
        output);
    rates[NameOf(c)] = static_cast<double>(side * side) / s / 1e6;
    limits[NameOf(c)] = static_cast<double>(side * side) * copy_rate / bytes / 1e6;
  }
  engine.Forget(slots.memory);
}

// ------------------------------------------------------------------------------------ transfers

// uint16 planes there and back, by so many threads, without a kernel: the link.
double LinkRate(Engine& engine, const Options& options, bool down, bool registered) {
  const int64_t side = options.side;
  const auto bytes = PlaneBytes(DType::kU16, side, side);
  Slots slots(bytes, static_cast<uint32_t>(2 * options.threads));
  if (registered) engine.Register({slots.memory, slots.slot_bytes, slots.slots, {}});
  // A kernel of one workgroup that looks at one word, or makes one, so that the plane has to be
  // where it runs.
  auto recipe = std::make_shared<Recipe>();
  Pass pass;
  pass.name = "touch";
  pass.wgsl = std::make_shared<const std::string>(R"(
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> made: array<u32>;
@compute @workgroup_size(1) fn main() { made[0] = given[0]; }
)");
  const int64_t small = 64;
  const auto few = PlaneBytes(DType::kU16, small, small);
  recipe->buffers = {{Buffer::Kind::kInput, down ? few : bytes},
                     {Buffer::Kind::kOutput, down ? bytes : few}};
  pass.buffers = {0, 1};
  pass.writes = {false, true};
  recipe->passes = {pass};
  const double rate = Rate(options, options.threads, [&](int t) {
    const auto slot = static_cast<uint32_t>(2 * t);
    Request request{recipe,
                    {slots.plane(slot, DType::kU16, down ? small : side)},
                    {slots.plane(slot + 1, DType::kU16, down ? side : small)}};
    engine.Run(request);
  });
  if (registered) engine.Forget(slots.memory);
  return rate * static_cast<double>(bytes);
}

// Requests of one small pass on small tiles, from all threads: what the engine itself costs, in
// seconds of its thread and of the clock a tile.
void MeasureCalls(Engine& engine, const Options& options, Figures& facts) {
  const int64_t side = 64;
  Slots slots(PlaneBytes(DType::kF32, side, side), static_cast<uint32_t>(2 * options.threads));
  engine.Register({slots.memory, slots.slot_bytes, slots.slots, {}});
  const OpRow& row = FindOp("sobel");
  RecipeBuilder builder;
  const GpuPlane in = builder.Input(DType::kU16, side, side);
  const OpLink link{&row, OpArguments(row)};
  EncodeOps(builder, {&link, 1}, in, builder.Output(DType::kF32, side, side));
  const auto recipe = std::make_shared<const Recipe>(builder.Take());
  const auto call = [&](int t) {
    const auto slot = static_cast<uint32_t>(2 * t);
    Request request{
        recipe, {slots.plane(slot, DType::kU16, side)}, {slots.plane(slot + 1, DType::kF32, side)}};
    engine.Run(request);
  };
  for (int t = 0; t < options.threads; ++t) call(t);
  const EngineStats before = engine.stats();
  const double rate = Rate(options, options.threads, call);
  const EngineStats after = engine.stats();
  const auto tiles = static_cast<double>(after.requests - before.requests);
  facts["tiles/s"] = rate;
  facts["tiles a submit"] = tiles / static_cast<double>(after.submits - before.submits);
  facts["encoding, us a tile"] = (after.encode_s - before.encode_s) / tiles * 1e6;
  engine.Forget(slots.memory);
}

// --------------------------------------------------------------------------------- the whole chain

constexpr double kSigma = 1.5;

// Flat field, Gaussian, Otsu, labels: u16 in, int32 out.
std::shared_ptr<const Recipe> Chain(int64_t side) {
  RecipeBuilder builder;
  const GpuPlane in = builder.Input(DType::kU16, side, side);
  const GpuPlane field = builder.Input(DType::kF32, side, side);
  const GpuPlane smooth = builder.Temporary(DType::kF32, side, side);
  const OpRow &flat = FindOp("flatField"), &gaussian = FindOp("gaussian");
  OpArguments sigma(gaussian);
  sigma.Set("sigma", kSigma);
  const std::vector<OpLink> links = {{&flat, OpArguments(flat), {field}}, {&gaussian, sigma}};
  EncodeOps(builder, links, in, smooth);
  const GpuThreshold threshold = EncodeThreshold(builder, ThresholdMethod::kOtsu, 0, smooth);
  EncodeLabel(builder, smooth, threshold, {}, builder.Output(DType::kI32, side, side));
  return std::make_shared<const Recipe>(builder.Take());
}

void FillField(const Plane& field) {
  for (int64_t y = 0; y < field.height; ++y) {
    for (int64_t x = 0; x < field.width; ++x) {
      field.row<float>(y)[x] =
          0.8f + 0.4f * static_cast<float>(x) / static_cast<float>(field.width);
    }
  }
}

double ChainOnGpu(Engine& engine, const Options& options) {
  const int64_t side = options.side;
  Slots slots(PlaneBytes(DType::kF32, side, side), static_cast<uint32_t>(2 * options.threads + 1));
  engine.Register({slots.memory, slots.slot_bytes, slots.slots, {}});
  const auto recipe = Chain(side);
  const Plane field = slots.plane(slots.slots - 1, DType::kF32, side);
  FillField(field);
  for (int t = 0; t < options.threads; ++t) {
    Paint(slots.plane(static_cast<uint32_t>(2 * t), DType::kU16, side));
  }
  const double rate = Rate(options, options.threads, [&](int t) {
    const auto slot = static_cast<uint32_t>(2 * t);
    Request request{recipe,
                    {slots.plane(slot, DType::kU16, side), field},
                    {slots.plane(slot + 1, DType::kI32, side)}};
    engine.Run(request);
  });
  engine.Forget(slots.memory);
  return rate * static_cast<double>(side * side) / 1e6;
}

double ChainOnCpu(const Options& options) {
  const int64_t side = options.side;
  const int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  Slots slots(PlaneBytes(DType::kF32, side, side), static_cast<uint32_t>(3 * threads + 1));
  const Plane field = slots.plane(slots.slots - 1, DType::kF32, side);
  FillField(field);
  for (int t = 0; t < threads; ++t) {
    Paint(slots.plane(static_cast<uint32_t>(3 * t), DType::kU16, side));
  }
  const OpRow &flat = FindOp("flatField"), &gaussian = FindOp("gaussian");
  const OpArguments none(flat);
  OpArguments sigma(gaussian);
  sigma.Set("sigma", kSigma);
  std::vector<OpScratch> scratch(static_cast<size_t>(threads));
  std::vector<Objects> objects(static_cast<size_t>(threads));
  const double rate = Rate(options, threads, [&](int t) {
    const auto slot = static_cast<uint32_t>(3 * t);
    const auto at = static_cast<size_t>(t);
    const Plane in = slots.plane(slot, DType::kU16, side);
    const Plane even = slots.plane(slot + 1, DType::kF32, side);
    const Plane smooth = slots.plane(slot + 2, DType::kF32, side);
    std::optional<MinMax> range;
    flat.run({none, in, {&field, 1}, even, scratch[at], &range});
    range.reset();
    gaussian.run({sigma, even, {}, smooth, scratch[at], &range});
    LabelRuns(smooth, Otsu(smooth, range), {}, objects[at]);
    PaintLabels(objects[at], slots.plane(slot + 1, DType::kI32, side));
  });
  return rate * static_cast<double>(side * side) / 1e6;
}

// ----------------------------------------------------------------------------------------- output

void Print(const char* name, const Figures& figures, bool last) {
  std::printf("\"%s\": {", name);
  const char* comma = "";
  for (const auto& [key, value] : figures) {
    std::printf("%s\"%s\": %.6g", comma, key.c_str(), value);
    comma = ", ";
  }
  std::printf(last ? "}" : "}, ");
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out;
}

void MeasureGpu(const Options& options) {
  const auto engine = Engine::Open();
  const AdapterFacts facts = engine->facts();
  EngineOptions staged;
  staged.planes = PlaneAccess::kStage;
  const auto through_staging = Engine::Open(staged);
  Figures rates, limits, calls, link;
  double to = 0, from = 0;  // MB/s
  MeasureOps(*engine, options, rates, limits);
  MeasureCalls(*engine, options, calls);
  for (const bool down : {false, true}) {
    const std::string way = down ? "from the GPU" : "to the GPU";
    const double best = LinkRate(*engine, options, down, true);
    link[way + ", registered memory, GB/s"] = best / 1e9;
    link[way + ", staged, GB/s"] = LinkRate(*through_staging, options, down, false) / 1e9;
    (down ? from : to) = best / 1e6;
  }
  rates["chain"] = ChainOnGpu(*engine, options);
  // Both directions at once: 2 bytes a pixel and 4 of the field go up, 4 come down.
  limits["chain"] = 1 / std::max(6 / to, 4 / from);
  std::printf(
      "{\"adapter\": \"%s\", \"driver\": \"%s\", \"software\": %s, \"imports\": %s, "
      "\"why\": \"%s\", ",
      Escaped(facts.name).c_str(), Escaped(facts.driver).c_str(), facts.software ? "true" : "false",
      facts.host_mapped ? "true" : "false", Escaped(facts.host_mapped_reason).c_str());
  Print("rates", rates, false);
  Print("limits", limits, false);
  Print("calls", calls, false);
  Print("link", link, true);
  std::printf("}\n");
}

}  // namespace
}  // namespace tilecast::gpu

// Prints one line of JSON: rates and limits in Mpx/s of input pixels, and what else was found; with
// --cpu the chain on all cores; with --list the cases there are.
int main(int argc, char** argv) {
  tilecast::gpu::Options options;
  bool cpu = false, list = false;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--cpu") {
      cpu = true;
    } else if (name == "--list") {
      list = true;
    } else if (i + 1 == argc) {
      std::fprintf(stderr, "tilecast_gpu_bench: %s lacks its value\n", name.c_str());
      return 2;
    } else if (name == "--side") {
      options.side = std::atoll(argv[++i]);
    } else if (name == "--threads") {
      options.threads = std::atoi(argv[++i]);
    } else if (name == "--seconds") {
      options.seconds = std::atof(argv[++i]);
    } else {
      std::fprintf(stderr, "tilecast_gpu_bench: no option %s\n", name.c_str());
      return 2;
    }
  }
  try {
    if (list) {
      std::printf("[");
      for (const tilecast::gpu::OpCase& c : tilecast::gpu::OpCases()) {
        double bytes = 0;
        if (tilecast::gpu::FindGpuRow(c.op) == nullptr) continue;
        if (!tilecast::gpu::Repeated(c, options.side, 1, bytes)) continue;
        std::printf("\"%s\", ", tilecast::gpu::NameOf(c).c_str());
      }
      std::printf("\"chain\"]\n");
    } else if (cpu) {
      std::printf("{\"chain\": %.6g}\n", tilecast::gpu::ChainOnCpu(options));
    } else {
      tilecast::gpu::MeasureGpu(options);
    }
  } catch (const tilecast::Error& error) {
    std::fprintf(stderr, "Error: %s\n", error.what());
    return 1;
  }
  return 0;
}
