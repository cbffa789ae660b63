// SPDX-License-Identifier: MIT
// What jobs leave behind in their results, however they were run: table rows, display ranges,
// outlines in pictures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exec/executor.h"
#include "exec/program.h"
#include "ops/measure.h"

namespace tilecast {

// As short as reads back to the same number; nothing for NaN.
void AppendNumber(std::string& text, double v);

// The CSV rows of a measurement, and their sums.
void AppendRows(const Instruction& measure, const std::vector<ShapeRow>& shapes,
                const std::vector<std::vector<IntensityRow>>& intensities,
                const std::string& prefix, std::string& rows, PartResult& part);

// A sample is enough for a display range, and cheap: every k-th pixel, about 16 Ki of them. This is
// the k of an image.
int64_t SampleStep(int64_t pixels);
// Its 0.1 and 99.9 percentile. Changes the order of the sample.
void AddRange(std::vector<float>& sample, PartResult& part);

// Pixels that a cell of a thumbnail is the mean of, along either side.
int64_t ThumbnailFactor(int64_t height, int64_t width, int64_t most_px);
// The outlines of labels in a thumbnail, from the label in the middle of each of its cells.
void DrawOutlines(const std::vector<int32_t>& labels, ThumbnailImage& thumb);

// Removes what earlier runs, or this one, left where a failed job was to write.
void EraseOutputs(const Program& program, const Job& job, const ExecutorOptions& options);

void AddCentroids(const std::vector<ShapeRow>& shapes, CentroidResult& centroids);

}  // namespace tilecast
