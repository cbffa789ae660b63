// SPDX-License-Identifier: MIT
// TIFF files to read, the rate of reading them, and that of their codec alone.
#pragma once

#include <cstdint>
#include <string>

namespace tilecast::bench {

// Writes Nuclei(side) as a grey uint16 TIFF in strips of 32 rows: "none" as it is; "deflate" (level
// 6), "lzw" and "zstd" (level 3) with predictor 2, as exporters store planes. Gives the file's
// bytes. Throws kInvalidArgument, kIo.
uint64_t WriteTestTiff(const std::string& path, const std::string& compression, int64_t side);

// Pixels a second of all threads together from the path to pixels in memory: open, read from the
// page cache, decode.
double MeasureTiffRead(const std::string& path, int threads, double seconds);

// Pixels a second of the codec alone: the strips of that file, in memory already, decoded to bytes
// by libdeflate, libzstd or our LZW, without predictor, files or structure. Throws kInvalidArgument
// for an uncompressed file.
double MeasureTiffCodec(const std::string& path, int threads, double seconds);

}  // namespace tilecast::bench
