// SPDX-License-Identifier: MIT
// A whole TIFF file: every page's structure, and the samples of the first pages. Input: the file.
//
// Pages that need libtiff are parsed but not decoded: what is looked for here is in our code.
#include <algorithm>
#include <memory>

#include "error.h"
#include "fuzz_input.h"
#include "memory_file.h"
#include "tiff/tiff_reader.h"

namespace {

using tilecast::Code;
using tilecast::Error;
using tilecast::Plane;
using tilecast::TiffPage;
using tilecast::TiffReader;

// A destination is the caller's; the reader's own memory is what the fuzzer's limits watch.
constexpr int64_t kMaxPlaneBytes = 4 << 20;
constexpr int kMaxDecodedPages = 4;

template <class F>
void Expect(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    FUZZ_CHECK(e.code() == Code::kTiffDamaged || e.code() == Code::kTiffUnsupported);
    FUZZ_CHECK(!e.path().empty());
  }
}

void Decode(TiffReader& reader, int index) {
  const TiffPage page = reader.page(index);
  FUZZ_CHECK(page.width > 0 && page.height > 0 && page.samples > 0);
  const auto size = static_cast<int64_t>(tilecast::DTypeSize(page.dtype));
  if (!page.fast_path || page.width > kMaxPlaneBytes ||
      page.height > kMaxPlaneBytes / (page.width * size)) {
    return;
  }
  // Of exactly the plane's size, so that a pixel beyond is seen.
  const std::unique_ptr<std::byte[]> pixels(new std::byte[page.width * page.height * size]);
  const Plane plane = tilecast::PackedPlane(pixels.get(), page.dtype, page.height, page.width);
  for (const int sample : {0, page.samples - 1}) {
    Expect([&] { reader.ReadPlane(index, sample, plane); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static tilecast::MemoryFile file;
  static TiffReader reader;  // as in a run: one for all files of a thread
  file.Write(data, size);
  Expect([&] {
    reader.Open(file.path());
    int pages = 1;
    Expect([&] { pages = reader.page_count(); });
    FUZZ_CHECK(pages >= 1);
    for (int i = 0; i < std::min(pages, kMaxDecodedPages); ++i) {
      Expect([&] { Decode(reader, i); });
    }
    Expect([&] { reader.layout(pages - 1); });
  });
  reader.Close();
  return 0;
}
