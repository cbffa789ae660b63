// SPDX-License-Identifier: MIT
// What a GPU has to do with a tile, as plain data: buffers, and compute passes over them in order.
//
// Kernels are written against this and nothing else, so that the same recipe runs through Dawn's C
// API (engine.h) and, in the tests, through the npm package `webgpu`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image.h"

namespace tilecast::gpu {

// Pixels are packed: row after row without padding, several pixels a 32-bit word for 8 and 16 bits,
// the first in the low bits. Every buffer is bound as words and has a multiple of 4 bytes; what
// lies behind the last pixel is undefined.
struct Buffer {
  enum class Kind : uint8_t {
    kInput,      // a plane of the request, by the order of the inputs; read only
    kOutput,     // likewise of its outputs; written in full
    kConstant,   // `data`, the same for every tile (weights, an illumination image); read only
    kTemporary,  // lives on the device while the recipe runs
    kResult,     // small: copied back and given to the caller as bytes
  };
  Kind kind = Kind::kTemporary;
  uint64_t bytes = 0;
  bool zeroed = false;  // kTemporary, kResult: zeros when the recipe begins
  // kConstant. The same object in two recipes is uploaded once.
  std::shared_ptr<const std::vector<std::byte>> data = {};
};

// One dispatch: `wgsl` with its buffers as @group(0) @binding(0..), and the uniforms as the binding
// after them when there are any.
struct Pass {
  std::string name;                         // for errors and timings
  std::shared_ptr<const std::string> wgsl;  // the same text is compiled once
  std::string entry = "main";
  std::vector<int> buffers;        // indices into Recipe::buffers
  std::vector<bool> writes;        // by binding: read_write, else read
  std::vector<uint32_t> uniforms;  // words of a struct of 4-byte members
  std::array<uint32_t, 3> workgroups = {1, 1, 1};
};

struct Recipe {
  std::vector<Buffer> buffers;
  std::vector<Pass> passes;
  // A result buffer of one word, or -1. When the word is not 0 after a run, the planes hold what
  // the CPU must see (NaN where a range is wanted): the outputs are void, and the CPU does it,
  // or says what is wrong with it.
  int doubt = -1;
};

// A plane in a buffer of a recipe.
struct GpuPlane {
  int buffer = -1;
  DType dtype = DType::kU8;
  int64_t height = 0, width = 0;
  int64_t pixels() const { return height * width; }
};

// Bytes of the buffer of a plane: packed, a multiple of 4.
uint64_t PlaneBytes(DType dtype, int64_t height, int64_t width);

// Threads of a workgroup of a kernel that takes its items in a row.
inline constexpr uint32_t kLinearGroup = 256;

// `text` with each ${KEY} replaced.
std::string FilledText(std::string_view text,
                       std::span<const std::pair<std::string_view, std::string>> replacements);

// WGSL of the file gpu/kernels/NAME.wgsl, as it is there. kInternal when there is none.
std::string_view KernelText(std::string_view name);
// The same with the files that it names by `${include NAME}`, each once, where it is first named.
std::string KernelSource(std::string_view name);

// The WGSL scalar that a pixel is computed with: f32, i32 or u32. kOpDtype for float64.
std::string ScalarOf(DType d);

// So many workgroups, in two directions where one does not hold them; at least one.
std::array<uint32_t, 3> WorkgroupsFor(int64_t count);

class RecipeBuilder {
 public:
  GpuPlane Input(DType dtype, int64_t height, int64_t width);
  GpuPlane Output(DType dtype, int64_t height, int64_t width);
  GpuPlane Temporary(DType dtype, int64_t height, int64_t width);
  int TemporaryBytes(uint64_t bytes, bool zeroed);
  int Result(uint64_t bytes);  // zeros to begin with
  int Constant(std::shared_ptr<const std::vector<std::byte>> data);
  int Doubt();  // Recipe::doubt, one for all passes

  // How a kernel sees a buffer: the name it has there, whether it is written, and as what.
  struct Use {
    std::string_view name;
    int buffer = -1;
    bool writes = false;
    std::string_view type = "array<u32>";  // of what is no plane; also array<atomic<u32>>, ...
    bool plane = false;
    DType dtype = DType::kU8;
  };
  static Use Read(std::string_view name, const GpuPlane& p);
  // A plane of 4-byte pixels, read and written.
  static Use Write(std::string_view name, const GpuPlane& p);
  static Use Words(std::string_view name, int buffer, bool writes,
                   std::string_view type = "array<u32>");

  // A member of `struct Params`, read in the kernel as `params.NAME`.
  struct Param {
    std::string_view name;
    std::string_view type;  // u32, i32, f32
    uint32_t bits = 0;
  };
  static Param U32(std::string_view name, int64_t value);
  static Param I32(std::string_view name, int64_t value);
  static Param F32(std::string_view name, float value);

  using Uses = std::initializer_list<Use>;
  using Params = std::initializer_list<Param>;
  using Replacement = std::pair<std::string_view, std::string>;
  using Text = std::span<const Replacement>;

  // Each adds a pass that runs gpu/kernels/KERNEL.wgsl, with `${KEY}` replaced by what `text` says,
  // after declarations for everyone: the bindings by their names, `params`, and for each plane
  //
  //   alias NAME_t = f32 (float32), i32 (int8, int16, int32) or u32 (uint8, uint16, uint32);
  //   fn load_NAME(i: u32) -> NAME_t    pixel i = y * width + x
  //   fn value_NAME(i: u32) -> f32      the same, converted
  //
  // Map: the file has `fn pixel(i: u32) -> out_t`, called once for each pixel of `out`, which packs
  // several pixels into a word where the dtype is small. Integers are given in range.
  void Map(std::string_view kernel, const GpuPlane& out, Uses buffers, Params params = {},
           Text text = {});
  // Linear: the file has `fn item(i: u32)`, called for i < count.
  void Linear(std::string_view kernel, int64_t count, Uses buffers, Params params = {},
              Text text = {});
  // Grid: the file has its own @compute fn main, for workgroups of its own size and meaning.
  void Grid(std::string_view kernel, std::array<uint32_t, 3> workgroups, Uses buffers,
            Params params = {}, Text text = {});
  // As the three, of WGSL that is put together at run time (fused point-wise ops); `name` is for
  // errors and timings.
  void MapText(std::string_view name, std::string_view wgsl, const GpuPlane& out,
               std::span<const Use> buffers, std::span<const Param> params);

  void GridText(std::string_view name, std::string_view wgsl, std::array<uint32_t, 3> workgroups,
                std::span<const Use> buffers, std::span<const Param> params);

  const Recipe& recipe() const { return recipe_; }
  Recipe Take() { return std::move(recipe_); }

 private:
  int Add(Buffer buffer);
  void AddPass(std::string_view name, std::string_view body, std::string_view main,
               std::array<uint32_t, 3> workgroups, std::span<const Use> buffers,
               std::span<const Param> params);

  Recipe recipe_;
  std::map<std::string, std::shared_ptr<const std::string>> texts_;
};

}  // namespace tilecast::gpu
