// SPDX-License-Identifier: MIT
// Decodes Blosc 1 frames (c-blosc's README_CHUNK_FORMAT.rst): LZ4, Zstandard, zlib and Snappy inside, byte and bit shuffle.

package tilecast.fiji.pixels;

import io.airlift.compress.Decompressor;
import io.airlift.compress.lz4.Lz4Decompressor;
import io.airlift.compress.snappy.SnappyDecompressor;
import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

final class BloscFrame {
  private static final int HEADER = 16;
  private static final int MAX_SPLITS = 16;
  private static final int MIN_SPLIT = 128;

  private final byte[] frame;
  private final ByteBuffer header;
  private final int flags;
  private final int typeSize;
  private final int blockSize;
  private final byte[] out;

  private BloscFrame(byte[] frame, int expected) throws IOException {
    if (frame.length < HEADER) throw new IOException("a Blosc frame of " + frame.length + " bytes");
    this.frame = frame;
    header = ByteBuffer.wrap(frame).order(ByteOrder.LITTLE_ENDIAN);
    flags = frame[2] & 0xff;
    typeSize = Math.max(1, frame[3] & 0xff);
    int bytes = header.getInt(4);
    blockSize = header.getInt(8);
    // What the array says is believed before what the frame says: memory is asked for by it.
    if (bytes != expected) throw new IOException("a Blosc frame of " + bytes + " bytes where " + expected + " belong");
    if (blockSize < 1 && bytes > 0) throw new IOException("a Blosc frame with blocks of " + blockSize + " bytes");
    out = new byte[bytes];
  }

  static byte[] decode(byte[] frame, int expected) throws IOException {
    BloscFrame decoder = new BloscFrame(frame, expected);
    try {
      decoder.decode();
    } catch (IndexOutOfBoundsException e) {
      throw new IOException("a damaged Blosc frame", e);
    }
    return decoder.out;
  }

  private void decode() throws IOException {
    if ((flags & 2) != 0) {
      System.arraycopy(frame, HEADER, out, 0, out.length);
      return;
    }
    boolean bytesShuffled = (flags & 1) != 0 && typeSize > 1;
    boolean bitsShuffled = (flags & 4) != 0;
    byte[] shuffled = bytesShuffled || bitsShuffled ? new byte[Math.min(blockSize, out.length)] : null;
    for (int block = 0, at = 0; at < out.length; block++, at += blockSize) {
      int size = Math.min(blockSize, out.length - at);
      int start = header.getInt(HEADER + 4 * block);
      if (shuffled == null) block(start, out, at, size);
      else {
        block(start, shuffled, 0, size);
        if (bytesShuffled) unshuffle(shuffled, at, size);
        else unshuffleBits(shuffled, at, size);
      }
    }
  }

  private void block(int start, byte[] into, int at, int size) throws IOException {
    boolean isSplit =
        (flags & 0x10) == 0 && size == blockSize && typeSize <= MAX_SPLITS && blockSize / typeSize >= MIN_SPLIT && size % typeSize == 0;
    int parts = isSplit ? typeSize : 1;
    int partSize = size / parts;
    for (int part = 0, from = start; part < parts; part++) {
      int compressed = header.getInt(from);
      from += 4;
      if (compressed < 0 || compressed > frame.length - from) throw new IOException("a damaged Blosc frame");
      if (compressed == partSize) System.arraycopy(frame, from, into, at + part * partSize, partSize);
      else decompress(flags >> 5, frame, from, compressed, into, at + part * partSize, partSize);
      from += compressed;
    }
  }

  private static void decompress(int format, byte[] in, int from, int length, byte[] into, int at, int size) throws IOException {
    switch (format) {
      case 1:
        decompress(new Lz4Decompressor(), in, from, length, into, at, size);
        break;
      case 2:
        decompress(new SnappyDecompressor(), in, from, length, into, at, size);
        break;
      case 3:
        inflate(new Inflater(), in, from, length, into, at, size);
        break;
      case 4:
        decompress(new ZstdDecompressor(), in, from, length, into, at, size);
        break;
      default:
        throw new IOException("Blosc's compressor BloscLZ is not read by this viewer");
    }
  }

  /** Exactly {@code size} bytes, or an error. */
  static void decompress(Decompressor decompressor, byte[] in, int from, int length, byte[] into, int at, int size) throws IOException {
    try {
      int got = decompressor.decompress(in, from, length, into, at, size);
      if (got != size) throw new IOException("a compressed part of " + got + " bytes where " + size + " belong");
    } catch (RuntimeException e) {
      throw new IOException("a damaged compressed part: " + e.getMessage(), e);
    }
  }

  static void inflate(Inflater inflater, byte[] in, int from, int length, byte[] into, int at, int size) throws IOException {
    try {
      inflater.setInput(in, from, length);
      int got = 0;
      while (got < size) {
        int part = inflater.inflate(into, at + got, size - got);
        if (part == 0) throw new IOException("a compressed part of " + got + " bytes where " + size + " belong");
        got += part;
      }
    } catch (DataFormatException e) {
      throw new IOException("a damaged compressed part: " + e.getMessage(), e);
    } finally {
      inflater.end();
    }
  }

  private void unshuffle(byte[] in, int at, int size) {
    int count = size / typeSize;
    for (int part = 0; part < typeSize; part++) for (int i = 0; i < count; i++) out[at + i * typeSize + part] = in[part * count + i];
    System.arraycopy(in, count * typeSize, out, at + count * typeSize, size - count * typeSize);
  }

  /** Rows of one bit each, for the lowest bit of the lowest byte first. Only where the count divides by 8, as in c-blosc. */
  private void unshuffleBits(byte[] in, int at, int size) {
    int count = size / typeSize;
    if (count % 8 != 0) {
      System.arraycopy(in, 0, out, at, size);
      return;
    }
    int row = count / 8;
    for (int part = 0; part < typeSize; part++) {
      for (int i = 0; i < count; i++) {
        int value = 0;
        for (int bit = 0; bit < 8; bit++) value |= (in[(part * 8 + bit) * row + (i >> 3)] >> (i & 7) & 1) << bit;
        out[at + i * typeSize + part] = (byte) value;
      }
    }
    System.arraycopy(in, count * typeSize, out, at + count * typeSize, size - count * typeSize);
  }
}
