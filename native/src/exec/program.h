// SPDX-License-Identifier: MIT
// What a job does: a straight line of instructions over registers, shared by every job of the same
// shape, and the job's own data.
//
// The TypeScript compiler (lib/orchestrator/compile.ts) writes programs with virtual registers,
// each assigned once; Finalize() finds each register's last use and folds them onto as few pool
// slots as possible: that number is what a job reserves before it starts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exec/op_registry.h"
#include "exec/stack_projector.h"
#include "file_parts.h"
#include "image.h"
#include "ops/label.h"
#include "ops/measure.h"
#include "ops/mosaic.h"
#include "ops/texture.h"
#include "ops/translate.h"
#include "zarr/array.h"
#include "zarr/plane_reader.h"

namespace tilecast {

enum class OpKind : uint8_t {
  kRead,         // out = source `source`
  kProject,      // out = projection over `sources`, read one after another
  kProjectRegs,  // out = projection over registers `inputs`
  kStackRange,   // out(float64, 1 x 2) = percentiles low and high of all `inputs`
  kStretch,      // out(dtype) = `in`, from the range in inputs[0] to low..high
  kWeighRegs,    // out = sum of `inputs` times `weights`
  kApply,  // out = op `row`(in), with field `resource` or registers `inputs` as its other images
  kThreshold,     // out = in > T
  kLabel,         // out = labels of in > T
  kFunction,      // out = user's function `resource`(in)
  kMeasure,       // rows of labels `in` over `inputs`
  kMeasurePlane,  // a row of image `in`, compared with `inputs`
  kWriteImage,    // `in` to output `output` of the job
  kWriteLabels,
  kThumbnail,  // in, and labels inputs[0] when there
  kCollect,    // `in`, reduced by a, into estimator `resource` at the job's index
  kView,       // `in` goes to viewers with the job's result, without a copy
  kOutline,    // polygons around the objects of labels `in`
  kCentroids,  // points in the middle of them
  kAlign,      // `in` into aligner `resource` as the job's image
  kCanvas,     // out = zeros, `dtype`, of the size of the job's mosaic `mosaic`
  kMove,       // out = `in`, moved to where mosaic `mosaic` has its one image, by `spline`
  kPlace,      // `in` onto canvas inputs[0], as image `image` of mosaic `mosaic`
};

enum class ThresholdMethod : uint8_t { kValue, kOtsu, kTriangle, kLi, kYen };

// One column of the measurement table.
struct Column {
  enum class Kind : uint8_t {
    kLabel,
    kArea,
    kCentroidY,
    kCentroidX,
    kBoxY0,
    kBoxX0,
    kBoxY1,
    kBoxX1,
    kPerimeter,
    kEccentricity,
    kMajorAxis,
    kMinorAxis,
    kOrientation,
    kEquivalentDiameter,
    kExtent,
    kFormFactor,
    kSolidity,
    kEmpty,  // a column of another chain's measurement
    kIntegrated,
    kMean,
    kMin,
    kMax,
    // From here on in IntensityRow::more.
    kDeviation,
    kLowerQuartile,
    kMedian,
    kUpperQuartile,
    kTexture,  // the first of Haralick's features, in their order
    kPearson = kTexture + kHaralickFeatures,
    kOverlap,
    kManders1,
    kManders2
  };
  Kind kind = Kind::kLabel;
  int image = -1;  // index into the instruction's inputs, for intensities
  int other = -1;  // the second one, of what compares two

  bool compares() const { return kind >= Kind::kPearson; }
  // Where in IntensityRow::more it is: what is of one image first, then what compares it with
  // each of the images.
  size_t more() const {
    const int at = static_cast<int>(kind) - static_cast<int>(Kind::kDeviation);
    return static_cast<size_t>(compares() ? at + kCompared * other : at);
  }
  static constexpr int kCompared =
      static_cast<int>(Kind::kManders2) - static_cast<int>(Kind::kPearson) + 1;
  static constexpr int kOfOne =
      static_cast<int>(Kind::kPearson) - static_cast<int>(Kind::kDeviation);
};

// One column of the table of planes.
struct PlaneColumn {
  enum class Kind : uint8_t {
    kEmpty,
    kMean,
    kDeviation,
    kMin,
    kMax,
    kPercentile,  // `at`
    kSaturated,
    kHistogram,  // bin `at`
    kLaplacian,
    kBrenner,
    kTenengrad,
    kVariance,  // variance / mean
    // Compared with input `image`.
    kPearson,
    kOverlap,
    kManders1,
    kManders2
  };
  Kind kind = Kind::kEmpty;
  double at = 0;
  int image = -1;
};

struct PlaneMeasurement {
  std::vector<PlaneColumn> columns;
  std::string cell;  // of the step, as CSV
  double saturation = 0;
  int64_t bins = 0;  // of the histogram over low..high
  double low = 0, high = 0;
};

struct Instruction {
  OpKind kind = OpKind::kRead;
  std::string stage;  // the step it belongs to, for timings and errors
  int in = -1;
  int out = -1;
  std::vector<int> inputs;
  std::vector<int> sources;
  std::vector<float> weights;  // kWeighRegs
  const OpRow* row = nullptr;
  OpArguments arguments;               // of `row`
  StackOp projection = StackOp::kMax;  // kFocus: window a
  ThresholdMethod method = ThresholdMethod::kValue;
  LabelOptions label;
  DType dtype = DType::kU8;
  double a = 0;
  double low = 0, high = 0;  // kStackRange, kStretch
  int resource = -1;
  int output = -1;
  int view = -1;  // kView, kOutline, kCentroids: the caller's number of what is viewed
  // kCanvas, kPlace: of the job
  int mosaic = -1;
  int image = -1;
  Blend blend = Blend::kLinear;
  Placing placing = Placing::kNearest;
  Spline spline = Spline::kCubic;
  int part = 0;  // of the job: whose rows, sums and display range these are (kMeasure, kWriteImage)
  std::vector<Column> columns;
  TextureOptions texture;      // kMeasure
  double manders_percent = 0;  // kMeasure, kMeasurePlane
  PlaneMeasurement of_plane;   // kMeasurePlane
};

struct Program {
  std::vector<Instruction> code;
  int registers = 0;  // virtual
  // Instructions before which a chain ends, whatever it could do (gpu_segments.h).
  std::vector<int> cuts;
  // Filled by Finalize().
  // By instruction: the last one of the chain that it begins, itself as a rule. Instructions of a
  // chain run together, block of rows by block of rows; what flows between them has no register's
  // slot.
  std::vector<int> chain_end;
  std::vector<int>
      last_use;   // by virtual register: index of the last instruction that reads or writes it
  int slots = 0;  // peak number of pool slots alive at once
  int views = 0;  // tiles that may go to viewers, beyond `slots`

  void Finalize();

 private:
  void FindChains();
};

// Slots that an instruction needs beside those of its registers while it runs: a projection that
// reads its planes itself one to read into, a mean or sum one for its accumulator, a write one for
// its pyramid.
int TemporarySlots(const Instruction& op);

// What a measurement's columns need of the objects' shapes.
ShapeFeatures FeaturesOf(const Instruction& measure);

// One image plane of the catalogue; what was seen then is checked against what is read now.
struct Source {
  std::string path;
  int page = 0;
  int sample = 0;
  int64_t height = 0;
  int64_t width = 0;
  DType dtype = DType::kU8;
  // A plane of a Zarr array instead of a TIFF's page: the array, and the plane's place along its
  // leading axes.
  std::shared_ptr<const ZarrArray> array;
  std::vector<int64_t> index;
  // Bytes fetched from elsewhere instead of files: of the TIFF, or of the array. Borrowed; whoever
  // starts the jobs keeps them.
  std::shared_ptr<const FileParts> parts;
  std::shared_ptr<const FetchedChunks> chunks;
};

// A multiscale image of the output that this job contributes one plane to.
struct Output {
  std::string dir;                // the image's folder; level n is dir/n
  std::string lead;               // chunk key of the leading axes
  int64_t height = 0, width = 0;  // of level 0
  DType dtype = DType::kU8;
  int levels = 1;
};

struct Job {
  int program = 0;
  int index = 0;  // within kCollect's estimator
  int image = 0;  // within kAlign's aligner
  bool thumbnail = false;
  std::vector<Source> sources;
  std::vector<Output> outputs;
  std::vector<MosaicPlan> mosaics;
  // One entry a part (a stream that is measured or written): its rows' leading CSV fields, with the
  // trailing comma.
  std::vector<std::string> row_prefixes;
  std::vector<std::string> plane_prefixes;  // the same for rows of planes
  // Small files that go with the job's results (metadata of the images it is the first to write
  // into), written before anything else.
  std::vector<std::pair<std::string, std::string>> files;
  // Its images are too large for a slot: it runs block by block, on all threads (block_job.h).
  bool in_blocks = false;
  bool borrows = false;  // whether a source has fetched bytes
};

}  // namespace tilecast
