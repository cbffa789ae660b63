// SPDX-License-Identifier: MIT
// Reads programs and jobs out of JavaScript objects, and puts results into them.
#include "bind/run_data.h"

#include <algorithm>

#include "bind/parts.h"
#include "bind/zarr.h"

namespace tilecast::bind {
namespace {

double NumberOr(const Napi::Object& o, const char* key, double fallback) {
  const Napi::Value v = o.Get(key);
  return v.IsNumber() ? v.As<Napi::Number>().DoubleValue() : fallback;
}
}  // namespace

DType DTypeOfName(const std::string& name) {
  for (int i = 0; i < kDTypeCount; ++i) {
    if (DTypeName(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  throw Error(Code::kInvalidArgument, "unknown dtype \"" + name + "\"");
}

int IntOr(const Napi::Object& o, const char* key, int fallback) {
  return static_cast<int>(NumberOr(o, key, fallback));
}

namespace {

std::string StringOf(const Napi::Object& o, const char* key) {
  const Napi::Value v = o.Get(key);
  return v.IsString() ? v.As<Napi::String>().Utf8Value() : std::string();
}
std::vector<int> IntsOf(const Napi::Object& o, const char* key) {
  std::vector<int> out;
  const Napi::Value v = o.Get(key);
  if (!v.IsArray()) return out;
  const auto a = v.As<Napi::Array>();
  for (uint32_t i = 0; i < a.Length(); ++i) {
    out.push_back(a.Get(i).As<Napi::Number>().Int32Value());
  }
  return out;
}

constexpr std::pair<const char*, OpKind> kOps[] = {
    {"read", OpKind::kRead},
    {"project", OpKind::kProject},
    {"projectTiles", OpKind::kProjectRegs},
    {"stackRange", OpKind::kStackRange},
    {"stretchTile", OpKind::kStretch},
    {"weighTiles", OpKind::kWeighRegs},
    {"apply", OpKind::kApply},
    {"threshold", OpKind::kThreshold},
    {"label", OpKind::kLabel},
    {"function", OpKind::kFunction},
    {"measure", OpKind::kMeasure},
    {"measurePlane", OpKind::kMeasurePlane},
    {"writeImage", OpKind::kWriteImage},
    {"writeLabels", OpKind::kWriteLabels},
    {"thumbnail", OpKind::kThumbnail},
    {"collect", OpKind::kCollect},
    {"view", OpKind::kView},
    {"outline", OpKind::kOutline},
    {"centroids", OpKind::kCentroids},
    {"align", OpKind::kAlign},
    {"canvas", OpKind::kCanvas},
    {"place", OpKind::kPlace},
    {"move", OpKind::kMove},
};
constexpr std::pair<const char*, StackOp> kProjections[] = {{"max", StackOp::kMax},
                                                            {"min", StackOp::kMin},
                                                            {"mean", StackOp::kMean},
                                                            {"sum", StackOp::kSum},
                                                            {"deviation", StackOp::kDeviation},
                                                            {"focus", StackOp::kFocus}};
constexpr std::pair<const char*, ThresholdMethod> kMethods[] = {
    {"value", ThresholdMethod::kValue},
    {"otsu", ThresholdMethod::kOtsu},
    {"triangle", ThresholdMethod::kTriangle},
    {"li", ThresholdMethod::kLi},
    {"yen", ThresholdMethod::kYen}};
constexpr Column::Kind Texture(Haralick feature) {
  return static_cast<Column::Kind>(static_cast<int>(Column::Kind::kTexture) +
                                   static_cast<int>(feature));
}
constexpr std::pair<const char*, Column::Kind> kColumns[] = {
    {"label", Column::Kind::kLabel},
    {"area", Column::Kind::kArea},
    {"centroid_y", Column::Kind::kCentroidY},
    {"centroid_x", Column::Kind::kCentroidX},
    {"bbox_y0", Column::Kind::kBoxY0},
    {"bbox_x0", Column::Kind::kBoxX0},
    {"bbox_y1", Column::Kind::kBoxY1},
    {"bbox_x1", Column::Kind::kBoxX1},
    {"perimeter", Column::Kind::kPerimeter},
    {"eccentricity", Column::Kind::kEccentricity},
    {"empty", Column::Kind::kEmpty},
    {"integrated_intensity", Column::Kind::kIntegrated},
    {"mean_intensity", Column::Kind::kMean},
    {"min_intensity", Column::Kind::kMin},
    {"max_intensity", Column::Kind::kMax},
    {"major_axis_length", Column::Kind::kMajorAxis},
    {"minor_axis_length", Column::Kind::kMinorAxis},
    {"orientation", Column::Kind::kOrientation},
    {"equivalent_diameter", Column::Kind::kEquivalentDiameter},
    {"extent", Column::Kind::kExtent},
    {"form_factor", Column::Kind::kFormFactor},
    {"solidity", Column::Kind::kSolidity},
    {"std_intensity", Column::Kind::kDeviation},
    {"lower_quartile_intensity", Column::Kind::kLowerQuartile},
    {"median_intensity", Column::Kind::kMedian},
    {"upper_quartile_intensity", Column::Kind::kUpperQuartile},
    {"texture_angular_second_moment", Texture(Haralick::kAngularSecondMoment)},
    {"texture_contrast", Texture(Haralick::kContrast)},
    {"texture_correlation", Texture(Haralick::kCorrelation)},
    {"texture_variance", Texture(Haralick::kVariance)},
    {"texture_inverse_difference_moment", Texture(Haralick::kInverseDifferenceMoment)},
    {"texture_sum_average", Texture(Haralick::kSumAverage)},
    {"texture_sum_variance", Texture(Haralick::kSumVariance)},
    {"texture_sum_entropy", Texture(Haralick::kSumEntropy)},
    {"texture_entropy", Texture(Haralick::kEntropy)},
    {"texture_difference_variance", Texture(Haralick::kDifferenceVariance)},
    {"texture_difference_entropy", Texture(Haralick::kDifferenceEntropy)},
    {"texture_information_1", Texture(Haralick::kInformation1)},
    {"texture_information_2", Texture(Haralick::kInformation2)},
    {"pearson", Column::Kind::kPearson},
    {"overlap", Column::Kind::kOverlap},
    {"manders_1", Column::Kind::kManders1},
    {"manders_2", Column::Kind::kManders2},
};
constexpr std::pair<const char*, PlaneColumn::Kind> kPlaneColumns[] = {
    {"empty", PlaneColumn::Kind::kEmpty},
    {"mean", PlaneColumn::Kind::kMean},
    {"std", PlaneColumn::Kind::kDeviation},
    {"min", PlaneColumn::Kind::kMin},
    {"max", PlaneColumn::Kind::kMax},
    {"percentile", PlaneColumn::Kind::kPercentile},
    {"saturated", PlaneColumn::Kind::kSaturated},
    {"histogram", PlaneColumn::Kind::kHistogram},
    {"focus_laplacian", PlaneColumn::Kind::kLaplacian},
    {"focus_brenner", PlaneColumn::Kind::kBrenner},
    {"focus_tenengrad", PlaneColumn::Kind::kTenengrad},
    {"focus_variance", PlaneColumn::Kind::kVariance},
    {"pearson", PlaneColumn::Kind::kPearson},
    {"overlap", PlaneColumn::Kind::kOverlap},
    {"manders_1", PlaneColumn::Kind::kManders1},
    {"manders_2", PlaneColumn::Kind::kManders2},
};
constexpr std::pair<const char*, ChunkCodec> kCodecs[] = {{"none", ChunkCodec::kNone},
                                                          {"blosc-lz4", ChunkCodec::kBloscLz4},
                                                          {"blosc-zstd", ChunkCodec::kBloscZstd},
                                                          {"zstd", ChunkCodec::kZstd}};

constexpr std::pair<const char*, Blend> kBlends[] = {
    {"linear", Blend::kLinear}, {"none", Blend::kNone}, {"max", Blend::kMax}};
constexpr std::pair<const char*, Placing> kPlacings[] = {{"nearest", Placing::kNearest},
                                                         {"linear", Placing::kLinear}};

constexpr std::pair<const char*, Spline> kSplines[] = {{"linear", Spline::kLinear},
                                                       {"cubic", Spline::kCubic}};

std::vector<double> NumbersOf(const Napi::Object& o, const char* key) {
  const auto a = o.Get(key).As<Napi::Array>();
  std::vector<double> out(a.Length());
  for (uint32_t i = 0; i < a.Length(); ++i) out[i] = a.Get(i).As<Napi::Number>().DoubleValue();
  return out;
}

MosaicPlan MosaicFrom(const Napi::Object& o) {
  const auto size = [&](const char* key) { return static_cast<int64_t>(NumberOr(o, key, 0)); };
  return {size("height"),     size("width"),     size("imageHeight"),
          size("imageWidth"), NumbersOf(o, "y"), NumbersOf(o, "x")};
}

// [low, high]
MinMax RangeOf(const Napi::Value& v) {
  const auto at = [&](uint32_t i) { return v.As<Napi::Array>().Get(i).ToNumber().DoubleValue(); };
  return {at(0), at(1)};
}

PlaneMeasurement PlaneMeasurementFrom(const Napi::Object& o, const Napi::Array& columns,
                                      size_t images) {
  PlaneMeasurement m;
  m.cell = StringOf(o, "cell");
  m.saturation = NumberOr(o, "saturation", 0);
  m.bins = IntOr(o, "bins", 1);
  if (const Napi::Value range = o.Get("range"); range.IsArray()) {
    m.low = RangeOf(range).min;
    m.high = RangeOf(range).max;
  }
  for (uint32_t i = 0; i < columns.Length(); ++i) {
    const auto c = columns.Get(i).As<Napi::Object>();
    const PlaneColumn column{OneOf(StringOf(c, "kind"), kPlaneColumns, "column of planes"),
                             NumberOr(c, "at", 0), IntOr(c, "image", -1)};
    if ((column.kind >= PlaneColumn::Kind::kPearson) != (column.image >= 0) ||
        column.image >= static_cast<int>(images) ||
        (column.kind == PlaneColumn::Kind::kHistogram &&
         !(column.at >= 0 && column.at < static_cast<double>(m.bins)))) {
      throw Error(Code::kInvalidArgument, "a column of planes refers to what is not there");
    }
    m.columns.push_back(column);
  }
  return m;
}

Instruction InstructionFrom(const Napi::Object& o) {
  Instruction op;
  op.kind = OneOf(StringOf(o, "op"), kOps, "instruction");
  op.stage = StringOf(o, "stage");
  op.in = IntOr(o, "in", -1);
  op.out = IntOr(o, "out", -1);
  op.inputs = IntsOf(o, "inputs");
  op.sources = IntsOf(o, "sources");
  if (const Napi::Value v = o.Get("weights"); v.IsArray()) {
    const auto weights = v.As<Napi::Array>();
    for (uint32_t i = 0; i < weights.Length(); ++i)
      op.weights.push_back(weights.Get(i).ToNumber().FloatValue());
  }
  op.a = NumberOr(o, "a", 0);
  op.low = NumberOr(o, "low", 0);
  op.high = NumberOr(o, "high", 0);
  op.resource = IntOr(o, "resource", -1);
  op.output = IntOr(o, "output", -1);
  if (op.kind == OpKind::kApply) {
    op.row = &FindOp(StringOf(o, "name"));
    op.arguments = ArgumentsFrom(*op.row, o.Get("arguments"));
    const int others = static_cast<int>(op.inputs.size()) + (op.resource >= 0 ? 1 : 0);
    if (op.in < 0 || op.out < 0 || others < op.row->least_others || others > op.row->most_others) {
      throw Error(Code::kInvalidArgument,
                  "op " + std::string(op.row->name) + " is applied to the wrong number of images");
    }
  }
  op.mosaic = IntOr(o, "mosaic", -1);
  op.image = IntOr(o, "image", -1);
  if (const auto s = StringOf(o, "blend"); !s.empty()) op.blend = OneOf(s, kBlends, "blend");
  if (const auto s = StringOf(o, "placing"); !s.empty())
    op.placing = OneOf(s, kPlacings, "placing");
  if (const auto s = StringOf(o, "spline"); !s.empty()) op.spline = OneOf(s, kSplines, "spline");
  op.view = IntOr(o, "view", -1);
  op.part = IntOr(o, "part", 0);
  if (const auto s = StringOf(o, "projection"); !s.empty()) op.projection = StackOpOf(s);
  if (const auto s = StringOf(o, "method"); !s.empty()) op.method = ThresholdMethodOf(s);
  if (const auto s = StringOf(o, "dtype"); !s.empty()) op.dtype = DTypeOfName(s);
  op.label.min_area = static_cast<int64_t>(NumberOr(o, "minArea", 0));
  const double max_area = NumberOr(o, "maxArea", -1);
  if (max_area >= 0 && max_area < 9e15) op.label.max_area = static_cast<int64_t>(max_area);
  op.label.clear_border = o.Get("clearBorder").ToBoolean().Value();
  if (const Napi::Value v = o.Get("texture"); v.IsObject()) {
    const auto texture = v.As<Napi::Object>();
    op.texture.levels = IntOr(texture, "levels", op.texture.levels);
    op.texture.distance = IntOr(texture, "distance", 1);
    if (const Napi::Value range = texture.Get("range"); range.IsArray()) {
      op.texture.range = RangeOf(range);
    }
  }
  if (const Napi::Value v = o.Get("planeColumns"); v.IsArray()) {
    op.of_plane = PlaneMeasurementFrom(o, v.As<Napi::Array>(), op.inputs.size());
  }
  op.manders_percent = NumberOr(o, "threshold", 0);
  if (const Napi::Value v = o.Get("columns"); v.IsArray()) {
    const auto columns = v.As<Napi::Array>();
    for (uint32_t i = 0; i < columns.Length(); ++i) {
      const auto c = columns.Get(i).As<Napi::Object>();
      op.columns.push_back({OneOf(StringOf(c, "kind"), kColumns, "column"), IntOr(c, "image", -1),
                            IntOr(c, "other", -1)});
      const Column& column = op.columns.back();
      const auto images = static_cast<int>(op.inputs.size());
      if ((column.kind >= Column::Kind::kIntegrated) != (column.image >= 0) ||
          column.compares() != (column.other >= 0) || column.image >= images ||
          column.other >= images) {
        throw Error(Code::kInvalidArgument, "a column refers to an image that is not there");
      }
    }
  }
  return op;
}

template <class Array, class Values>
Array ArrayOf(Napi::Env env, const Values& values) {
  Array out = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), out.Data());
  return out;
}

// Only what there is: a run without viewers has none of this in its results.
void SetViews(Napi::Env env, const JobResult& r, Napi::Object& o) {
  const auto set = [&](const char* key, const auto& list, const auto& fill) {
    if (list.empty()) return;
    auto out = Napi::Array::New(env, list.size());
    for (size_t i = 0; i < list.size(); ++i) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("view", list[i].view);
      fill(entry, list[i]);
      out.Set(static_cast<uint32_t>(i), entry);
    }
    o.Set(key, out);
  };
  set("views", r.views, [](Napi::Object& entry, const ViewResult& v) {
    entry.Set("slot", v.loan.slot);
    entry.Set("generation", v.loan.generation);
    entry.Set("height", static_cast<double>(v.height));
    entry.Set("width", static_cast<double>(v.width));
    entry.Set("dtype", std::string(DTypeName(v.dtype)));
  });
  set("outlines", r.outlines, [&](Napi::Object& entry, const OutlineResult& v) {
    entry.Set("vertices", ArrayOf<Napi::Float32Array>(env, v.outlines.vertices));
    entry.Set("offsets", ArrayOf<Napi::Uint32Array>(env, v.outlines.offsets));
    entry.Set("labels", ArrayOf<Napi::Int32Array>(env, v.outlines.labels));
  });
  set("centroids", r.centroids, [&](Napi::Object& entry, const CentroidResult& v) {
    entry.Set("points", ArrayOf<Napi::Float32Array>(env, v.points));
    entry.Set("labels", ArrayOf<Napi::Int32Array>(env, v.labels));
  });
}

Napi::Object ErrorObject(Napi::Env env, const JobResult& r) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("code", std::string(CodeName(r.code)));
  o.Set("message", r.message);
  o.Set("stage", r.stage);
  if (!r.path.empty()) o.Set("path", r.path);
  if (r.page >= 0) o.Set("page", static_cast<double>(r.page));
  if (r.offset >= 0) o.Set("offset", static_cast<double>(r.offset));
  return o;
}

}  // namespace

ThresholdMethod ThresholdMethodOf(const std::string& name) {
  return OneOf(name, kMethods, "threshold method");
}

StackOp StackOpOf(const std::string& name) {
  return OneOf(name, kProjections, "projection");
}

OpArguments ArgumentsFrom(const OpRow& row, const Napi::Value& given) {
  OpArguments arguments(row);
  if (given.IsObject()) {
    const auto o = given.As<Napi::Object>();
    const Napi::Array names = o.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const std::string name = names.Get(i).As<Napi::String>().Utf8Value();
      const Napi::Value value = o.Get(name);
      if (value.IsUndefined()) continue;
      if (value.IsNumber()) {
        arguments.Set(name, value.As<Napi::Number>().DoubleValue());
      } else if (value.IsBoolean()) {
        arguments.Set(name, value.As<Napi::Boolean>().Value());
      } else {
        arguments.Set(name, std::string_view(value.ToString().Utf8Value()));
      }
    }
  }
  arguments.RequireAll();
  return arguments;
}

Program ProgramFrom(const Napi::Object& o) {
  Program program;
  program.registers = IntOr(o, "registers", 0);
  const auto code = o.Get("code").As<Napi::Array>();
  for (uint32_t i = 0; i < code.Length(); ++i) {
    program.code.push_back(InstructionFrom(code.Get(i).As<Napi::Object>()));
  }
  return program;
}

Job JobFrom(const Napi::Object& o) {
  Job job;
  job.program = IntOr(o, "program", 0);
  job.index = IntOr(o, "index", 0);
  job.image = IntOr(o, "image", 0);
  job.thumbnail = o.Get("thumbnail").ToBoolean().Value();
  job.in_blocks = o.Get("inBlocks").ToBoolean().Value();
  const auto prefixes = o.Get("rowPrefixes").As<Napi::Array>();
  for (uint32_t i = 0; i < prefixes.Length(); ++i) {
    job.row_prefixes.push_back(prefixes.Get(i).As<Napi::String>().Utf8Value());
  }
  const auto planes = o.Get("planePrefixes").As<Napi::Array>();
  for (uint32_t i = 0; i < planes.Length(); ++i) {
    job.plane_prefixes.push_back(planes.Get(i).As<Napi::String>().Utf8Value());
  }
  const auto files = o.Get("files").As<Napi::Array>();
  for (uint32_t i = 0; i < files.Length(); ++i) {
    const auto f = files.Get(i).As<Napi::Object>();
    job.files.emplace_back(StringOf(f, "path"), StringOf(f, "text"));
  }
  const auto sources = o.Get("sources").As<Napi::Array>();
  for (uint32_t i = 0; i < sources.Length(); ++i) {
    const auto s = sources.Get(i).As<Napi::Object>();
    job.sources.push_back({StringOf(s, "path"), IntOr(s, "page", 0), IntOr(s, "sample", 0),
                           static_cast<int64_t>(NumberOr(s, "height", 0)),
                           static_cast<int64_t>(NumberOr(s, "width", 0)),
                           DTypeOfName(StringOf(s, "dtype"))});
    if (const Napi::Value array = s.Get("array"); array.IsObject()) {
      job.sources.back().array = UnwrapZarrArray(array);
      job.sources.back().index = ToIndex(s.Get("index"));
    }
    if (const Napi::Value fetched = s.Get("fetched"); fetched.IsObject()) {
      Source& source = job.sources.back();
      if (source.array) {
        source.chunks = std::make_shared<const FetchedChunks>(ToFetchedChunks(fetched));
      } else {
        source.parts = std::make_shared<const FileParts>(ToParts(fetched.As<Napi::Object>()));
      }
      job.borrows = true;
    }
  }
  if (const Napi::Value v = o.Get("mosaics"); v.IsArray()) {
    const auto mosaics = v.As<Napi::Array>();
    for (uint32_t i = 0; i < mosaics.Length(); ++i)
      job.mosaics.push_back(MosaicFrom(mosaics.Get(i).As<Napi::Object>()));
  }
  const auto outputs = o.Get("outputs").As<Napi::Array>();
  for (uint32_t i = 0; i < outputs.Length(); ++i) {
    const auto t = outputs.Get(i).As<Napi::Object>();
    job.outputs.push_back({StringOf(t, "dir"), StringOf(t, "lead"),
                           static_cast<int64_t>(NumberOr(t, "height", 0)),
                           static_cast<int64_t>(NumberOr(t, "width", 0)),
                           DTypeOfName(StringOf(t, "dtype")), IntOr(t, "levels", 1)});
  }
  return job;
}

ZarrEncoding EncodingFrom(const Napi::Object& o) {
  ZarrEncoding e;
  e.format = IntOr(o, "format", 3);
  e.sharded = o.Get("sharded").ToBoolean().Value();
  e.codec = OneOf(StringOf(o, "codec"), kCodecs, "codec");
  e.level = IntOr(o, "level", 5);
  e.chunk = static_cast<int64_t>(NumberOr(o, "chunk", 512));
  e.separator = StringOf(o, "separator") == "." ? '.' : '/';
  if (e.chunk < 1 || (e.format != 2 && e.format != 3))
    throw Error(Code::kInvalidArgument, "bad Zarr encoding");
  return e;
}

Napi::Object ResultObject(Napi::Env env, JobResult& r) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("job", r.job);
  if (!r.ok) {
    o.Set("error", ErrorObject(env, r));
    return o;
  }
  o.Set("rows", r.rows);
  o.Set("planeRows", r.plane_rows);
  auto parts = Napi::Array::New(env, r.parts.size());
  for (size_t i = 0; i < r.parts.size(); ++i) {
    const PartResult& p = r.parts[i];
    Napi::Object part = Napi::Object::New(env);
    part.Set("objects", static_cast<double>(p.objects));
    auto sums = Napi::Float64Array::New(env, p.sums.size());
    std::copy(p.sums.begin(), p.sums.end(), sums.Data());
    part.Set("sums", sums);
    if (p.has_range) {
      part.Set("low", p.low);
      part.Set("high", p.high);
    }
    parts.Set(static_cast<uint32_t>(i), part);
  }
  o.Set("parts", parts);
  o.Set("bytesRead", static_cast<double>(r.bytes_read));
  o.Set("bytesWritten", static_cast<double>(r.bytes_written));
  o.Set("pixels", static_cast<double>(r.pixels));
  auto thumbs = Napi::Array::New(env, r.thumbnails.size());
  for (size_t i = 0; i < r.thumbnails.size(); ++i) {
    const ThumbnailImage& t = r.thumbnails[i];
    Napi::Object thumb = Napi::Object::New(env);
    thumb.Set("height", static_cast<double>(t.height));
    thumb.Set("width", static_cast<double>(t.width));
    auto pixels = Napi::Float32Array::New(env, t.pixels.size());
    std::copy(t.pixels.begin(), t.pixels.end(), pixels.Data());
    thumb.Set("pixels", pixels);
    if (t.outline.empty()) {
      thumb.Set("outline", env.Null());
    } else {
      auto outline = Napi::Uint8Array::New(env, t.outline.size());
      std::copy(t.outline.begin(), t.outline.end(), outline.Data());
      thumb.Set("outline", outline);
    }
    thumbs.Set(static_cast<uint32_t>(i), thumb);
  }
  o.Set("thumbnails", thumbs);
  SetViews(env, r, o);
  return o;
}

}  // namespace tilecast::bind
