// SPDX-License-Identifier: MIT
// Headers that promise more pixels than their file can hold: refused before anyone reserves memory.
#include <doctest/doctest.h>

#include <string>

#include "error.h"
#include "scratch_folder.h"
#include "tiff/tiff_reader.h"
#include "tiff_fixture.h"

namespace tilecast {
namespace {

// What opening a grey 16-bit image of one strip says: "" when it is taken.
std::string Open(uint64_t side, uint16_t compression, const std::string& strip) {
  const ScratchFolder folder;
  TiffFixture w;
  w.Grey(side, side, 16, side, compression, {strip});
  w.Page();
  w.Save(folder.path() + "/a.tif");
  TiffReader reader;
  try {
    reader.Open(folder.path() + "/a.tif");
    return "";
  } catch (const Error& e) {
    CHECK(e.code() == Code::kTiffDamaged);
    return e.what();
  }
}

}  // namespace

TEST_CASE("an image that no codec can make of its file's bytes is damaged when it is opened") {
  const std::string kilobyte(1000, '\0');
  for (const uint16_t compression : {1, 5, 8, 32773, 32946, 50000}) {
    CAPTURE(compression);
    const std::string said = Open(100'000, compression, kilobyte);
    CHECK(said.find("100000 x 100000 pixels, 20000000000 bytes") != std::string::npos);
  }
}

TEST_CASE("an image that well compressed bytes could hold is taken, and so is a small one") {
  CHECK(Open(20'000, 8, std::string(800'000, '\0')).empty());
  // A file that was cut short is found out when its pixels are read.
  CHECK(Open(2000, 1, "cut").empty());
}

}  // namespace tilecast
