// SPDX-License-Identifier: MIT
// Reads planes of Zarr arrays on disk, versions 2 and 3, with shards: what falls out of memory is read back with it.

package tilecast.fiji.pixels;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.Json;
import tilecast.fiji.wire.WireException;

/** The readers on Maven Central bring JNI, cloud clients or JSON libraries of several megabytes; this needs LZ4 and Zstandard only. */
final class ZarrArray {
  private static final int MAX_CHUNK = 1 << 30;

  private final Path path;
  private final int[] shape;
  /** Of a file: with shards, the shard's. */
  private final int[] chunk;
  private final DType dtype;
  private final double fill;
  private final ZarrCodecs codecs;
  private final String separator;
  private final boolean hasPrefix;

  private ZarrArray(Path path, Fields meta, boolean isV2) throws IOException {
    this.path = path;
    shape = meta.integers("shape");
    if (isV2) {
      chunk = meta.integers("chunks");
      dtype = v2Type(meta.string("dtype"));
      codecs = ZarrCodecs.ofV2(meta);
      separator = meta.string("dimension_separator", ".");
      hasPrefix = false;
    } else {
      chunk = meta.object("chunk_grid").object("configuration").integers("chunk_shape");
      dtype = DType.of(meta.string("data_type"));
      codecs = ZarrCodecs.of(meta.list("codecs"));
      Fields keys = meta.object("chunk_key_encoding");
      hasPrefix = keys.string("name").equals("default");
      separator = keys.optionalObject("configuration").string("separator", hasPrefix ? "/" : ".");
    }
    fill = meta.get("fill_value") instanceof Number ? ((Number) meta.get("fill_value")).doubleValue() : "NaN".equals(meta.get("fill_value")) ? Double.NaN : 0;
    if (chunk.length != shape.length || shape.length < 2) throw new IOException(path + ": an array of " + shape.length + " axes");
    chunkBytes(chunk);
  }

  static ZarrArray open(Path path) throws IOException {
    try {
      Path v3 = path.resolve("zarr.json");
      boolean isV2 = !Files.exists(v3);
      byte[] meta = Files.readAllBytes(isV2 ? path.resolve(".zarray") : v3);
      return new ZarrArray(path, Fields.of(Json.parse(meta), "zarr"), isV2);
    } catch (NoSuchFileException e) {
      throw new FileNotFoundException("there is no Zarr array");
    } catch (WireException e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  private static DType v2Type(String name) throws IOException {
    String[] codes = {"b1", "u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"};
    int index = Arrays.asList(codes).indexOf(name.replaceFirst("^[<>|]", ""));
    if (index < 0) throw new IOException("the dtype " + name + " is not read by this viewer");
    return DType.values()[index];
  }

  private int chunkBytes(int[] sizes) throws IOException {
    long bytes = dtype.bytes;
    for (int size : sizes) {
      if (size < 1 || bytes > MAX_CHUNK) throw new IOException("chunks of " + Arrays.toString(sizes));
      bytes *= size;
    }
    if (bytes > MAX_CHUNK && codecs.sharding == null) throw new IOException("chunks of " + bytes + " bytes");
    return (int) Math.min(bytes, Integer.MAX_VALUE);
  }

  /** The plane at {@code index} of the leading axes, in native byte order. */
  ByteBuffer readPlane(int[] index, int height, int width, DType expected) throws IOException {
    int rank = shape.length;
    if (index.length != rank - 2) throw new IOException("an index of " + index.length + " for an array of " + rank + " axes");
    for (int i = 0; i < index.length; i++)
      if (index[i] < 0 || index[i] >= shape[i]) throw new IOException("the index " + Arrays.toString(index) + " is not in an array of " + Arrays.toString(shape));
    if (shape[rank - 2] != height || shape[rank - 1] != width || dtype != expected)
      throw new IOException(
          "planes of " + shape[rank - 2] + " x " + shape[rank - 1] + " " + dtype.wireName() + ", and not " + height + " x " + width + " " + expected.wireName());
    ByteBuffer plane = Memory.allocate(height * width * dtype.bytes).order(ByteOrder.nativeOrder());
    try {
      if (fill != 0) fill(plane);
      int[] cell = new int[rank];
      for (int i = 0; i < index.length; i++) cell[i] = index[i] / chunk[i];
      for (int y = 0; y * chunk[rank - 2] < height; y++) {
        for (int x = 0; x * chunk[rank - 1] < width; x++) {
          cell[rank - 2] = y;
          cell[rank - 1] = x;
          readFile(cell, index, plane);
        }
      }
      return plane;
    } catch (IOException | RuntimeException e) {
      Memory.free(plane);
      throw e;
    }
  }

  private void fill(ByteBuffer plane) {
    for (int i = 0; i < plane.capacity(); i += dtype.bytes) {
      if (dtype == DType.FLOAT64) plane.putDouble(i, fill);
      else if (dtype == DType.FLOAT32) plane.putFloat(i, (float) fill);
      else if (dtype.bytes == 4) plane.putInt(i, (int) (long) fill);
      else if (dtype.bytes == 2) plane.putShort(i, (short) fill);
      else plane.put(i, (byte) fill);
    }
  }

  private Path file(int[] cell) {
    StringBuilder key = new StringBuilder(hasPrefix ? "c" : "");
    for (int i = 0; i < cell.length; i++) key.append(i > 0 || hasPrefix ? separator : "").append(cell[i]);
    return path.resolve(key.toString());
  }

  /** A chunk that is not there is all fill value. */
  private void readFile(int[] cell, int[] index, ByteBuffer plane) throws IOException {
    int[] origin = new int[cell.length];
    for (int i = 0; i < cell.length; i++) origin[i] = cell[i] * chunk[i];
    try (FileChannel file = FileChannel.open(file(cell), StandardOpenOption.READ)) {
      if (codecs.sharding != null) {
        readShard(file, origin, index, plane);
        return;
      }
      if (file.size() > MAX_CHUNK) throw new IOException("a chunk file of " + file.size() + " bytes");
      place(codecs.decode(read(file, 0, (int) file.size()), chunkBytes(chunk)), codecs.order, origin, chunk, index, plane);
    } catch (NoSuchFileException e) {
      // Left out when it was written.
    }
  }

  private static byte[] read(FileChannel file, long at, int size) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(size);
    while (bytes.hasRemaining()) if (file.read(bytes, at + bytes.position()) < 0) throw new IOException("a file that is cut off");
    return bytes.array();
  }

  private void readShard(FileChannel file, int[] origin, int[] index, ByteBuffer plane) throws IOException {
    int[] inner = codecs.sharding.integers("chunk_shape");
    ZarrCodecs innerCodecs = ZarrCodecs.of(codecs.sharding.list("codecs"));
    ZarrCodecs indexCodecs = ZarrCodecs.of(codecs.sharding.list("index_codecs"));
    if (innerCodecs.sharding != null || inner.length != chunk.length) throw new IOException("shards in shards are not read by this viewer");
    int[] count = new int[chunk.length];
    long entries = 1;
    for (int i = 0; i < count.length; i++) {
      if (inner[i] < 1 || chunk[i] % inner[i] != 0) throw new IOException("inner chunks of " + Arrays.toString(inner));
      count[i] = chunk[i] / inner[i];
      entries *= count[i];
    }
    if (entries > 1 << 24) throw new IOException("a shard of " + entries + " chunks");
    int indexBytes = (int) entries * 16;
    int stored = indexCodecs.stored(indexBytes);
    boolean isAtStart = codecs.sharding.string("index_location", "end").equals("start");
    ByteBuffer table =
        ByteBuffer.wrap(indexCodecs.decode(read(file, isAtStart ? 0 : file.size() - stored, stored), indexBytes)).order(indexCodecs.order);
    int size = chunkBytes(inner);
    for (int entry = 0; entry < entries; entry++) {
      int[] at = origin.clone();
      for (int i = count.length, rest = entry; i-- > 0; rest /= count[i]) at[i] += rest % count[i] * inner[i];
      if (!holds(at, inner, index)) continue;
      long offset = table.getLong(entry * 16);
      long length = table.getLong(entry * 16 + 8);
      if (offset == -1 && length == -1) continue;
      if (offset < 0 || length < 0 || length > MAX_CHUNK || offset + length > file.size()) throw new IOException("a damaged shard index");
      place(innerCodecs.decode(read(file, offset, (int) length), size), innerCodecs.order, at, inner, index, plane);
    }
  }

  /** Whether a chunk has a part of the plane; one beyond the array's edge has not. */
  private boolean holds(int[] origin, int[] sizes, int[] index) {
    for (int i = 0; i < index.length; i++) if (index[i] < origin[i] || index[i] >= origin[i] + sizes[i]) return false;
    int rank = shape.length;
    return origin[rank - 2] < shape[rank - 2] && origin[rank - 1] < shape[rank - 1];
  }

  private void place(byte[] data, ByteOrder order, int[] origin, int[] sizes, int[] index, ByteBuffer plane) {
    int rank = shape.length;
    if (order != ByteOrder.nativeOrder()) swap(data);
    long before = 0;
    for (int i = 0; i < index.length; i++) before = before * sizes[i] + index[i] - origin[i];
    int rows = Math.min(sizes[rank - 2], shape[rank - 2] - origin[rank - 2]);
    int columns = Math.min(sizes[rank - 1], shape[rank - 1] - origin[rank - 1]);
    for (int y = 0; y < rows; y++) {
      long from = ((before * sizes[rank - 2] + y) * sizes[rank - 1]) * dtype.bytes;
      plane.position(((origin[rank - 2] + y) * shape[rank - 1] + origin[rank - 1]) * dtype.bytes);
      plane.put(data, (int) from, columns * dtype.bytes);
    }
    plane.position(0);
  }

  private void swap(byte[] data) {
    for (int i = 0; i + dtype.bytes <= data.length; i += dtype.bytes) {
      for (int a = i, b = i + dtype.bytes - 1; a < b; a++, b--) {
        byte value = data[a];
        data[a] = data[b];
        data[b] = value;
      }
    }
  }
}
