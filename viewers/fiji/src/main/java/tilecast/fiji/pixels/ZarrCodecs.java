// SPDX-License-Identifier: MIT
// The bytes-to-bytes codecs of a Zarr array, and its byte order.

package tilecast.fiji.pixels;

import io.airlift.compress.lz4.Lz4Decompressor;
import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import java.util.zip.Inflater;
import tilecast.fiji.wire.Fields;

final class ZarrCodecs {
  /** In the order in which they were applied. */
  private final List<String> names = new ArrayList<>();

  ByteOrder order = ByteOrder.LITTLE_ENDIAN;
  /** Configuration of sharding_indexed; null without. */
  Fields sharding;

  /** Of version 3's {@code codecs}. */
  static ZarrCodecs of(List<?> codecs) throws IOException {
    ZarrCodecs found = new ZarrCodecs();
    for (Object value : codecs) {
      Fields codec = Fields.of(value, "codecs");
      String name = codec.string("name").toLowerCase(Locale.ROOT);
      switch (name) {
        case "bytes":
          if (codec.optionalObject("configuration").string("endian", "little").equals("big")) found.order = ByteOrder.BIG_ENDIAN;
          break;
        case "sharding_indexed":
          found.sharding = codec.object("configuration");
          break;
        case "blosc":
        case "zstd":
        case "gzip":
        case "crc32c":
          found.names.add(name);
          break;
        default:
          throw new IOException("the codec " + name + " is not read by this viewer");
      }
    }
    return found;
  }

  /** Of version 2's {@code compressor}. */
  static ZarrCodecs ofV2(Fields array) throws IOException {
    ZarrCodecs found = new ZarrCodecs();
    if (array.has("filters") && !array.list("filters").isEmpty()) throw new IOException("filters are not read by this viewer");
    if (!array.string("order", "C").equals("C")) throw new IOException("chunks in Fortran order are not read by this viewer");
    if (array.string("dtype").startsWith(">")) found.order = ByteOrder.BIG_ENDIAN;
    if (!array.has("compressor")) return found;
    String id = array.object("compressor").string("id");
    if (!id.equals("blosc") && !id.equals("zlib") && !id.equals("gzip") && !id.equals("zstd") && !id.equals("lz4"))
      throw new IOException("the compressor " + id + " is not read by this viewer");
    found.names.add(id);
    return found;
  }

  /** Bytes that checksums add to {@code size}: a shard's index has no other codecs. */
  int stored(int size) throws IOException {
    for (String name : names)
      if (name.equals("crc32c")) size += 4;
      else throw new IOException("a compressed shard index is not read by this viewer");
    return size;
  }

  /** A chunk of {@code size} bytes. */
  byte[] decode(byte[] chunk, int size) throws IOException {
    for (int i = names.size(); i-- > 0; ) chunk = decode(names.get(i), chunk, size);
    if (chunk.length != size) throw new IOException("a chunk of " + chunk.length + " bytes where " + size + " belong");
    return chunk;
  }

  private static byte[] decode(String name, byte[] chunk, int size) throws IOException {
    byte[] out = name.equals("crc32c") || name.equals("blosc") ? null : new byte[size];
    switch (name) {
      case "blosc":
        return BloscFrame.decode(chunk, size);
      case "zstd":
        BloscFrame.decompress(new ZstdDecompressor(), chunk, 0, chunk.length, out, 0, size);
        return out;
      case "lz4":
        // numcodecs puts the size in front.
        if (chunk.length < 4) throw new IOException("a damaged LZ4 chunk");
        BloscFrame.decompress(new Lz4Decompressor(), chunk, 4, chunk.length - 4, out, 0, size);
        return out;
      case "zlib":
        BloscFrame.inflate(new Inflater(), chunk, 0, chunk.length, out, 0, size);
        return out;
      case "gzip":
        try (DataInputStream in = new DataInputStream(new GZIPInputStream(new ByteArrayInputStream(chunk)))) {
          in.readFully(out);
        }
        return out;
      default:
        if (chunk.length < 4) throw new IOException("a chunk without its checksum");
        byte[] data = java.util.Arrays.copyOf(chunk, chunk.length - 4);
        int stored = java.nio.ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN).getInt(data.length);
        if (crc32c(data) != stored) throw new IOException("a chunk whose checksum is wrong");
        return data;
    }
  }

  /** Castagnoli's polynomial, bit by bit: it guards the index of a shard, some kilobytes. */
  private static int crc32c(byte[] data) {
    int crc = -1;
    for (byte b : data) {
      crc ^= b & 0xff;
      for (int i = 0; i < 8; i++) crc = crc >>> 1 ^ (0x82f63b78 & -(crc & 1));
    }
    return ~crc;
  }
}
