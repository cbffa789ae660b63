// SPDX-License-Identifier: MIT
// One device with everything that was made on it, and how requests get onto it. All of it goes when
// the device is lost. The engine's thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "error.h"
#include "gpu/device.h"
#include "gpu/device_buffers.h"
#include "gpu/host_planes.h"
#include "gpu/pipelines.h"
#include "gpu/prepared_recipe.h"
#include "gpu/staging.h"

namespace tilecast::gpu {

// A plane of a request: where the device finds it.
struct PlanePlace {
  PlaneAccess way = PlaneAccess::kStage;
  HostRegions::Place host;  // kBind, kCopy
  uint64_t staged = 0;      // kStage: its offset in the ticket's staging buffer
};

// A request on its way to the device and back.
struct Ticket {
  const Request* request = nullptr;
  const PreparedRecipe* prepared = nullptr;
  std::vector<PlanePlace> inputs, outputs;
  std::vector<uint64_t> results;  // offsets in `down`
  uint64_t up_bytes = 0, down_bytes = 0;
  Staging* up = nullptr;    // filled by the caller
  Staging* down = nullptr;  // for the caller to read
  std::optional<Error> error;
  bool import_refused = false;  // has to come again, staged

  // While its commands are encoded.
  struct Step {
    dawn::ComputePipeline pipeline = nullptr;
    dawn::BindGroup group = nullptr;
    uint32_t uniforms = 0;  // offset
    bool has_uniforms = false;
  };
  std::vector<Binding> buffers;  // by the recipe's
  std::vector<BufferPool::Loan> loans;
  std::vector<Step> steps;
};

// Requests that were submitted together.
struct Batch {
  std::vector<Ticket*> tickets;
  std::vector<Staging*> up;  // being mapped again
  std::vector<dawn::FutureWait> waits;
};

class Session {
 public:
  // Throws kGpuUnavailable.
  Session(const EngineOptions& options, const HostRegions& regions);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Puts the tickets into one submit. One that the device refuses gets its error, or
  // import_refused, and is not in the batch; the others are not touched by that.
  Batch Submit(std::span<Ticket* const> tickets);
  // How many of the tickets, one at least, fit into one submit.
  size_t Fitting(std::span<Ticket* const> tickets) const;

  Device device;
  BufferPool pool;
  Constants constants;
  Pipelines pipelines;
  Imports imports;
  StagingPool up, down;

 private:
  void Resolve(Ticket& ticket);
  dawn::Buffer Borrow(Ticket& ticket, uint64_t bytes);
  uint32_t PutUniforms(const std::vector<uint32_t>& words);
  void WriteUniforms();
  std::string SubmitTogether(std::span<Ticket* const> tickets);
  std::string FirstRefusedPass(const Ticket& ticket);
  void EncodeBefore(dawn::CommandEncoder encoder, const Ticket& ticket);
  void EncodePasses(dawn::CommandEncoder encoder, std::span<Ticket* const> tickets);
  void EncodeAfter(dawn::CommandEncoder encoder, const Ticket& ticket);
  void EncodeStep(dawn::ComputePassEncoder pass, const Ticket& ticket, size_t step);

  // Uniforms of the passes of a batch, one after another; the next batch's come behind, or at the
  // beginning again.
  dawn::Buffer uniforms_ = nullptr;
  uint64_t uniforms_begin_ = 0, uniforms_end_ = 0;  // of the batch that is being encoded
  std::vector<std::byte> uniform_bytes_;            // from uniforms_begin_ on
};

}  // namespace tilecast::gpu
