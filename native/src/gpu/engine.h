// SPDX-License-Identifier: MIT
// The GPU: one device, owned by one thread of ours, that runs recipes for any number of callers.
//
// Requests that wait together go to the device in one submit; several submits are in flight. Inputs
// and outputs are pool slots: imported as buffers where the adapter can (host-mapped pointers),
// else copied through persistent staging buffers. JavaScript has no part in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gpu/recipe.h"
#include "image.h"
#include "shm/tile_pool.h"

namespace tilecast::gpu {

struct AdapterFacts {
  std::string name;  // "SwiftShader Device (Subzero)", "NVIDIA H100 80GB HBM3"
  std::string vendor, driver, backend;
  std::string library;    // Dawn's file
  bool software = false;  // a CPU that plays a GPU
  bool discrete = false;  // memory of its own, behind a link
  bool host_mapped = false;
  std::string host_mapped_reason = {};  // why not
  bool f16 = false, subgroups = false;  // kernels may say `enable f16;`, `enable subgroups;`
  uint64_t max_buffer_bytes = 0, max_binding_bytes = 0;
  uint32_t max_buffers_in_pass = 0;
};

// How planes in registered memory get to the device and back.
enum class PlaneAccess : uint8_t {
  kAuto,   // kBind, or kCopy for a discrete adapter; kStage where memory cannot be imported
  kBind,   // kernels read and write the imported memory itself
  kCopy,   // the device copies between imported memory and its own
  kStage,  // the caller's thread copies through staging buffers, as for any other memory
};

struct EngineOptions {
  std::string library;  // Dawn's shared library; empty: TILECAST_DAWN, the npm package's, ...
  // A part of the adapter's name, or "software"; empty: TILECAST_GPU_ADAPTER, the fastest that is
  // no CPU, or a CPU when there is nothing else.
  std::string adapter;
  PlaneAccess planes = PlaneAccess::kAuto;
  int in_flight = 3;  // submits
  int batch = 8;      // requests a submit, at most
};

struct EngineStats {
  uint64_t requests = 0, submits = 0, passes = 0;
  uint64_t bytes_up = 0, bytes_down = 0;                 // copied through staging
  uint64_t imports = 0;                                  // host-mapped buffers made
  uint64_t stale_imports = 0;                            // dropped since a slot got another object
  uint64_t pipelines = 0, bind_groups = 0, buffers = 0;  // made on the device
  uint64_t devices_lost = 0, redone = 0;
  double encode_s = 0, wait_s = 0;  // the thread's time
};

// What one call of Run does. Planes are packed (Plane::contiguous).
struct Request {
  std::shared_ptr<const Recipe> recipe;
  std::vector<Plane> inputs, outputs;                // in the order of the recipe's
  std::vector<std::vector<std::byte>> results = {};  // filled, in the order of its result buffers

  // Afterwards: the CPU has to do it (Recipe::doubt). Outputs that lie where inputs do are not
  // written then; others hold anything.
  bool doubtful() const;
};

// Memory that planes of requests may lie in: slots of equal size side by side, as a TilePool's.
// A plane that is to be imported begins at a multiple of 256 bytes in its slot, and what follows it
// up to a multiple of 4 bytes is its own.
struct HostMemory {
  std::byte* base = nullptr;  // page-aligned
  uint64_t slot_bytes = 0;    // a multiple of the page
  uint32_t slots = 0;
  // Which memory is mapped at a slot: another number after it was replaced. It stands still while a
  // request has a plane there (the caller's lease sees to that). Any thread; empty: never replaced.
  std::function<uint64_t(uint32_t slot)> epoch = {};
};

// A pool's, which must be forgotten before it goes.
HostMemory MemoryOf(const TilePool& pool);

class Engine {
 public:
  // kGpuUnavailable, with everything that was tried and what would help.
  static std::shared_ptr<Engine> Open(const EngineOptions& options = {});
  virtual ~Engine() = default;

  virtual const AdapterFacts& facts() const = 0;
  virtual PlaneAccess access() const = 0;  // what kAuto became
  virtual EngineStats stats() const = 0;

  // Makes planes in the memory go without copies of the CPU's where the adapter can import it.
  // Forget returns when the device no longer uses the memory, before which it must stay mapped; no
  // request may have a plane there meanwhile.
  virtual void Register(HostMemory memory) = 0;
  virtual void Forget(const std::byte* base) = 0;

  // Any thread; returns when outputs and results are there. An output may lie where an input does.
  // kGpuFailed: the device was lost twice, a kernel does not compile (names the pass), a buffer is
  // larger than the adapter takes, or the engine was closed. The inputs are unchanged then, unless
  // an output lies there and was written.
  virtual void Run(Request& request) = 0;

  // Fails what waits, lets what is in flight end, and gives the device back. Any thread;
  // idempotent. Happens by itself when the process exits.
  virtual void Close() = 0;

  // For tests: the device is lost while requests are in flight.
  virtual void LoseDevice() = 0;
};

}  // namespace tilecast::gpu
