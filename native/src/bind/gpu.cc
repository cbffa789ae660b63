// SPDX-License-Identifier: MIT
// The GPU for JavaScript: recipes as plain objects, for the tests that run them through another
// implementation of WebGPU.
#include <cstring>

#include "bind/bind.h"
#include "bind/gpu.h"
#include "bind/run_data.h"
#include "exec/op_registry.h"
#include "exec/stack_projector.h"
#include "gpu/encode.h"
#include "gpu/segmentation.h"

namespace tilecast::bind {

Napi::Object RecipeObject(Napi::Env env, const gpu::Recipe& recipe) {
  constexpr const char* kinds[] = {"input", "output", "constant", "temporary", "result"};
  auto buffers = Napi::Array::New(env, recipe.buffers.size());
  for (size_t i = 0; i < recipe.buffers.size(); ++i) {
    const gpu::Buffer& b = recipe.buffers[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("kind", kinds[static_cast<int>(b.kind)]);
    o.Set("bytes", static_cast<double>(b.bytes));
    o.Set("zeroed", b.zeroed);
    if (b.data) {
      auto data = Napi::ArrayBuffer::New(env, b.bytes);
      std::memcpy(data.Data(), b.data->data(), b.data->size());
      o.Set("data", data);
    }
    buffers.Set(static_cast<uint32_t>(i), o);
  }
  auto passes = Napi::Array::New(env, recipe.passes.size());
  for (size_t i = 0; i < recipe.passes.size(); ++i) {
    const gpu::Pass& p = recipe.passes[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("name", p.name);
    o.Set("wgsl", *p.wgsl);
    o.Set("entry", p.entry);
    auto bound = Napi::Array::New(env), writes = Napi::Array::New(env);
    for (size_t k = 0; k < p.buffers.size(); ++k) {
      bound.Set(static_cast<uint32_t>(k), p.buffers[k]);
      writes.Set(static_cast<uint32_t>(k), static_cast<bool>(p.writes[k]));
    }
    o.Set("buffers", bound);
    o.Set("writes", writes);
    auto uniforms = Napi::Uint32Array::New(env, p.uniforms.size());
    std::copy(p.uniforms.begin(), p.uniforms.end(), uniforms.Data());
    o.Set("uniforms", uniforms);
    auto groups = Napi::Array::New(env, 3);
    for (uint32_t k = 0; k < 3; ++k) groups.Set(k, p.workgroups[k]);
    o.Set("workgroups", groups);
    passes.Set(static_cast<uint32_t>(i), o);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("buffers", buffers);
  out.Set("passes", passes);
  out.Set("doubt", recipe.doubt);
  return out;
}

namespace {

// ([{ name, arguments?, others?: [dtype] }], { dtype, height, width }) -> the recipe of the ops one
// after another, or a sentence that says why there is none. Inputs: the plane, then the others in
// order.
Napi::Value GpuRecipe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const auto list = info[0].As<Napi::Array>();
    const auto input = info[1].As<Napi::Object>();
    gpu::RecipeBuilder builder;
    DType dtype = DTypeOfName(input.Get("dtype").ToString().Utf8Value());
    PlaneShape shape{IntOr(input, "height", 0), IntOr(input, "width", 0)};
    if (dtype == DType::kF64) return Napi::String::New(env, "a GPU has no float64");
    const gpu::GpuPlane in = builder.Input(dtype, shape.height, shape.width);
    std::vector<gpu::OpLink> links;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const auto o = list.Get(i).As<Napi::Object>();
      const OpRow& row = FindOp(o.Get("name").ToString().Utf8Value());
      gpu::OpLink link{&row, ArgumentsFrom(row, o.Get("arguments"))};
      std::vector<DType> others;
      if (o.Get("others").IsArray()) {
        const auto names = o.Get("others").As<Napi::Array>();
        for (uint32_t k = 0; k < names.Length(); ++k) {
          others.push_back(DTypeOfName(names.Get(k).ToString().Utf8Value()));
        }
      }
      if (!row.Accepts(dtype)) {
        throw Error(Code::kOpDtype,
                    std::string(row.name) + " does not take " + std::string(DTypeName(dtype)));
      }
      if (const auto why = gpu::Refuses(row, link.arguments, dtype, shape, others)) {
        return Napi::String::New(env, *why);
      }
      for (const DType d : others) {
        link.others.push_back(builder.Input(d, shape.height, shape.width));
      }
      dtype = row.ResultOf(dtype, link.arguments);
      shape = row.ShapeOf(shape, link.arguments);
      links.push_back(std::move(link));
    }
    gpu::EncodeOps(builder, links, in, builder.Output(dtype, shape.height, shape.width));
    return RecipeObject(env, builder.recipe());
  });
}

// The same ops on the CPU, plane by plane: ([op], { dtype, height, width }, [bytes]) -> bytes.
Napi::Value ApplyOps(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const auto list = info[0].As<Napi::Array>();
    const auto input = info[1].As<Napi::Object>();
    const auto images = info[2].As<Napi::Array>();
    PlaneShape shape{IntOr(input, "height", 0), IntOr(input, "width", 0)};
    uint32_t used = 0;
    const auto next = [&](DType dtype) {
      std::vector<std::byte> copy(static_cast<size_t>(shape.height * shape.width) *
                                  DTypeSize(dtype));
      const auto given = images.Get(used++).As<Napi::Uint8Array>();
      if (given.ByteLength() < copy.size()) {
        throw Error(Code::kOpShape, "an image has fewer bytes than its shape and dtype say");
      }
      std::memcpy(copy.data(), given.Data(), copy.size());
      return copy;
    };
    DType dtype = DTypeOfName(input.Get("dtype").ToString().Utf8Value());
    std::vector<std::byte> pixels = next(dtype);
    OpScratch scratch;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const auto o = list.Get(i).As<Napi::Object>();
      const OpRow& row = FindOp(o.Get("name").ToString().Utf8Value());
      OpArguments arguments = ArgumentsFrom(row, o.Get("arguments"));
      const Plane in = PackedPlane(pixels.data(), dtype, shape.height, shape.width);
      std::vector<std::vector<std::byte>> memory;
      std::vector<Plane> others;
      if (o.Get("others").IsArray()) {
        const auto names = o.Get("others").As<Napi::Array>();
        for (uint32_t k = 0; k < names.Length(); ++k) {
          const DType d = DTypeOfName(names.Get(k).ToString().Utf8Value());
          memory.push_back(next(d));
          others.push_back(PackedPlane(memory.back().data(), d, shape.height, shape.width));
        }
      }
      CheckInput(row, in, others);
      if (row.prepare) row.prepare(in, arguments);
      shape = row.ShapeOf(shape, arguments);
      dtype = row.ResultOf(dtype, arguments);
      std::vector<std::byte> result(static_cast<size_t>(shape.height * shape.width) *
                                    DTypeSize(dtype));
      std::optional<MinMax> range;
      row.run({arguments, in, others, PackedPlane(result.data(), dtype, shape.height, shape.width),
               scratch, &range});
      pixels = std::move(result);
    }
    auto out = Napi::Uint8Array::New(env, pixels.size());
    std::copy(pixels.begin(), pixels.end(), reinterpret_cast<std::byte*>(out.Data()));
    return out;
  });
}

// (projection, window, { dtype, height, width }, planes) -> the recipe, or why there is none.
Napi::Value GpuProjection(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const StackOp op = StackOpOf(info[0].ToString().Utf8Value());
    const auto input = info[2].As<Napi::Object>();
    const DType dtype = DTypeOfName(input.Get("dtype").ToString().Utf8Value());
    const int64_t height = IntOr(input, "height", 0), width = IntOr(input, "width", 0);
    if (const auto why = gpu::RefusesProjection(op, dtype)) return Napi::String::New(env, *why);
    gpu::RecipeBuilder builder;
    std::vector<gpu::GpuPlane> planes;
    for (int64_t i = 0; i < info[3].ToNumber().Int64Value(); ++i) {
      planes.push_back(builder.Input(dtype, height, width));
    }
    StackProjector projector;
    const double window = info[1].ToNumber().DoubleValue();
    projector.Begin(op, static_cast<int64_t>(window));
    EncodeProjection(builder, op, window, planes,
                     builder.Output(projector.ResultOf(dtype), height, width));
    return RecipeObject(env, builder.recipe());
  });
}

// The same on the CPU: (projection, window, { dtype, height, width }, [bytes]) -> bytes.
Napi::Value ApplyProjection(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const StackOp op = StackOpOf(info[0].ToString().Utf8Value());
    const auto input = info[2].As<Napi::Object>();
    const auto images = info[3].As<Napi::Array>();
    const DType dtype = DTypeOfName(input.Get("dtype").ToString().Utf8Value());
    const int64_t height = IntOr(input, "height", 0), width = IntOr(input, "width", 0);
    const auto memory = [&](DType d) {
      return std::vector<std::byte>(static_cast<size_t>(height * width) * DTypeSize(d));
    };
    StackProjector projector;
    projector.Begin(op, info[1].ToNumber().Int64Value());
    const DType result = projector.ResultOf(dtype), sum = projector.AccumulatorOf(dtype);
    std::vector<std::byte> pixels = memory(dtype), sums = memory(sum), out = memory(result);
    const Plane in = PackedPlane(pixels.data(), dtype, height, width);
    const Plane to = PackedPlane(out.data(), result, height, width);
    const Plane accumulator =
        HasAccumulator(op) ? PackedPlane(sums.data(), sum, height, width) : to;
    for (uint32_t i = 0; i < images.Length(); ++i) {
      const auto given = images.Get(i).As<Napi::Uint8Array>();
      if (given.ByteLength() < pixels.size()) {
        throw Error(Code::kOpShape, "a plane has fewer bytes than its shape and dtype say");
      }
      std::memcpy(pixels.data(), given.Data(), pixels.size());
      i == 0 ? projector.First(in, accumulator) : projector.Next(in, accumulator);
    }
    projector.Finish(images.Length(), accumulator, to);
    auto bytes = Napi::Uint8Array::New(env, out.size());
    std::copy(out.begin(), out.end(), reinterpret_cast<std::byte*>(bytes.Data()));
    return bytes;
  });
}

}  // namespace

void InitGpu(Napi::Env env, Napi::Object exports) {
  exports.Set("gpuRecipe", Napi::Function::New(env, GpuRecipe, "gpuRecipe"));
  exports.Set("applyOps", Napi::Function::New(env, ApplyOps, "applyOps"));
  exports.Set("gpuProjection", Napi::Function::New(env, GpuProjection, "gpuProjection"));
  exports.Set("applyProjection", Napi::Function::New(env, ApplyProjection, "applyProjection"));
  InitGpuSegmentation(env, exports);
}

}  // namespace tilecast::bind
