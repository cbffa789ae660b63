// SPDX-License-Identifier: MIT
// Programs, jobs and results between JavaScript objects (lib/native.ts) and the executor's structs.
#pragma once

#include <string>
#include <utility>

#include "bind/bind.h"
#include "exec/executor.h"

namespace tilecast::bind {

// The integer `key` of `o`, or `fallback` when it is not a number.
int IntOr(const Napi::Object& o, const char* key, int fallback);

// kInvalidArgument for a name that is none.
DType DTypeOfName(const std::string& name);

// The value of `name` in a table of names; kInvalidArgument naming `what` when it is not there.
template <class T, size_t N>
T OneOf(const std::string& name, const std::pair<const char*, T> (&table)[N], const char* what) {
  for (const auto& [text, value] : table) {
    if (name == text) return value;
  }
  throw Error(Code::kInvalidArgument, std::string("unknown ") + what + " \"" + name + "\"");
}

// All throw kInvalidArgument for names that they do not know.
ThresholdMethod ThresholdMethodOf(const std::string& name);
StackOp StackOpOf(const std::string& name);
OpArguments ArgumentsFrom(const OpRow& row, const Napi::Value& given);
Program ProgramFrom(const Napi::Object& o);
Job JobFrom(const Napi::Object& o);
ZarrEncoding EncodingFrom(const Napi::Object& o);
Napi::Object ResultObject(Napi::Env env, JobResult& r);

}  // namespace tilecast::bind
