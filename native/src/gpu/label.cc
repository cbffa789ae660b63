// SPDX-License-Identifier: MIT
// Connected components as passes: bit mask, union of segments, ranks of roots, painting.
#include <algorithm>
#include <string>

#include "gpu/segmentation.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

// Components of a plane's bit mask, united; and the marked roots with their ranks.
class Components {
 public:
  Components(B& recipe, const GpuPlane& in, const GpuThreshold& threshold, bool invert,
             bool diagonal)
      : recipe_(recipe),
        height_(in.height),
        width_(in.width),
        per_row_((in.width + 31) / 32),
        words_(in.height * per_row_),
        groups_((words_ + 255) / 256) {
    bits_ = recipe.TemporaryBytes(static_cast<uint64_t>(words_) * 4, false);
    parents_ = recipe.TemporaryBytes(static_cast<uint64_t>(in.pixels()) * 4, false);
    const B::Replacement text[] = {{"floats", in.dtype == DType::kF32 ? "true" : "false"},
                                   {"invert", invert ? "true" : "false"}};
    recipe.Grid("label_bits", WorkgroupsFor((words_ + 31) / 32),
                {B::Read("in", in), B::Words("threshold", threshold.words, false),
                 B::Words("bits", bits_, true), B::Words("parents", parents_, true)},
                {B::U32("width", width_), B::U32("per_row", per_row_), B::U32("words", words_)},
                text);
    const B::Replacement unite[] = {{"diagonal", diagonal ? "true" : "false"}};
    recipe.Linear(
        "label_unite", words_,
        {B::Words("bits", bits_, false), B::Words("parents", parents_, true, "array<atomic<u32>>")},
        {B::U32("width", width_), B::U32("per_row", per_row_)}, unite);
  }

  // Ranks of all roots; `total` gets their number.
  void Rank(int total) {
    NewRanks();
    recipe_.Grid(
        "label_flatten", WorkgroupsFor(groups_),
        {B::Words("bits", bits_, false), B::Words("parents", parents_, true, "array<atomic<u32>>"),
         B::Words("roots", roots_, true), B::Words("ranks", ranks_, true),
         B::Words("sums", sums_, true)},
        {B::U32("width", width_), B::U32("per_row", per_row_), B::U32("words", words_)});
    Scan(total);
  }

  // Ranks of those roots whose objects stay.
  void Drop(const LabelOptions& options, int total) {
    // 8-connected objects need a pixel of every second row and column each; 4-connected ones half
    // of the pixels, and are never dropped.
    const int64_t most = (height_ + 1) / 2 * ((width_ + 1) / 2);
    const int areas = recipe_.TemporaryBytes(static_cast<uint64_t>(most) * 4, true);
    recipe_.Linear(
        "label_areas", (words_ + 7) / 8,
        {B::Words("bits", bits_, false), B::Words("parents", parents_, false),
         B::Words("roots", roots_, false), B::Words("ranks", ranks_, false),
         B::Words("sums", sums_, false), B::Words("areas", areas, true, "array<atomic<u32>>")},
        {B::U32("width", width_), B::U32("height", height_), B::U32("per_row", per_row_),
         B::U32("words", words_)});
    const int roots = roots_, ranks = ranks_, sums = sums_;
    NewRanks();
    const auto pixels = [](int64_t n) { return std::clamp<int64_t>(n, 0, 0x7fffffff); };
    // A least area above every plane's drops all, as 2^31 - 1 px of one object cannot be.
    recipe_.Grid("label_drop", WorkgroupsFor(groups_),
                 {B::Words("old_roots", roots, false), B::Words("old_ranks", ranks, false),
                  B::Words("old_sums", sums, false), B::Words("areas", areas, false),
                  B::Words("roots", roots_, true), B::Words("ranks", ranks_, true),
                  B::Words("sums", sums_, true)},
                 {B::U32("words", words_), B::U32("min_area", pixels(options.min_area)),
                  B::U32("max_area", pixels(options.max_area)),
                  B::U32("clear_border", options.clear_border)});
    Scan(total);
  }

  void Paint(const GpuPlane& out) {
    recipe_.Linear("label_number", words_,
                   {B::Words("bits", bits_, false), B::Words("parents", parents_, true),
                    B::Words("roots", roots_, false), B::Words("ranks", ranks_, false),
                    B::Words("sums", sums_, false)},
                   {B::U32("width", width_), B::U32("per_row", per_row_)});
    recipe_.Map("label_paint", out,
                {B::Words("bits", bits_, false), B::Words("segment_labels", parents_, false)},
                {B::U32("width", width_), B::U32("per_row", per_row_)});
  }

  // Marks what belongs to the components that touch the edge, and paints 0 there and 1 elsewhere.
  void PaintEnclosed(const GpuPlane& out) {
    const int open = recipe_.TemporaryBytes(static_cast<uint64_t>(words_) * 4, true);
    recipe_.Linear(
        "holes_open", words_,
        {B::Words("bits", bits_, false), B::Words("parents", parents_, false),
         B::Words("open", open, true, "array<atomic<u32>>")},
        {B::U32("width", width_), B::U32("height", height_), B::U32("per_row", per_row_)});
    recipe_.Map("holes_paint", out,
                {B::Words("bits", bits_, false), B::Words("parents", parents_, false),
                 B::Words("open", open, false)},
                {B::U32("width", width_), B::U32("per_row", per_row_)});
  }

 private:
  void NewRanks() {
    roots_ = recipe_.TemporaryBytes(static_cast<uint64_t>(words_) * 4, false);
    ranks_ = recipe_.TemporaryBytes(static_cast<uint64_t>(words_) * 4, false);
    sums_ = recipe_.TemporaryBytes(static_cast<uint64_t>(groups_) * 4, false);
  }

  void Scan(int total) {
    recipe_.Grid("label_scan", {1, 1, 1},
                 {B::Words("sums", sums_, true), B::Words("total", total, true)},
                 {B::U32("groups", groups_)});
  }

  B& recipe_;
  int64_t height_, width_;
  int64_t per_row_, words_;  // of the mask
  int64_t groups_;           // of 256 words
  int bits_, parents_;
  int roots_ = -1, ranks_ = -1, sums_ = -1;
};

}  // namespace

std::optional<std::string> RefusesLabel(DType in, PlaneShape shape) {
  if (in == DType::kF64) return "a GPU has no float64";
  if (shape.height * shape.width >= int64_t{1} << 31) return "2^31 px or more";
  if (shape.height * shape.width == 0) return "no pixels";
  return std::nullopt;
}

GpuLabels EncodeLabel(RecipeBuilder& recipe, const GpuPlane& in, const GpuThreshold& threshold,
                      const LabelOptions& options, const GpuPlane& out) {
  Components components(recipe, in, threshold, false, true);
  const int count = recipe.Result(4);
  components.Rank(count);
  if (options.min_area > 1 || options.max_area != INT64_MAX || options.clear_border) {
    components.Drop(options, count);
  }
  components.Paint(out);
  return {out, count};
}

void EncodeFillHoles(RecipeBuilder& recipe, const GpuPlane& mask, const GpuPlane& out) {
  const GpuThreshold zero = EncodeThreshold(recipe, ThresholdMethod::kValue, 0, mask);
  Components background(recipe, mask, zero, true, false);
  background.Rank(recipe.TemporaryBytes(4, false));
  background.PaintEnclosed(out);
}

}  // namespace tilecast::gpu
