// SPDX-License-Identifier: MIT
// Checks a recipe and plans its temporaries.
#include "gpu/prepared_recipe.h"

#include <algorithm>

#include "error.h"

namespace tilecast::gpu {
namespace {

[[noreturn]] void Refuse(const std::string& what) {
  throw Error(Code::kInternal, "a GPU recipe is wrong: " + what);
}

void CheckBuffers(const Recipe& recipe) {
  for (size_t i = 0; i < recipe.buffers.size(); ++i) {
    const Buffer& b = recipe.buffers[i];
    const std::string name = "buffer " + std::to_string(i);
    if (b.bytes == 0 || b.bytes % 4 != 0) {
      Refuse(name + " has " + std::to_string(b.bytes) + " bytes, expected a multiple of 4");
    }
    if ((b.kind == Buffer::Kind::kConstant) != (b.data != nullptr)) {
      Refuse(name + (b.data ? " has data and is no constant" : " is a constant without data"));
    }
    if (b.data && b.data->size() > b.bytes) Refuse(name + " is smaller than its data");
  }
}

void CheckPass(const Recipe& recipe, const Pass& pass) {
  const std::string name = "pass \"" + pass.name + "\"";
  if (!pass.wgsl) Refuse(name + " has no kernel");
  if (pass.writes.size() != pass.buffers.size()) {
    Refuse(name + " does not say of each buffer whether it is written");
  }
  for (size_t k = 0; k < pass.buffers.size(); ++k) {
    const int at = pass.buffers[k];
    if (at < 0 || static_cast<size_t>(at) >= recipe.buffers.size()) {
      Refuse(name + " has no buffer at binding " + std::to_string(k));
    }
    if (!pass.writes[k]) continue;
    const Buffer::Kind kind = recipe.buffers[static_cast<size_t>(at)].kind;
    if (kind == Buffer::Kind::kInput || kind == Buffer::Kind::kConstant) {
      Refuse(name + " writes an input or a constant");
    }
    if (std::count(pass.buffers.begin(), pass.buffers.end(), at) > 1) {
      Refuse(name + " binds a buffer that it writes twice");
    }
  }
}

// Puts temporaries whose lives, counted in passes, do not overlap into the same memory.
void ShareTemporaries(const Recipe& recipe, PreparedRecipe& out) {
  struct Life {
    int buffer = 0, first = 0, last = 0;
  };
  std::vector<Life> lives;
  for (size_t i = 0; i < recipe.buffers.size(); ++i) {
    if (recipe.buffers[i].kind != Buffer::Kind::kTemporary) continue;
    Life life{static_cast<int>(i), INT32_MAX, -1};
    for (size_t p = 0; p < recipe.passes.size(); ++p) {
      const auto& bound = recipe.passes[p].buffers;
      if (std::find(bound.begin(), bound.end(), life.buffer) == bound.end()) continue;
      life.first = std::min(life.first, static_cast<int>(p));
      life.last = static_cast<int>(p);
    }
    // All zeroing comes before the first pass.
    if (recipe.buffers[i].zeroed) life.first = -1;
    if (life.last >= 0) lives.push_back(life);
  }
  std::stable_sort(lives.begin(), lives.end(),
                   [](const Life& a, const Life& b) { return a.first < b.first; });
  std::vector<int> ends;  // by shared buffer: the last pass that uses it so far
  for (const Life& life : lives) {
    const uint64_t bytes = recipe.buffers[static_cast<size_t>(life.buffer)].bytes;
    int best = -1;
    const auto better = [&](size_t k) {
      if (best < 0) return true;
      const uint64_t have = out.shared[static_cast<size_t>(best)], other = out.shared[k];
      // The smallest that is large enough, else the largest.
      return have < bytes ? other > have : other >= bytes && other < have;
    };
    for (size_t k = 0; k < ends.size(); ++k) {
      if (ends[k] < life.first && better(k)) best = static_cast<int>(k);
    }
    if (best < 0) {
      best = static_cast<int>(ends.size());
      ends.push_back(0);
      out.shared.push_back(0);
    }
    ends[static_cast<size_t>(best)] = life.last;
    out.shared[static_cast<size_t>(best)] = std::max(out.shared[static_cast<size_t>(best)], bytes);
    out.place[static_cast<size_t>(life.buffer)] = best;
  }
}

}  // namespace

PreparedRecipe Prepare(const Recipe& recipe) {
  CheckBuffers(recipe);
  if (recipe.doubt >= 0 &&
      (static_cast<size_t>(recipe.doubt) >= recipe.buffers.size() ||
       recipe.buffers[static_cast<size_t>(recipe.doubt)].kind != Buffer::Kind::kResult)) {
    Refuse("its doubt is no result");
  }
  PreparedRecipe out;
  out.place.assign(recipe.buffers.size(), -1);
  for (size_t i = 0; i < recipe.buffers.size(); ++i) {
    const Buffer& b = recipe.buffers[i];
    const auto add = [&](std::vector<int>& list) {
      out.place[i] = static_cast<int>(list.size());
      list.push_back(static_cast<int>(i));
    };
    if (b.kind == Buffer::Kind::kInput) add(out.inputs);
    if (b.kind == Buffer::Kind::kOutput) add(out.outputs);
    if (b.kind == Buffer::Kind::kResult) add(out.results);
    if (b.kind == Buffer::Kind::kConstant) add(out.constants);
    if (b.zeroed) out.zeroed.push_back(static_cast<int>(i));
    out.largest = std::max(out.largest, b.bytes);
  }
  for (const Pass& pass : recipe.passes) {
    CheckPass(recipe, pass);
    std::string layout;
    for (const bool writes : pass.writes) layout += writes ? 'w' : 'r';
    out.most_storage = std::max(out.most_storage, static_cast<uint32_t>(layout.size()));
    if (!pass.uniforms.empty()) layout += 'u';
    out.uniform_units += (pass.uniforms.size() * 4 + kOffsetAlignment - 1) / kOffsetAlignment;
    out.layouts.push_back(std::move(layout));
  }
  ShareTemporaries(recipe, out);
  return out;
}

}  // namespace tilecast::gpu
