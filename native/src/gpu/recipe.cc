// SPDX-License-Identifier: MIT
// Puts recipes together: buffers, and WGSL with its declarations.
#include "gpu/recipe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <set>

#include "error.h"

namespace tilecast::gpu {
namespace {

// In one direction; WebGPU's least limit is 65535.
constexpr int64_t kGroupsAcross = 32768;

int64_t PixelsInWord(DType d) {
  return 4 / static_cast<int64_t>(DTypeSize(d));
}

// Word, or element, of pixel i of a plane called `name`, as its scalar.
std::string LoadText(std::string_view name, DType d) {
  const std::string n(name), scalar = ScalarOf(d);
  std::string get;
  if (DTypeSize(d) == 4) {
    get = n + "[i]";
  } else if (d == DType::kU8 || d == DType::kI8) {
    get = "extractBits(" + std::string(d == DType::kI8 ? "bitcast<i32>(" : "(") + n +
          "[i >> 2u]), (i & 3u) * 8u, 8u)";
  } else {
    get = "extractBits(" + std::string(d == DType::kI16 ? "bitcast<i32>(" : "(") + n +
          "[i >> 1u]), (i & 1u) * 16u, 16u)";
  }
  // WGSL leaves open how 32 bits round to float32, and SwiftShader rounds twice: halves are exact.
  const std::string value =
      d == DType::kU32 ? "f32(v >> 16u) * 65536.0 + f32(v & 0xffffu)" : "f32(v)";
  return "alias " + n + "_t = " + scalar + ";\nfn load_" + n + "(i: u32) -> " + scalar +
         " { return " + get + "; }\nfn value_" + n + "(i: u32) -> f32 { let v = load_" + n +
         "(i); return " + value + "; }\n";
}

std::string ElementOf(DType d) {
  return DTypeSize(d) == 4 ? ScalarOf(d) : "u32";
}

constexpr std::string_view kLinearMain = R"(
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) at: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let i = (group.y * groups.x + group.x) * 256u + at;
  if (i < params.count) { item(i); }
}
)";

std::string MapItem(DType d) {
  if (DTypeSize(d) == 4) return "fn item(i: u32) { out[i] = pixel(i); }\n";
  const std::string per = std::to_string(PixelsInWord(d));
  const std::string bits = std::to_string(DTypeSize(d) * 8);
  return "fn item(i: u32) {\n  var word = 0u;\n  for (var k = 0u; k < " + per +
         "u; k++) {\n    let at = i * " + per +
         "u + k;\n    if (at < params.pixels) { word = insertBits(word, bitcast<u32>(pixel(at)), k "
         "* " +
         bits + "u, " + bits + "u); }\n  }\n  out[i] = word;\n}\n";
}

std::array<uint32_t, 3> LinearGroups(int64_t count) {
  return WorkgroupsFor((count + kLinearGroup - 1) / kLinearGroup);
}

std::string Filled(std::string_view kernel, RecipeBuilder::Text text) {
  return FilledText(KernelSource(kernel), text);
}

uint32_t Word(int64_t value) {
  if (value < 0 || value > int64_t{0xffffffff}) {
    throw Error(Code::kInternal, "a GPU kernel's parameter is beyond 32 bits");
  }
  return static_cast<uint32_t>(value);
}

// Appends a kernel's text, included ones in their places.
void Expand(std::string_view text, std::set<std::string, std::less<>>& seen, std::string& out) {
  constexpr std::string_view mark = "${include ";
  for (;;) {
    const size_t at = text.find(mark);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return;
    text.remove_prefix(at + mark.size());
    const std::string_view name = text.substr(0, text.find('}'));
    text.remove_prefix(name.size() + 1);
    if (seen.emplace(name).second) Expand(KernelText(name), seen, out);
  }
}

}  // namespace

std::string ScalarOf(DType d) {
  switch (d) {
    case DType::kU8:
    case DType::kU16:
    case DType::kU32:
      return "u32";
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
      return "i32";
    case DType::kF32:
      return "f32";
    case DType::kF64:
      break;
  }
  throw Error(Code::kOpDtype, "a GPU has no float64");
}

std::array<uint32_t, 3> WorkgroupsFor(int64_t count) {
  const int64_t across = std::clamp<int64_t>(count, 1, kGroupsAcross);
  return {static_cast<uint32_t>(across),
          static_cast<uint32_t>(std::max<int64_t>(1, (count + across - 1) / across)), 1};
}

std::string KernelSource(std::string_view name) {
  std::set<std::string, std::less<>> seen;
  std::string out;
  Expand(KernelText(name), seen, out);
  return out;
}

std::string FilledText(std::string_view text, RecipeBuilder::Text replacements) {
  std::string out(text);
  for (const auto& [key, value] : replacements) {
    const std::string mark = "${" + std::string(key) + "}";
    for (size_t at = 0; (at = out.find(mark, at)) != std::string::npos; at += value.size()) {
      out.replace(at, mark.size(), value);
    }
  }
  return out;
}

uint64_t PlaneBytes(DType dtype, int64_t height, int64_t width) {
  return (static_cast<uint64_t>(height) * static_cast<uint64_t>(width) * DTypeSize(dtype) + 3) / 4 *
         4;
}

int RecipeBuilder::Add(Buffer buffer) {
  buffer.bytes = std::max<uint64_t>(4, (buffer.bytes + 3) / 4 * 4);
  recipe_.buffers.push_back(std::move(buffer));
  return static_cast<int>(recipe_.buffers.size()) - 1;
}

GpuPlane RecipeBuilder::Input(DType dtype, int64_t height, int64_t width) {
  return {Add({Buffer::Kind::kInput, PlaneBytes(dtype, height, width)}), dtype, height, width};
}

GpuPlane RecipeBuilder::Output(DType dtype, int64_t height, int64_t width) {
  return {Add({Buffer::Kind::kOutput, PlaneBytes(dtype, height, width)}), dtype, height, width};
}

GpuPlane RecipeBuilder::Temporary(DType dtype, int64_t height, int64_t width) {
  return {Add({Buffer::Kind::kTemporary, PlaneBytes(dtype, height, width)}), dtype, height, width};
}

int RecipeBuilder::TemporaryBytes(uint64_t bytes, bool zeroed) {
  return Add({Buffer::Kind::kTemporary, bytes, zeroed});
}

int RecipeBuilder::Result(uint64_t bytes) {
  return Add({Buffer::Kind::kResult, bytes, true});
}

int RecipeBuilder::Constant(std::shared_ptr<const std::vector<std::byte>> data) {
  const uint64_t bytes = data->size();
  return Add({Buffer::Kind::kConstant, bytes, false, std::move(data)});
}

int RecipeBuilder::Doubt() {
  if (recipe_.doubt < 0) recipe_.doubt = Result(4);
  return recipe_.doubt;
}

RecipeBuilder::Use RecipeBuilder::Write(std::string_view name, const GpuPlane& p) {
  return {name, p.buffer, true, {}, true, p.dtype};
}

RecipeBuilder::Use RecipeBuilder::Read(std::string_view name, const GpuPlane& p) {
  return {name, p.buffer, false, {}, true, p.dtype};
}

RecipeBuilder::Use RecipeBuilder::Words(std::string_view name, int buffer, bool writes,
                                        std::string_view type) {
  return {name, buffer, writes, type};
}

RecipeBuilder::Param RecipeBuilder::U32(std::string_view name, int64_t value) {
  return {name, "u32", Word(value)};
}

RecipeBuilder::Param RecipeBuilder::I32(std::string_view name, int64_t value) {
  return {name, "i32", static_cast<uint32_t>(static_cast<int32_t>(value))};
}

RecipeBuilder::Param RecipeBuilder::F32(std::string_view name, float value) {
  return {name, "f32", std::bit_cast<uint32_t>(value)};
}

void RecipeBuilder::AddPass(std::string_view name, std::string_view body, std::string_view main,
                            std::array<uint32_t, 3> workgroups, std::span<const Use> buffers,
                            std::span<const Param> params) {
  Pass pass;
  pass.name = std::string(name);
  pass.workgroups = workgroups;
  std::string text;
  for (const Use& use : buffers) {
    const std::string type =
        use.plane ? "array<" + ElementOf(use.dtype) + ">" : std::string(use.type);
    text += "@group(0) @binding(" + std::to_string(pass.buffers.size()) + ") var<storage, " +
            (use.writes ? "read_write" : "read") + "> " + std::string(use.name) + ": " + type +
            ";\n";
    pass.buffers.push_back(use.buffer);
    pass.writes.push_back(use.writes);
    if (use.plane) text += LoadText(use.name, use.dtype);
  }
  if (!params.empty()) {
    text += "struct Params {\n";
    for (const Param& p : params) {
      text += "  " + std::string(p.name) + ": " + std::string(p.type) + ",\n";
      pass.uniforms.push_back(p.bits);
    }
    text += "}\n@group(0) @binding(" + std::to_string(pass.buffers.size()) +
            ") var<uniform> params: Params;\n";
  }
  text += body;
  text += main;
  auto& shared = texts_[text];
  if (!shared) shared = std::make_shared<const std::string>(text);
  pass.wgsl = shared;
  recipe_.passes.push_back(std::move(pass));
}

void RecipeBuilder::MapText(std::string_view name, std::string_view wgsl, const GpuPlane& out,
                            std::span<const Use> buffers, std::span<const Param> params) {
  const int64_t per = PixelsInWord(out.dtype);
  const int64_t words = (out.pixels() + per - 1) / per;
  std::vector<Use> uses(buffers.begin(), buffers.end());
  uses.push_back(Words("out", out.buffer, true,
                       DTypeSize(out.dtype) < 4       ? "array<u32>"
                       : ScalarOf(out.dtype) == "u32" ? "array<u32>"
                       : ScalarOf(out.dtype) == "i32" ? "array<i32>"
                                                      : "array<f32>"));
  std::vector<Param> all(params.begin(), params.end());
  all.push_back(U32("count", words));
  all.push_back(U32("pixels", out.pixels()));
  std::string body = "alias out_t = " + ScalarOf(out.dtype) + ";\n";
  body += wgsl;
  body += MapItem(out.dtype);
  AddPass(name, body, kLinearMain, LinearGroups(words), uses, all);
}

void RecipeBuilder::Map(std::string_view kernel, const GpuPlane& out, Uses buffers, Params params,
                        Text text) {
  MapText(kernel, Filled(kernel, text), out, {buffers.begin(), buffers.size()},
          {params.begin(), params.size()});
}

void RecipeBuilder::Linear(std::string_view kernel, int64_t count, Uses buffers, Params params,
                           Text text) {
  std::vector<Param> all(params.begin(), params.end());
  all.push_back(U32("count", count));
  AddPass(kernel, Filled(kernel, text), kLinearMain, LinearGroups(count),
          {buffers.begin(), buffers.size()}, all);
}

void RecipeBuilder::Grid(std::string_view kernel, std::array<uint32_t, 3> workgroups, Uses buffers,
                         Params params, Text text) {
  GridText(kernel, Filled(kernel, text), workgroups, {buffers.begin(), buffers.size()},
           {params.begin(), params.size()});
}

void RecipeBuilder::GridText(std::string_view name, std::string_view wgsl,
                             std::array<uint32_t, 3> workgroups, std::span<const Use> buffers,
                             std::span<const Param> params) {
  AddPass(name, wgsl, {}, workgroups, buffers, params);
}

}  // namespace tilecast::gpu
