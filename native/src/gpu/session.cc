// SPDX-License-Identifier: MIT
// Recipes as commands of the device.
#include "gpu/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tilecast::gpu {
namespace {

constexpr uint64_t kUniformBytes = uint64_t{4} << 20;
// A uniform buffer's binding is at most 64 KiB.
constexpr size_t kMostUniformWords = 16384;
constexpr uint32_t kMostGroupsAcross = 65535;

std::string Quoted(const std::string& name) {
  return "\"" + name + "\"";
}

}  // namespace

Session::Session(const EngineOptions& options, const HostRegions& regions)
    : device(options),
      pool(device),
      constants(device),
      pipelines(device),
      imports(device, regions),
      up(device, true),
      down(device, false),
      uniforms_(device.MakeBuffer(dawn::kUniform | dawn::kCopyTarget, kUniformBytes)) {}

Session::~Session() {
  device.f.BufferRelease(uniforms_);
}

size_t Session::Fitting(std::span<Ticket* const> tickets) const {
  uint64_t units = 0;
  for (size_t n = 0; n < tickets.size(); ++n) {
    units += tickets[n]->prepared->uniform_units;
    if (n > 0 && units * kOffsetAlignment > kUniformBytes / 2) return n;
  }
  return tickets.size();
}

dawn::Buffer Session::Borrow(Ticket& ticket, uint64_t bytes) {
  ticket.loans.push_back(pool.Take(bytes));
  return ticket.loans.back().buffer;
}

uint32_t Session::PutUniforms(const std::vector<uint32_t>& words) {
  const uint64_t at = uniforms_end_;
  const size_t bytes = words.size() * 4;
  uniforms_end_ += (bytes + kOffsetAlignment - 1) / kOffsetAlignment * kOffsetAlignment;
  uniform_bytes_.resize(uniforms_end_ - uniforms_begin_);
  std::memcpy(uniform_bytes_.data() + (at - uniforms_begin_), words.data(), bytes);
  return static_cast<uint32_t>(at);
}

void Session::WriteUniforms() {
  if (!uniform_bytes_.empty()) {
    device.f.QueueWriteBuffer(device.queue(), uniforms_, uniforms_begin_, uniform_bytes_.data(),
                              uniform_bytes_.size());
  }
  uniform_bytes_.clear();
  uniforms_begin_ = uniforms_end_;
}

// Everything of a ticket that can fail: buffers, pipelines, bind groups.
void Session::Resolve(Ticket& ticket) {
  const Recipe& recipe = *ticket.request->recipe;
  const PreparedRecipe& prepared = *ticket.prepared;
  const AdapterFacts& facts = device.facts();
  const auto too_large = [&](const std::string& what, uint64_t most, uint64_t have) {
    return Error(Code::kGpuFailed, "the GPU " + facts.name + " takes " + what + " of at most " +
                                       std::to_string(most) + ", and " + std::to_string(have) +
                                       " are needed");
  };
  if (prepared.largest > facts.max_binding_bytes) {
    throw too_large("a buffer in bytes", facts.max_binding_bytes, prepared.largest);
  }
  if (prepared.most_storage > facts.max_buffers_in_pass) {
    throw too_large("a number of buffers in a pass", facts.max_buffers_in_pass,
                    prepared.most_storage);
  }
  if (prepared.uniform_units * kOffsetAlignment > kUniformBytes / 2) {
    throw too_large("a number of passes", kUniformBytes / 2 / kOffsetAlignment,
                    prepared.uniform_units);
  }
  ticket.buffers.assign(recipe.buffers.size(), {});
  std::vector<dawn::Buffer> shared;
  shared.reserve(prepared.shared.size());
  for (const uint64_t bytes : prepared.shared) shared.push_back(Borrow(ticket, bytes));
  for (size_t i = 0; i < recipe.buffers.size(); ++i) {
    const gpu::Buffer& b = recipe.buffers[i];
    Binding& to = ticket.buffers[i];
    to.bytes = b.bytes;
    const auto place = static_cast<size_t>(prepared.place[i]);
    switch (b.kind) {
      case gpu::Buffer::Kind::kInput:
      case gpu::Buffer::Kind::kOutput: {
        const auto& planes = b.kind == gpu::Buffer::Kind::kInput ? ticket.inputs : ticket.outputs;
        const PlanePlace& plane = planes[place];
        if (plane.way != PlaneAccess::kStage && imports.Get(plane.host) == nullptr) {
          ticket.import_refused = true;
          return;
        }
        if (plane.way == PlaneAccess::kBind) {
          to.buffer = imports.Get(plane.host);
          to.offset = plane.host.offset;
        } else {
          to.buffer = Borrow(ticket, b.bytes);
        }
        break;
      }
      case gpu::Buffer::Kind::kConstant:
        to.buffer = constants.Get(b);
        break;
      case gpu::Buffer::Kind::kTemporary:
        if (prepared.place[i] >= 0) to.buffer = shared[place];
        break;
      case gpu::Buffer::Kind::kResult:
        to.buffer = Borrow(ticket, b.bytes);
        break;
    }
  }
  ticket.steps.clear();
  std::vector<Binding> bound;
  for (size_t p = 0; p < recipe.passes.size(); ++p) {
    const Pass& pass = recipe.passes[p];
    for (const uint32_t groups : pass.workgroups) {
      if (groups > kMostGroupsAcross) {
        throw too_large("workgroups in one direction, in the pass " + Quoted(pass.name) + ",",
                        kMostGroupsAcross, groups);
      }
    }
    if (pass.uniforms.size() > kMostUniformWords) {
      throw too_large("parameters, in the pass " + Quoted(pass.name) + ",", kMostUniformWords,
                      pass.uniforms.size());
    }
    Ticket::Step step;
    step.pipeline = pipelines.Compiled(pass.name, *pass.wgsl, pass.entry, prepared.layouts[p]);
    bound.clear();
    for (const int at : pass.buffers) bound.push_back(ticket.buffers[static_cast<size_t>(at)]);
    if (!pass.uniforms.empty()) {
      // Structs of 4-byte members are bound in units of 16 bytes.
      bound.push_back({uniforms_, 0, (pass.uniforms.size() * 4 + 15) / 16 * 16});
      step.has_uniforms = true;
      step.uniforms = PutUniforms(pass.uniforms);
    }
    step.group = pipelines.Group(prepared.layouts[p], bound);
    ticket.steps.push_back(step);
  }
}

void Session::EncodeBefore(dawn::CommandEncoder encoder, const Ticket& ticket) {
  const Recipe& recipe = *ticket.request->recipe;
  for (const int i : ticket.prepared->inputs) {
    const auto at = static_cast<size_t>(i);
    const PlanePlace& plane = ticket.inputs[static_cast<size_t>(ticket.prepared->place[at])];
    const uint64_t bytes = recipe.buffers[at].bytes;
    if (plane.way == PlaneAccess::kCopy) {
      device.f.CommandEncoderCopyBufferToBuffer(encoder, imports.Get(plane.host), plane.host.offset,
                                                ticket.buffers[at].buffer, 0, bytes);
    } else if (plane.way == PlaneAccess::kStage) {
      device.f.CommandEncoderCopyBufferToBuffer(encoder, ticket.up->buffer, plane.staged,
                                                ticket.buffers[at].buffer, 0, bytes);
    }
  }
  for (const int i : ticket.prepared->zeroed) {
    const Binding& b = ticket.buffers[static_cast<size_t>(i)];
    if (b.buffer != nullptr) device.f.CommandEncoderClearBuffer(encoder, b.buffer, 0, b.bytes);
  }
}

void Session::EncodeStep(dawn::ComputePassEncoder pass, const Ticket& ticket, size_t at) {
  const Ticket::Step& step = ticket.steps[at];
  const auto& groups = ticket.request->recipe->passes[at].workgroups;
  device.f.ComputePassEncoderSetPipeline(pass, step.pipeline);
  device.f.ComputePassEncoderSetBindGroup(pass, 0, step.group, step.has_uniforms ? 1 : 0,
                                          step.has_uniforms ? &step.uniforms : nullptr);
  device.f.ComputePassEncoderDispatchWorkgroups(pass, groups[0], groups[1], groups[2]);
}

void Session::EncodePasses(dawn::CommandEncoder encoder, std::span<Ticket* const> tickets) {
  const dawn::ComputePassEncoder pass = device.f.CommandEncoderBeginComputePass(encoder, nullptr);
  for (const Ticket* ticket : tickets) {
    for (size_t at = 0; at < ticket->steps.size(); ++at) EncodeStep(pass, *ticket, at);
  }
  device.f.ComputePassEncoderEnd(pass);
  device.f.ComputePassEncoderRelease(pass);
}

void Session::EncodeAfter(dawn::CommandEncoder encoder, const Ticket& ticket) {
  const auto copy = [&](int i, dawn::Buffer to, uint64_t offset) {
    const Binding& from = ticket.buffers[static_cast<size_t>(i)];
    device.f.CommandEncoderCopyBufferToBuffer(encoder, from.buffer, 0, to, offset, from.bytes);
  };
  for (size_t n = 0; n < ticket.outputs.size(); ++n) {
    const PlanePlace& plane = ticket.outputs[n];
    const int i = ticket.prepared->outputs[n];
    if (plane.way == PlaneAccess::kCopy) copy(i, imports.Get(plane.host), plane.host.offset);
    if (plane.way == PlaneAccess::kStage) copy(i, ticket.down->buffer, plane.staged);
  }
  for (size_t n = 0; n < ticket.results.size(); ++n) {
    copy(ticket.prepared->results[n], ticket.down->buffer, ticket.results[n]);
  }
}

// One submit; what Dawn has against it, in which case nothing of it ran.
std::string Session::SubmitTogether(std::span<Ticket* const> tickets) {
  return device.Complaints([&] {
    const dawn::CommandEncoder encoder =
        device.f.DeviceCreateCommandEncoder(device.handle(), nullptr);
    for (const Ticket* ticket : tickets) EncodeBefore(encoder, *ticket);
    EncodePasses(encoder, tickets);
    for (const Ticket* ticket : tickets) EncodeAfter(encoder, *ticket);
    const dawn::CommandBuffer commands = device.f.CommandEncoderFinish(encoder, nullptr);
    device.f.CommandEncoderRelease(encoder);
    device.f.QueueSubmit(device.queue(), 1, &commands);
    device.f.CommandBufferRelease(commands);
  });
}

// The passes one by one, without running them, to find the one that Dawn refuses.
std::string Session::FirstRefusedPass(const Ticket& ticket) {
  for (size_t at = 0; at < ticket.steps.size(); ++at) {
    const std::string why = device.Complaints([&] {
      const dawn::CommandEncoder encoder =
          device.f.DeviceCreateCommandEncoder(device.handle(), nullptr);
      const dawn::ComputePassEncoder pass =
          device.f.CommandEncoderBeginComputePass(encoder, nullptr);
      EncodeStep(pass, ticket, at);
      device.f.ComputePassEncoderEnd(pass);
      device.f.ComputePassEncoderRelease(pass);
      const dawn::CommandBuffer commands = device.f.CommandEncoderFinish(encoder, nullptr);
      device.f.CommandEncoderRelease(encoder);
      device.f.CommandBufferRelease(commands);
    });
    if (!why.empty()) {
      return "the pass " + Quoted(ticket.request->recipe->passes[at].name) + ": " + why;
    }
  }
  return {};
}

Batch Session::Submit(std::span<Ticket* const> tickets) {
  Batch batch;
  uint64_t units = 0;
  for (const Ticket* ticket : tickets) units += ticket->prepared->uniform_units;
  if (uniforms_end_ + units * kOffsetAlignment > kUniformBytes) uniforms_begin_ = uniforms_end_ = 0;
  for (Ticket* ticket : tickets) {
    const uint64_t uniforms = uniforms_end_;
    try {
      Resolve(*ticket);
      if (ticket->import_refused) continue;
      if (ticket->down_bytes > 0) ticket->down = down.Take(ticket->down_bytes);
      batch.tickets.push_back(ticket);
    } catch (const Error& error) {
      ticket->error = error;
      uniforms_end_ = uniforms;
      uniform_bytes_.resize(uniforms_end_ - uniforms_begin_);
    }
  }
  WriteUniforms();
  for (const Ticket* ticket : batch.tickets) {
    if (ticket->up == nullptr) continue;
    up.Unmap(*ticket->up);
    batch.up.push_back(ticket->up);
  }
  std::string why = batch.tickets.empty() ? "" : SubmitTogether(batch.tickets);
  if (!why.empty() && !device.lost()) {
    std::erase_if(batch.tickets, [&](Ticket* ticket) {
      why = SubmitTogether({&ticket, 1});
      if (why.empty() || device.lost()) return false;
      const std::string pass = FirstRefusedPass(*ticket);
      ticket->error =
          Error(Code::kGpuFailed, "the GPU refuses " + (pass.empty() ? "a request: " + why : pass));
      if (ticket->down != nullptr) down.PutFree(std::exchange(ticket->down, nullptr));
      return true;
    });
  }
  // The queue runs what comes later after this: what was borrowed is free again.
  for (Ticket* ticket : tickets) {
    for (const BufferPool::Loan& loan : ticket->loans) pool.Return(loan);
    ticket->loans.clear();
    ticket->buffers.clear();
    ticket->steps.clear();
  }
  for (Staging* staging : batch.up) batch.waits.push_back({up.Map(*staging), 0});
  for (const Ticket* ticket : batch.tickets) {
    if (ticket->down != nullptr) batch.waits.push_back({down.Map(*ticket->down), 0});
  }
  if (!batch.tickets.empty()) {
    batch.waits.push_back({device.f.QueueOnSubmittedWorkDone(
                               device.queue(), {nullptr, dawn::CallbackMode::kWaitAnyOnly,
                                                [](uint32_t) {}, nullptr, nullptr}),
                           0});
  }
  return batch;
}

}  // namespace tilecast::gpu
