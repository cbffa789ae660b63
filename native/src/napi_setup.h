// SPDX-License-Identifier: MIT
// The one place that includes napi.h, so that every binding file sees the same settings.
#pragma once

#include <napi.h>
