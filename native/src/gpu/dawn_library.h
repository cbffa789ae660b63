// SPDX-License-Identifier: MIT
// Dawn's shared library: where it is looked for, and its functions.
#pragma once

#include <string>

#include "gpu/dawn_abi.h"

namespace tilecast::gpu {

struct DawnLibrary {
  std::string path;
  dawn::Functions functions;
};

// The name of the npm package that has the library for this platform, or empty: there is none.
std::string DawnPackage();

// `wanted`, else the file that TILECAST_DAWN names, else the npm package's in a node_modules above
// this addon. What is named is the only one that is tried. Loaded once, and never unloaded: Dawn
// has threads of its own. Throws kGpuUnavailable with all that was tried, and what helps.
const DawnLibrary& LoadDawn(const std::string& wanted);

}  // namespace tilecast::gpu
