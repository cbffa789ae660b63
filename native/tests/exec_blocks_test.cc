// SPDX-License-Identifier: MIT
// Jobs in blocks: whatever the size of slots, chunks and threads, rows, planes, pyramids and
// pictures are those of the job that holds its images whole.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "exec/block_plan.h"
#include "exec_support.h"
#include "ops/resample.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

namespace {

// An image of discs on a wavy, noisy ground, some of them touching, with a hole in every third.
template <class T>
std::vector<T> Discs(int64_t height, int64_t width, uint32_t seed, double scale = 1) {
  std::mt19937 random(seed);
  std::vector<double> pixels(static_cast<size_t>(height * width));
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      pixels[static_cast<size_t>(y * width + x)] =
          20 + 6 * std::sin(static_cast<double>(x) / 17) + static_cast<double>(random() % 5);
    }
  }
  const int64_t count = height * width / 400;
  for (int64_t n = 0; n < count; ++n) {
    const auto cy = static_cast<int64_t>(random() % static_cast<uint32_t>(height));
    const auto cx = static_cast<int64_t>(random() % static_cast<uint32_t>(width));
    const auto r = static_cast<int64_t>(3 + random() % 9);
    const double light = 40 + static_cast<double>(random() % 60);
    for (int64_t y = std::max<int64_t>(0, cy - r); y <= std::min(height - 1, cy + r); ++y) {
      for (int64_t x = std::max<int64_t>(0, cx - r); x <= std::min(width - 1, cx + r); ++x) {
        const int64_t d = (y - cy) * (y - cy) + (x - cx) * (x - cx);
        if (d <= r * r && (n % 3 != 0 || d > 4))
          pixels[static_cast<size_t>(y * width + x)] += light;
      }
    }
  }
  std::vector<T> out(pixels.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(pixels[i] * scale);
  return out;
}

struct Outcome {
  JobResult result;
  std::vector<std::vector<std::byte>> planes;  // every level of every output
};

class Bench {
 public:
  Bench(int64_t height, int64_t width) : height_(height), width_(width) {}

  template <class T>
  int Add(uint32_t seed, double scale = 1) {
    const std::vector<T> pixels = Discs<T>(height_, width_, seed, scale);
    constexpr DType dtype = DTypeOf<T>::value;
    const PlaneTarget target{folder_.path() + "/in" + std::to_string(sources_.size()), "", height_,
                             width_};
    const ZarrEncoding encoding{3, false, ChunkCodec::kBloscLz4, 5, 32, '.'};
    PlaneWriter().Write(PackedPlane(const_cast<T*>(pixels.data()), dtype, height_, width_), target,
                        encoding);
    Source source{target.dir, 0, 0, height_, width_, dtype};
    source.array =
        std::make_shared<const ZarrArray>(ArrayOf(target, encoding, dtype, source.index));
    sources_.push_back(source);
    return static_cast<int>(sources_.size()) - 1;
  }

  // kRead, kProject ... of sources.
  static Instruction From(OpKind kind, std::vector<int> sources, int out) {
    Instruction op = Make(kind, -1, out);
    op.sources = std::move(sources);
    return op;
  }
  static Instruction Apply(const char* name, int in, int out,
                           std::vector<std::pair<const char*, double>> numbers = {},
                           std::vector<std::pair<const char*, const char*>> names = {},
                           std::vector<int> others = {}) {
    Instruction op = Make(OpKind::kApply, in, out);
    op.row = &FindOp(name);
    op.arguments = OpArguments(*op.row);
    for (const auto& [key, value] : numbers) op.arguments.Set(key, value);
    for (const auto& [key, value] : names) op.arguments.Set(key, std::string_view(value));
    op.inputs = std::move(others);
    return op;
  }
  static Instruction Threshold(OpKind kind, ThresholdMethod method, int in, int out,
                               double value = 0) {
    Instruction op = Make(kind, in, out);
    op.method = method;
    op.a = value;
    return op;
  }
  Instruction Write(OpKind kind, int in, DType dtype, int64_t height, int64_t width) {
    Instruction op = Make(kind, in, -1);
    op.output = static_cast<int>(outputs_.size());
    int levels = 1;
    for (int64_t n = std::max(height, width); n > 20; n = HalfSize(n)) ++levels;
    outputs_.push_back({"", "1", height, width, dtype, levels});
    return op;
  }
  static Instruction Measure(int labels, std::vector<int> images) {
    Instruction op = Make(OpKind::kMeasure, labels, -1);
    op.inputs = std::move(images);
    using K = Column::Kind;
    for (const K kind : {K::kLabel, K::kArea, K::kCentroidY, K::kCentroidX, K::kBoxY0, K::kBoxX1,
                         K::kPerimeter, K::kEccentricity})
      op.columns.push_back({kind, -1});
    for (size_t k = 0; k < op.inputs.size(); ++k) {
      for (const K kind : {K::kIntegrated, K::kMean, K::kMin, K::kMax})
        op.columns.push_back({kind, static_cast<int>(k)});
    }
    return op;
  }

  Outcome Go(const std::vector<Instruction>& code, bool in_blocks, uint64_t slot_bytes, int threads,
             int64_t chunk, bool sharded) {
    Program program;
    program.code = code;
    for (const Instruction& op : code) program.registers = std::max(program.registers, op.out + 1);
    Program finalized = program;
    finalized.Finalize();
    const int slots = in_blocks ? BlockSlots(program) : finalized.slots;
    const auto pool = TilePool::Create(slot_bytes, static_cast<uint32_t>(slots * threads));
    ExecutorOptions options = Options(threads);
    options.thumbnail_px = 24;
    options.object_bytes = object_bytes_;
    options.image_encoding.chunk = options.label_encoding.chunk = chunk;
    options.image_encoding.sharded = options.label_encoding.sharded = sharded;
    Executor executor(pool, options);
    executor.AddProgram(program);
    const std::string dir = path() + "/out" + std::to_string(++runs_);
    Job job;
    job.in_blocks = in_blocks;
    job.thumbnail = true;
    job.sources = sources_;
    job.row_prefixes = {"P,"};
    job.mosaics = mosaics_;
    for (size_t k = 0; k < outputs_.size(); ++k) {
      job.outputs.push_back(outputs_[k]);
      job.outputs[k].dir = dir + "/" + std::to_string(k);
    }
    for (const auto& field : fields_) executor.AddField(height_, width_, field);
    Collector collector(executor);
    executor.Start({job}, collector.OnResults(), [](FunctionCall*) {});
    auto results = collector.WaitForAll();
    executor.Join();
    CHECK(pool->Stats().free == pool->slots());
    REQUIRE(results.size() == 1);
    Outcome run{std::move(results[0]), {}};
    if (!run.result.ok) return run;
    ZarrPlaneReader reader;
    for (const Output& output : job.outputs) {
      PlaneTarget target{"", output.lead, output.height, output.width};
      for (int level = 0; level < output.levels; ++level) {
        target.dir = output.dir + "/" + std::to_string(level);
        std::vector<int64_t> index;
        const ZarrArray array = ArrayOf(target, options.image_encoding, output.dtype, index);
        std::vector<std::byte> pixels(static_cast<size_t>(target.height * target.width) *
                                      DTypeSize(output.dtype));
        reader.Read(array, index, 0, 0,
                    PackedPlane(pixels.data(), output.dtype, target.height, target.width));
        run.planes.push_back(std::move(pixels));
        target.height = HalfSize(target.height);
        target.width = HalfSize(target.width);
      }
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir))
      CHECK_FALSE(entry.path().string().ends_with(".part"));
    return run;
  }

  struct Way {
    uint64_t slot;
    int threads;
    int64_t chunk;
    bool sharded;
  };
  // `narrow`: also in blocks of a part of the columns.
  void Same(const std::vector<Instruction>& code, bool narrow = false) {
    std::vector<Way> ways{
        {160 << 10, 1, 32, true}, {60 << 10, 3, 16, true}, {160 << 10, 2, 24, false}};
    if (narrow) ways.push_back({12 << 10, 2, 16, true});
    Same(code, ways);
  }
  void Same(const std::vector<Instruction>& code, const std::vector<Way>& ways) {
    int64_t pixels = height_ * width_;
    for (const MosaicPlan& m : mosaics_) pixels = std::max(pixels, m.height * m.width);
    const Outcome whole = Go(code, false, static_cast<uint64_t>(pixels * 8), 1, 32, true);
    REQUIRE_MESSAGE(whole.result.ok, whole.result.message);
    for (const Way& way : ways) {
      CAPTURE(way.slot);
      const Outcome blocks = Go(code, true, way.slot, way.threads, way.chunk, way.sharded);
      REQUIRE_MESSAGE(blocks.result.ok, blocks.result.message);
      CHECK(blocks.result.rows == whole.result.rows);
      CHECK(blocks.result.pixels == whole.result.pixels);
      REQUIRE(blocks.planes.size() == whole.planes.size());
      for (size_t i = 0; i < whole.planes.size(); ++i) {
        CAPTURE(i);
        CHECK(blocks.planes[i] == whole.planes[i]);
      }
      REQUIRE(blocks.result.parts.size() == 1);
      const PartResult &a = blocks.result.parts[0], &b = whole.result.parts[0];
      CHECK(a.objects == b.objects);
      CHECK(a.sums == b.sums);
      CHECK(a.has_range == b.has_range);
      CHECK(a.low == b.low);
      CHECK(a.high == b.high);
      REQUIRE(blocks.result.thumbnails.size() == whole.result.thumbnails.size());
      for (size_t i = 0; i < whole.result.thumbnails.size(); ++i) {
        CHECK(blocks.result.thumbnails[i].pixels == whole.result.thumbnails[i].pixels);
        CHECK(blocks.result.thumbnails[i].outline == whole.result.thumbnails[i].outline);
      }
      REQUIRE(blocks.result.outlines.size() == whole.result.outlines.size());
      for (size_t i = 0; i < whole.result.outlines.size(); ++i)
        CHECK(blocks.result.outlines[i].outlines.vertices ==
              whole.result.outlines[i].outlines.vertices);
      REQUIRE(blocks.result.centroids.size() == whole.result.centroids.size());
      for (size_t i = 0; i < whole.result.centroids.size(); ++i)
        CHECK(blocks.result.centroids[i].points == whole.result.centroids[i].points);
    }
  }

  int64_t height_, width_;
  std::vector<std::vector<float>> fields_;
  std::vector<MosaicPlan> mosaics_;
  uint64_t object_bytes_ = uint64_t{1} << 30;
  std::string path() const { return folder_.path(); }
  std::vector<Source>& sources() { return sources_; }

 private:
  ScratchFolder folder_;
  std::vector<Source> sources_;
  std::vector<Output> outputs_;
  int runs_ = 0;
};

constexpr int64_t kHeight = 301, kWidth = 421;

}  // namespace

TEST_CASE("in blocks, a whole segmentation gives the rows and planes of the image held whole") {
  Bench bench(kHeight, kWidth);
  const int a = bench.Add<uint16_t>(1, 30), b = bench.Add<uint16_t>(2, 30);
  std::vector<Instruction> code{Bench::From(OpKind::kProject, {a, b}, 0)};
  code.push_back(bench.Write(OpKind::kWriteImage, 0, DType::kU16, kHeight, kWidth));
  code.push_back(Bench::Apply("gaussian", 0, 1, {{"sigma", 1.5}}));
  code.push_back(Bench::Threshold(OpKind::kLabel, ThresholdMethod::kOtsu, 1, 2));
  code.back().label.min_area = 20;
  code.push_back(bench.Write(OpKind::kWriteLabels, 2, DType::kI32, kHeight, kWidth));
  code.push_back(Make(OpKind::kThumbnail, 0, -1));
  code.back().inputs = {2};
  code.push_back(Bench::Measure(2, {0, 1}));
  code.push_back(Make(OpKind::kOutline, 2, -1));
  code.push_back(Make(OpKind::kCentroids, 2, -1));
  bench.Same(code, true);
}

TEST_CASE("in blocks, every threshold of every dtype is that of the whole image") {
  Bench bench(kHeight, kWidth);
  const int sources[] = {bench.Add<uint8_t>(1), bench.Add<uint16_t>(2, 97),
                         bench.Add<float>(3, 0.37), bench.Add<double>(4, 1e-3),
                         bench.Add<int16_t>(5, -20)};
  for (const int source : sources) {
    CAPTURE(source);
    for (const auto method : {ThresholdMethod::kOtsu, ThresholdMethod::kTriangle,
                              ThresholdMethod::kLi, ThresholdMethod::kYen}) {
      Bench one(kHeight, kWidth);
      one.sources() = {bench.sources()[static_cast<size_t>(source)]};
      std::vector<Instruction> code{Bench::From(OpKind::kRead, {0}, 0)};
      code.push_back(Bench::Threshold(OpKind::kThreshold, method, 0, 1));
      code.push_back(one.Write(OpKind::kWriteImage, 1, DType::kU8, kHeight, kWidth));
      one.Same(code, true);
    }
  }
}

TEST_CASE(
    "in blocks, filters see their neighbours across blocks and reflect at the image's edges only") {
  struct Filter {
    const char* name;
    std::vector<std::pair<const char*, double>> numbers;
    std::vector<std::pair<const char*, const char*>> names;
  };
  const std::vector<Filter> filters{
      {"gaussian", {{"sigma", 3.7}}, {}},
      {"box", {{"height", 9}, {"width", 4}}, {}},
      {"median", {{"radius", 2}}, {}},
      {"median", {{"radius", 7}}, {}},
      {"unsharp", {{"sigma", 2}}, {}},
      {"differenceOfGaussians", {{"low", 1}, {"high", 3}}, {}},
      {"laplaceOfGaussian", {{"sigma", 2}}, {}},
      {"sobel", {}, {}},
      {"erode", {{"height", 4}, {"width", 7}}, {}},
      {"dilate", {{"radius", 6}}, {}},
      {"open", {{"radius", 5}}, {}},
      {"close", {{"height", 6}, {"width", 3}}, {}},
      {"topHat", {{"height", 12}, {"width", 12}}, {}},
      {"blackTopHat", {{"radius", 4}}, {}},
      {"adaptiveThreshold", {{"block", 21}}, {{"method", "mean"}}},
      {"adaptiveThreshold", {{"block", 31}}, {{"method", "gaussian"}}},
      {"subtractBackground", {{"percentile", 33.3}}, {}},
      {"normalize", {}, {}},
      {"normalize", {{"low", 1.7}, {"high", 99}}, {}},
      {"equalize", {}, {}},
      {"invert", {}, {}},
      {"anscombe", {}, {}},
      {"crop", {{"y", 37}, {"x", 51}, {"height", 203}, {"width", 311}}, {}},
      {"rotate", {}, {{"turn", "90"}}},
      {"rotate", {}, {{"turn", "180"}}},
      {"rotate", {}, {{"turn", "270"}}},
      {"flip", {}, {{"axis", "rows"}}},
      {"flip", {}, {{"axis", "columns"}}},
      {"flip", {}, {{"axis", "transpose"}}},
      {"bin", {{"factor", 3}}, {}},
      {"resize", {{"height", 177}, {"width", 600}}, {{"method", "bilinear"}}},
      {"resize", {{"height", 350}, {"width", 97}}, {{"method", "area"}}},
  };
  Bench bench(kHeight, kWidth);
  bench.Add<uint16_t>(7, 113);
  bench.Add<float>(8, 0.731);
  for (const Filter& filter : filters) {
    CAPTURE(filter.name);
    for (const Source& source : bench.sources()) {
      Bench one(kHeight, kWidth);
      one.sources() = {source};
      const Instruction op = Bench::Apply(filter.name, 0, 1, filter.numbers, filter.names);
      const PlaneShape shape = op.row->ShapeOf({kHeight, kWidth}, op.arguments);
      one.Same({Bench::From(OpKind::kRead, {0}, 0), op,
                one.Write(OpKind::kWriteImage, 1, op.row->ResultOf(source.dtype, op.arguments),
                          shape.height, shape.width),
                Make(OpKind::kThumbnail, 1, -1)});
    }
  }
}

TEST_CASE("in blocks, holes are filled, labels filtered, grown, turned and measured as a whole") {
  Bench bench(kHeight, kWidth);
  bench.Add<float>(11, 0.3);
  std::vector<Instruction> code{Bench::From(OpKind::kRead, {0}, 0)};
  code.push_back(Bench::Threshold(OpKind::kThreshold, ThresholdMethod::kTriangle, 0, 1));
  code.push_back(Bench::Apply("fillHoles", 1, 2));
  code.push_back(bench.Write(OpKind::kWriteImage, 2, DType::kU8, kHeight, kWidth));
  code.push_back(Bench::Threshold(OpKind::kLabel, ThresholdMethod::kValue, 2, 3));
  code.push_back(Bench::Apply("filterLabels", 3, 4, {{"minArea", 60}}));
  code.back().arguments.Set("clearBorder", true);
  code.push_back(Bench::Apply("expandLabels", 4, 5, {{"distance", 5.5}}));
  code.push_back(bench.Write(OpKind::kWriteLabels, 5, DType::kI32, kHeight, kWidth));
  code.push_back(Make(OpKind::kOutline, 5, -1));
  code.push_back(Bench::Measure(5, {0, 2}));
  bench.Same(code, true);
}

TEST_CASE("in blocks, projections, second images and fields are taken part by part") {
  Bench bench(kHeight, kWidth);
  const std::vector<int> stack{bench.Add<uint16_t>(21, 7), bench.Add<uint16_t>(22, 7),
                               bench.Add<uint16_t>(23, 7)};
  std::vector<float> field(static_cast<size_t>(kHeight * kWidth));
  for (size_t i = 0; i < field.size(); ++i) field[i] = 0.5f + static_cast<float>(i % 977) / 977;
  bench.fields_ = {field};
  std::vector<Instruction> code;
  const StackOp ops[] = {StackOp::kMax, StackOp::kMean, StackOp::kSum, StackOp::kDeviation,
                         StackOp::kFocus};
  for (int k = 0; k < 5; ++k) {
    code.push_back(Bench::From(OpKind::kProject, stack, k));
    code.back().projection = ops[k];
    code.back().a = 9;
  }
  code.push_back(Bench::Apply("flatField", 1, 5, {{"background", 3}}));
  code.back().resource = 0;
  code.push_back(Bench::Apply("subtract", 5, 6, {}, {}, {3}));
  code.push_back(Make(OpKind::kProjectRegs, -1, 7));
  code.back().inputs = {5, 6, 3};
  code.back().projection = StackOp::kMean;
  code.push_back(bench.Write(OpKind::kWriteImage, 0, DType::kF32, kHeight + 9, kWidth + 40));
  code.push_back(bench.Write(OpKind::kWriteImage, 2, DType::kU32, kHeight, kWidth));
  code.push_back(bench.Write(OpKind::kWriteImage, 4, DType::kU16, kHeight, kWidth));
  code.push_back(bench.Write(OpKind::kWriteImage, 7, DType::kF32, kHeight, kWidth));
  bench.Same(code, true);
}

TEST_CASE("in blocks, a stitched well is assembled, segmented and measured as a whole") {
  MosaicPlan mosaic;
  mosaic.image_height = kHeight;
  mosaic.image_width = kWidth;
  mosaic.y = {0, 12.4, 270.5, 281};
  mosaic.x = {20.25, 390.75, 0, 377.5};
  mosaic.height = 600;
  mosaic.width = 830;
  MosaicPlan moved = mosaic;
  moved.y = {1.5};
  moved.x = {-2.25};
  for (const auto& [blend, placing, dtype] :
       {std::tuple{Blend::kLinear, Placing::kLinear, DType::kF32},
        std::tuple{Blend::kMax, Placing::kNearest, DType::kU16}}) {
    CAPTURE(static_cast<int>(blend));
    Bench bench(kHeight, kWidth);
    bench.mosaics_ = {mosaic, moved};
    std::vector<Instruction> code;
    for (int k = 0; k < 4; ++k) {
      bench.Add<uint16_t>(static_cast<uint32_t>(70 + k), 9);
      code.push_back(Bench::From(OpKind::kRead, {k}, k));
    }
    code.push_back(Make(OpKind::kMove, 3, 4));
    code.back().mosaic = 1;
    code.push_back(Make(OpKind::kCanvas, -1, 5));
    code.back().dtype = dtype;
    code.back().mosaic = 0;
    for (int k = 0; k < 4; ++k) {
      code.push_back(Make(OpKind::kPlace, k == 3 ? 4 : k, -1));
      code.back().inputs = {5};
      code.back().mosaic = 0;
      code.back().image = k;
      code.back().blend = blend;
      code.back().placing = placing;
    }
    code.push_back(bench.Write(OpKind::kWriteImage, 5, dtype, 600, 830));
    code.push_back(Bench::Apply("gaussian", 5, 6, {{"sigma", 1}}));
    code.push_back(Bench::Threshold(OpKind::kLabel, ThresholdMethod::kOtsu, 6, 7));
    code.push_back(bench.Write(OpKind::kWriteLabels, 7, DType::kI32, 600, 830));
    code.push_back(Bench::Measure(7, {5}));
    // Slots that hold the moved image.
    bench.Same(code, {{512 << 10, 2, 64, true}, {260 << 10, 3, 32, false}});
  }
}

TEST_CASE("in blocks, a job that fails says where and why, and leaves no part of what it wrote") {
  Bench bench(kHeight, kWidth);
  bench.Add<uint16_t>(31, 5);
  std::vector<Instruction> code{Bench::From(OpKind::kRead, {0}, 0)};
  code.push_back(bench.Write(OpKind::kWriteImage, 0, DType::kU16, kHeight, kWidth));
  code.push_back(Bench::Threshold(OpKind::kLabel, ThresholdMethod::kOtsu, 0, 1));
  code.push_back(bench.Write(OpKind::kWriteLabels, 1, DType::kI32, kHeight, kWidth));
  REQUIRE(bench.Go(code, true, 60 << 10, 2, 16, true).result.ok);
  // The last chunk that is read of many.
  std::filesystem::resize_file(bench.path() + "/in0/c.9.13", 8);
  const Outcome run = bench.Go(code, true, 60 << 10, 2, 16, true);
  REQUIRE_FALSE(run.result.ok);
  CHECK(run.result.code == Code::kZarrDamaged);
  CHECK(run.result.stage == "test");
  CHECK(run.result.message.find("/in0/c.9.13") != std::string::npos);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(bench.path() + "/out2"))
    CHECK_MESSAGE(entry.is_directory(), entry.path().string());
}

TEST_CASE("in blocks, objects that take more than they may are refused, with what to do") {
  Bench bench(kHeight, kWidth);
  bench.Add<uint16_t>(41, 5);
  bench.object_bytes_ = 4096;
  std::vector<Instruction> code{Bench::From(OpKind::kRead, {0}, 0)};
  code.push_back(Bench::Threshold(OpKind::kLabel, ThresholdMethod::kOtsu, 0, 1));
  code.push_back(Bench::Measure(1, {0}));
  const Outcome run = bench.Go(code, true, 60 << 10, 2, 16, true);
  CHECK(run.result.code == Code::kPoolMemory);
  CHECK(
      run.result.message ==
      "the objects of this image of 421 x 301 px take more than the 0 MiB that are left for them; "
      "smooth the image before it is thresholded, or allow more memory");
}

TEST_CASE("in blocks, what cannot be cut is refused by name, and slots too small for a chunk") {
  Bench bench(kHeight, kWidth);
  bench.Add<uint8_t>(51);
  std::vector<Instruction> code{Bench::From(OpKind::kRead, {0}, 0)};
  code.push_back(bench.Write(OpKind::kWriteImage, 0, DType::kU8, kHeight, kWidth));
  CHECK(bench.Go(code, true, 4096, 1, 256, true).result.code == Code::kSlotTooSmall);
  code.push_back(Bench::Apply("clahe", 0, 1));
  const Outcome run = bench.Go(code, true, 60 << 10, 1, 32, true);
  CHECK(run.result.code == Code::kInvalidArgument);
  CHECK(run.result.message == "clahe needs its whole image in one tile");
}

TEST_CASE("in blocks, an op that needs its whole image has it when the image has become small") {
  Bench bench(kHeight, kWidth);
  bench.Add<uint16_t>(61, 9);
  std::vector<Instruction> code{Bench::From(OpKind::kRead, {0}, 0)};
  code.push_back(Bench::Apply("bin", 0, 1, {{"factor", 4}}));
  code.push_back(Bench::Threshold(OpKind::kThreshold, ThresholdMethod::kOtsu, 1, 2));
  code.push_back(Bench::Apply("splitObjects", 2, 3, {{"distance", 2}}));
  code.push_back(bench.Write(OpKind::kWriteImage, 1, DType::kF32, 76, 106));
  code.push_back(bench.Write(OpKind::kWriteLabels, 3, DType::kI32, 76, 106));
  code.push_back(Bench::Measure(3, {1}));
  bench.Same(code);
}

TEST_CASE("in blocks, several jobs and ordinary ones share threads, and cancelling ends them all") {
  const ScratchFolder folder;
  for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
  for (const bool cancel : {false, true}) {
    const auto pool = TilePool::Create(kSide * kSide * 4, 12);
    ExecutorOptions options = Options(3);
    options.image_encoding.chunk = options.label_encoding.chunk = 16;
    Executor executor(pool, options);
    executor.AddProgram(SegmentProgram());
    std::vector<Job> jobs;
    for (int n = 0; n < 60; ++n) {
      jobs.push_back(MakeJob(folder, n % 8));
      jobs.back().in_blocks = n % 2 == 1;
      jobs.back().outputs[0].dir += "-" + std::to_string(n);
      jobs.back().outputs[1].dir += "-" + std::to_string(n);
    }
    Collector collector(executor);
    executor.Start(std::move(jobs), collector.OnResults(), [](FunctionCall*) {});
    if (cancel) executor.Cancel();
    const auto results = collector.WaitForAll();
    executor.Join();
    if (!cancel) CHECK(results.size() == 60);
    std::vector<std::string> rows(8);
    for (const JobResult& r : results) {
      if (cancel && !r.ok) CHECK(r.code == Code::kCancelled);
      if (!r.ok) continue;
      std::string& first = rows[static_cast<size_t>(r.job % 8)];
      if (first.empty()) first = r.rows;
      CHECK(r.rows == first);
    }
    CHECK(pool->Stats().free == pool->slots());
  }
}

TEST_CASE("in blocks, an estimate collects the block means of whole images") {
  std::vector<float> fields[2];
  for (const bool in_blocks : {false, true}) {
    const ScratchFolder folder;
    for (int i = 0; i < 4; ++i) MakePlane(folder.path(), i);
    const auto pool = TilePool::Create(kSide * kSide * 4, 8);
    Executor executor(pool, Options(2));
    const int estimate = executor.AddEstimator(kSide, kSide, 5, 4);
    Program p;
    Instruction read = Make(OpKind::kRead, -1, 0);
    read.sources = {0};
    Instruction collect = Make(OpKind::kCollect, 0, -1);
    collect.resource = estimate;
    collect.a = 7;
    p.code = {read, collect};
    p.registers = 1;
    executor.AddProgram(p);
    std::vector<Job> jobs;
    for (int n = 0; n < 4; ++n) {
      Job job;
      job.index = n;
      job.in_blocks = in_blocks;
      job.sources.push_back(
          {folder.path() + "/plane" + std::to_string(n) + ".tif", 0, 0, kSide, kSide, DType::kU16});
      jobs.push_back(job);
    }
    Collector collector(executor);
    executor.Start(std::move(jobs), collector.OnResults(), [](FunctionCall*) {});
    for (const JobResult& r : collector.WaitForAll()) CHECK_MESSAGE(r.ok, r.message);
    executor.Join();
    executor.FinishEstimator(estimate, EstimateMethod::kMedian, 10);
    fields[in_blocks ? 1 : 0] = executor.field(estimate);
  }
  CHECK(fields[0] == fields[1]);
}
