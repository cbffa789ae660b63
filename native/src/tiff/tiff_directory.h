// SPDX-License-Identifier: MIT
// Image file directories (IFDs): the structure of TIFF and BigTIFF, checked against the file before
// anything is believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tiff/tiff_fields.h"
#include "tiff/tiff_file.h"
#include "tiff/tiff_reader.h"

namespace tilecast {

// One directory: what the page looks like, and where its long arrays are (read only when wanted).
struct TiffDirectory {
  TiffPage page;
  uint64_t offset = 0;
  uint64_t next = 0;      // 0: the last
  int bits = 1;           // per sample
  int sample_format = 1;  // 1 unsigned, 2 signed, 3 float
  bool ycbcr = false;     // photometric 6
  TiffField description;
  bool has_description = false;  // page.description is read
  TiffField chunk_offsets;
  TiffField chunk_bytes;
  TiffField sub_ifds;

  // Samples that lie together in a chunk.
  int chunk_samples() const { return page.planar ? 1 : page.samples; }
  int64_t chunks_across() const { return (page.width + page.chunk_width - 1) / page.chunk_width; }
  int64_t chunks_down() const { return (page.height + page.chunk_height - 1) / page.chunk_height; }
  // Bytes of one decoded row of a chunk; rows begin on whole bytes.
  uint64_t chunk_row_bytes() const {
    return (static_cast<uint64_t>(page.chunk_width) * static_cast<uint64_t>(chunk_samples()) *
                static_cast<uint64_t>(bits) +
            7) /
           8;
  }
};

// Most bytes that one byte of a compression can make: a bound for sizes that a damaged file claims.
uint64_t TiffMaxRatio(uint16_t compression);

// Parses the directory at `offset` into `out`, whose memory is reused. Throws kTiffDamaged,
// kTiffUnsupported (pixel types that no DType holds exactly). Afterwards every size computed from
// `out` fits 63 bits.
void ParseTiffDirectory(TiffFile& file, const TiffHeader& header, uint64_t offset,
                        TiffDirectory& out);

// Fills page.description. A description outside the file is left empty: it must not cost the
// pixels.
void LoadTiffDescription(TiffFile& file, TiffDirectory& directory);

// Offsets of the directories below this one (SubIFDs), in their order. Throws kTiffDamaged.
void LoadSubIfds(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory,
                 std::vector<uint64_t>& out);

// Offset and byte count of `n` chunks from `first` on. Byte counts that are missing are those of
// uncompressed data, when it is uncompressed. Throws kTiffDamaged.
struct TiffChunk {
  uint64_t offset;
  uint64_t bytes;
};
void LoadTiffChunks(TiffFile& file, const TiffHeader& header, const TiffDirectory& directory,
                    uint64_t first, uint64_t n, std::vector<TiffChunk>& out);

}  // namespace tilecast
