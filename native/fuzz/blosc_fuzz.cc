// SPDX-License-Identifier: MIT
// Blosc frames. Input: pixel size, the part that is wanted, then the frame. The part must equal
// that of the whole.
#include <cstring>
#include <memory>

#include "codec/blosc.h"
#include "error.h"
#include "fuzz_input.h"

namespace {

using tilecast::BloscDecoder;
using tilecast::Code;
using tilecast::Error;
using tilecast::RowWindow;

constexpr size_t kMaxBytes = 1 << 20;

// False when the frame is refused, which must be for what it is.
template <class F>
bool Accepted(F&& f) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    FUZZ_CHECK(e.code() == Code::kZarrDamaged || e.code() == Code::kZarrUnsupported);
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tilecast::FuzzInput input(data, size);
  const size_t pixel = size_t{1} << (input.Byte() % 4);
  const size_t across = input.Between(1, 300);
  const size_t first_row = input.Byte();
  const size_t first_column = input.Byte();
  const size_t rows = input.Byte();
  const size_t columns = input.Byte();
  const auto frame = input.Body();
  static BloscDecoder decoder;
  size_t bytes = 0;
  if (!Accepted([&] { bytes = BloscDecoder::DecodedSize(frame.get(), input.size()); })) return 0;
  if (bytes > kMaxBytes || bytes % (pixel * across) != 0) return 0;

  const std::unique_ptr<uint8_t[]> whole(new uint8_t[bytes]);
  const RowWindow all{whole.get(), bytes, 1, bytes, 0, bytes};
  const bool good = Accepted([&] { decoder.Decode(frame.get(), input.size(), bytes, pixel, all); });

  const size_t pitch = across * pixel;
  const size_t down = bytes / pitch;
  if (first_row >= down || first_column >= across) return 0;
  const size_t wanted_rows = std::min(rows, down - first_row);
  const size_t span = std::min(columns, across - first_column) * pixel;
  if (wanted_rows == 0 || span == 0) return 0;
  const std::unique_ptr<uint8_t[]> part(new uint8_t[wanted_rows * span]);
  const RowWindow window{
      part.get(), span, wanted_rows, span, first_row * pitch + first_column * pixel, pitch};
  const bool part_good =
      Accepted([&] { decoder.Decode(frame.get(), input.size(), bytes, pixel, window); });
  FUZZ_CHECK(part_good || !good);  // damage elsewhere may go unseen, never the other way round
  for (size_t r = 0; r < wanted_rows && good; ++r) {
    FUZZ_CHECK(std::memcmp(part.get() + r * span, whole.get() + window.first + r * pitch, span) ==
               0);
  }
  return 0;
}
