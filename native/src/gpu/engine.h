// SPDX-License-Identifier: MIT
// The GPU: one device, owned by one thread of ours, that runs recipes for any number of callers.
//
// Requests that wait together go to the device in one submit; several submits are in flight. Inputs
// and outputs are pool slots: imported as buffers where the adapter can (host-mapped pointers),
// else copied through persistent staging buffers. JavaScript has no part in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gpu/recipe.h"
#include "image.h"

namespace tilecast::gpu {

struct AdapterFacts {
  std::string name;  // "SwiftShader Device (Subzero)", "NVIDIA H100 80GB HBM3"
  std::string vendor, driver, backend;
  bool software = false;  // WGPUAdapterType_CPU
  bool host_mapped = false;
  bool f16 = false, subgroups = false, timestamps = false;
  uint64_t max_buffer_bytes = 0, max_binding_bytes = 0;
};

struct EngineOptions {
  std::string library;      // Dawn's shared library; empty: TILECAST_DAWN, the npm package's, ...
  bool host_mapped = true;  // use it where the adapter can
  int in_flight = 3;        // submits
  int batch = 8;            // requests a submit, at most
};

struct EngineStats {
  uint64_t requests = 0, submits = 0, passes = 0;
  uint64_t bytes_up = 0, bytes_down = 0;  // copied through staging
  uint64_t imports = 0;                   // host-mapped buffers made
  uint64_t pipelines = 0;                 // compiled
  uint64_t devices_lost = 0, redone = 0;
  double encode_s = 0, wait_s = 0;  // the thread's time
};

// What one call of Run does. Planes are packed (Plane::contiguous).
struct Request {
  std::shared_ptr<const Recipe> recipe;
  std::vector<Plane> inputs, outputs;                // in the order of the recipe's
  std::vector<std::vector<std::byte>> results = {};  // filled, in the order of its result buffers
};

class Engine {
 public:
  // kGpuUnavailable, with everything that was tried and what would help.
  static std::shared_ptr<Engine> Open(const EngineOptions& options = {});
  virtual ~Engine() = default;

  virtual const AdapterFacts& facts() const = 0;
  virtual EngineStats stats() const = 0;

  // Memory that requests' planes may lie in and that stays mapped until Forget: a pool. Without it
  // planes are staged. A slot whose object was replaced (TilePool's generation of the mapping) must
  // be forgotten and registered again.
  virtual void Register(std::span<std::byte> memory) = 0;
  virtual void Forget(std::span<std::byte> memory) = 0;

  // Any thread; returns when outputs and results are there. kGpuFailed: the device was lost twice,
  // a kernel does not compile, or a buffer is larger than the adapter takes; what the request had
  // as inputs is unchanged.
  virtual void Run(Request& request) = 0;
};

}  // namespace tilecast::gpu
