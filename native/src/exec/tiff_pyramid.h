// SPDX-License-Identifier: MIT
// Pages with their pyramids, from full-size planes.
#pragma once

#include "codec/raw_buffer.h"
#include "image.h"
#include "tiff/tiff_writer.h"

namespace tilecast {

// Levels of a pyramid whose smallest one has no side above `side` px; 1: the plane alone.
int PyramidLevels(int64_t height, int64_t width, int64_t side);

// Writes `plane` as a page of `levels` resolutions (as many of them as halve it), each half of the
// one before by means (ops/resample.h). `scratch` holds a third of the plane, and is kept by the
// caller for the next one.
void WritePyramid(TiffWriter& writer, const Plane& plane, int levels, const TiffPageText& text,
                  int threads, RawBuffer& scratch);

}  // namespace tilecast
