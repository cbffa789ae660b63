// SPDX-License-Identifier: MIT
// The table of native ops for JavaScript: what there is, and what an op makes of an input.
#include "bind/bind.h"
#include "bind/run_data.h"
#include "exec/op_registry.h"
#include "gpu/gpu_rows.h"

namespace tilecast::bind {
namespace {

constexpr const char* kTypes[] = {"number", "integer", "flag", "choice", "dtype"};
constexpr const char* kReaches[] = {"pixel", "halo", "plane"};

Napi::Array DTypeNames(Napi::Env env, const OpRow& row) {
  auto out = Napi::Array::New(env);
  for (int i = 0; i < kDTypeCount; ++i) {
    if (row.Accepts(static_cast<DType>(i))) {
      out.Set(out.Length(), std::string(DTypeName(static_cast<DType>(i))));
    }
  }
  return out;
}

Napi::Object ParameterObject(Napi::Env env, const OpParameter& p) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("name", std::string(p.name));
  o.Set("type", kTypes[static_cast<int>(p.type)]);
  o.Set("optional", p.optional || p.fallback.has_value());
  if (p.fallback) {
    const double value = *p.fallback;
    const auto index = static_cast<size_t>(value);
    switch (p.type) {
      case OpParameter::Type::kNumber:
      case OpParameter::Type::kInteger:
        o.Set("fallback", value);
        break;
      case OpParameter::Type::kFlag:
        o.Set("fallback", value != 0);
        break;
      case OpParameter::Type::kChoice:
        o.Set("fallback", std::string(p.choices.at(index)));
        break;
      case OpParameter::Type::kDType:
        o.Set("fallback", std::string(DTypeName(static_cast<DType>(index))));
        break;
    }
  }
  auto choices = Napi::Array::New(env);
  for (const std::string_view choice : p.choices)
    choices.Set(choices.Length(), std::string(choice));
  o.Set("choices", choices);
  return o;
}

Napi::Value ListOps(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto out = Napi::Array::New(env);
  for (const OpRow& row : OpRows()) {
    Napi::Object o = Napi::Object::New(env);
    o.Set("name", std::string(row.name));
    o.Set("leastOthers", row.least_others);
    o.Set("mostOthers", row.most_others);
    o.Set("reach", kReaches[static_cast<int>(row.reach)]);
    o.Set("gpu", gpu::FindGpuRow(row.name) != nullptr);
    o.Set("accepts", DTypeNames(env, row));
    auto parameters = Napi::Array::New(env);
    for (const OpParameter& p : row.parameters) {
      parameters.Set(parameters.Length(), ParameterObject(env, p));
    }
    o.Set("parameters", parameters);
    out.Set(out.Length(), o);
  }
  return out;
}

// (name, { dtype, height, width }, arguments) -> { dtype, height, width, halo }; halo is null where
// a pixel depends on the whole plane.
Napi::Value OpResult(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&]() -> Napi::Value {
    const OpRow& row = FindOp(info[0].ToString().Utf8Value());
    const auto input = info[1].As<Napi::Object>();
    const OpArguments arguments = ArgumentsFrom(row, info[2]);
    const DType dtype = DTypeOfName(input.Get("dtype").ToString().Utf8Value());
    const PlaneShape in{IntOr(input, "height", 0), IntOr(input, "width", 0)};
    const PlaneShape shape = row.ShapeOf(in, arguments);
    Napi::Object o = Napi::Object::New(env);
    o.Set("dtype", std::string(DTypeName(row.ResultOf(dtype, arguments))));
    o.Set("height", static_cast<double>(shape.height));
    o.Set("width", static_cast<double>(shape.width));
    if (row.reach == OpRow::Reach::kPlane) {
      o.Set("halo", env.Null());
    } else {
      o.Set("halo", row.halo ? static_cast<double>(row.halo(arguments)) : 0);
    }
    return o;
  });
}

}  // namespace

void InitOps(Napi::Env env, Napi::Object exports) {
  exports.Set("listOps", Napi::Function::New(env, ListOps, "listOps"));
  exports.Set("opResult", Napi::Function::New(env, OpResult, "opResult"));
}

}  // namespace tilecast::bind
