// SPDX-License-Identifier: MIT
// Ops applied by name: chains of point-wise ops run as one pass, with the slots, results and errors
// of the single ops.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "exec_support.h"
#include "ops/arithmetic.h"
#include "ops/intensity.h"

namespace tilecast {
namespace {

constexpr int64_t kHeight = 400, kWidth = 510;

Plane Packed(std::vector<std::byte>& memory, DType dtype) {
  memory.resize(static_cast<size_t>(kHeight * kWidth) * DTypeSize(dtype));
  return PackedPlane(memory.data(), dtype, kHeight, kWidth);
}

std::string SavePlane(const std::string& folder, std::vector<std::byte>& pixels) {
  const Plane plane = Packed(pixels, DType::kU16);
  for (int64_t y = 0; y < kHeight; ++y) {
    for (int64_t x = 0; x < kWidth; ++x) {
      plane.row<uint16_t>(y)[x] = static_cast<uint16_t>((x * 131 + y * 7919) % 40009);
    }
  }
  TiffFixture tiff;
  tiff.Grey(kWidth, kHeight, 16, kHeight, 1,
            {std::string(reinterpret_cast<const char*>(pixels.data()), pixels.size())});
  tiff.Page();
  std::string path = folder + "/plane.tif";
  tiff.Save(path);
  return path;
}

Instruction Apply(std::string_view name, int in, int out) {
  Instruction op = Make(OpKind::kApply, in, out);
  op.row = &FindOp(name);
  op.arguments = OpArguments(*op.row);
  return op;
}

// read 0; 1 = percentile subtracted; 2 = 1 * 0.37 - 4; 3 = 2 + 0 (the plane as read); 4 = uint8 of
// 3 / 50; a function sees 4
Program ChainProgram() {
  Program p;
  p.code.push_back(Make(OpKind::kRead, -1, 0));
  p.code.back().sources = {0};
  p.code.push_back(Apply("subtractBackground", 0, 1));
  p.code.back().arguments.Set("percentile", 12.5);
  p.code.push_back(Apply("rescale", 1, 2));
  p.code.back().arguments.Set("scale", 0.37);
  p.code.back().arguments.Set("offset", -4.0);
  p.code.push_back(Apply("add", 2, 3));
  p.code.back().inputs = {0};
  p.code.push_back(Apply("divide", 3, 4));
  p.code.back().arguments.Set("value", 50.0);
  p.code.back().arguments.Set("dtype", std::string_view("uint8"));
  p.code.push_back(Make(OpKind::kFunction, 4, 5));
  p.code.back().resource = 0;
  p.registers = 6;
  return p;
}

TEST_CASE("point-wise ops that only feed the next are one chain, without slots between them") {
  Program p = ChainProgram();
  p.Finalize();
  CHECK(p.chain_end == std::vector<int>{0, 4, 4, 4, 4, 5});
  // The plane as read is needed until the chain's last block.
  CHECK(p.last_use == std::vector<int>{4, -1, -1, -1, 5, 5});
  CHECK(p.slots == 2);

  Program read_again = ChainProgram();
  read_again.code[5].inputs = {2};  // so that it must exist
  read_again.Finalize();
  CHECK(read_again.chain_end == std::vector<int>{0, 2, 2, 4, 4, 5});

  Program looks_at_all = ChainProgram();
  looks_at_all.code[2] = Apply("normalize", 1, 2);
  looks_at_all.Finalize();
  CHECK(looks_at_all.chain_end == std::vector<int>{0, 1, 4, 4, 4, 5});

  Program filters = ChainProgram();
  filters.code[2] = Apply("sobel", 1, 2);
  filters.Finalize();
  CHECK(filters.chain_end == std::vector<int>{0, 1, 2, 4, 4, 5});

  Program both = ChainProgram();
  both.code[3].inputs = {2};
  both.Finalize();
  CHECK(both.chain_end == std::vector<int>{0, 2, 2, 4, 4, 5});
}

TEST_CASE("a chain gives the bytes of its ops one after another, and each op its time") {
  const ScratchFolder folder;
  std::vector<std::byte> pixels, a, b, c, expected;
  const std::string path = SavePlane(folder.path(), pixels);
  const Plane read = Packed(pixels, DType::kU16);
  const Plane one = Packed(a, DType::kF32), two = Packed(b, DType::kF32),
              three = Packed(c, DType::kF32), four = Packed(expected, DType::kU8);
  SubtractConstant(read, static_cast<float>(Percentile(read, 12.5)), one);
  Rescale(one, 0.37, -4, two);
  Calculate(Arithmetic::kAdd, two, read, three);
  Calculate(Arithmetic::kDivide, three, 50, four);

  const auto pool = TilePool::Create(kHeight * kWidth * 4, 2);
  Executor executor(pool, Options(1));
  executor.AddFunction();
  executor.AddProgram(ChainProgram());
  Job job;
  job.sources.push_back({path, 0, 0, kHeight, kWidth, DType::kU16});
  Collector collector(executor);
  bool seen = false;
  executor.Start({job}, collector.OnResults(), [&](FunctionCall* call) {
    seen = call->image.dtype == DType::kU8 &&
           std::memcmp(call->image.data, expected.data(), expected.size()) == 0;
    call->Complete();
  });
  const auto results = collector.WaitForAll();
  executor.Join();
  REQUIRE(results.size() == 1);
  CHECK_MESSAGE(results[0].ok, results[0].message);
  CHECK(seen);
  std::vector<std::string> names;
  for (const StageTime& t : executor.Timings()) {
    names.push_back(t.op);
    if (t.op != "javascript") CHECK(t.seconds > 0);
  }
  CHECK(names == std::vector<std::string>{"add", "divide", "javascript", "read", "rescale",
                                          "subtract_background"});
}

TEST_CASE("an input of a dtype that an op does not take fails the job with both named") {
  const ScratchFolder folder;
  std::vector<std::byte> pixels;
  const std::string path = SavePlane(folder.path(), pixels);
  const auto pool = TilePool::Create(kHeight * kWidth * 8, 3);
  Executor executor(pool, Options(1));
  Program p;
  p.code.push_back(Make(OpKind::kRead, -1, 0));
  p.code.back().sources = {0};
  p.code.push_back(Apply("convert", 0, 1));
  p.code.back().arguments.Set("dtype", std::string_view("float64"));
  p.code.push_back(Apply("median", 1, 2));
  p.code.back().arguments.Set("radius", 1.0);
  p.registers = 3;
  executor.AddProgram(p);
  Job job;
  job.sources.push_back({path, 0, 0, kHeight, kWidth, DType::kU16});
  Collector collector(executor);
  executor.Start({job}, collector.OnResults(), [](FunctionCall*) {});
  const auto results = collector.WaitForAll();
  REQUIRE(results.size() == 1);
  CHECK(results[0].code == Code::kOpDtype);
  CHECK(results[0].message ==
        "median takes uint8, int8, uint16, int16, uint32, int32, float32, and got float64");
  CHECK(pool->Stats().free == 3);
}

}  // namespace
}  // namespace tilecast
