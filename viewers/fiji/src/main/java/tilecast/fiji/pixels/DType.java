// SPDX-License-Identifier: MIT
// The pixel types of the wire and how each becomes what ImageJ shows.

package tilecast.fiji.pixels;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;
import tilecast.fiji.wire.WireException;

public enum DType {
  BOOL(1, 8),
  UINT8(1, 8),
  INT8(1, 32),
  UINT16(2, 16),
  INT16(2, 32),
  UINT32(4, 32),
  INT32(4, 32),
  FLOAT32(4, 32),
  FLOAT64(8, 32);

  public final int bytes;
  /** Bits of the ImageJ type that holds its values: 8, 16 (both unsigned) or 32 (float). */
  public final int bits;

  DType(int bytes, int bits) {
    this.bytes = bytes;
    this.bits = bits;
  }

  /** By numpy's name. Anything else is refused, before its bytes are looked at: an "object" array holds pointers. */
  public static DType of(String name) {
    for (DType type : values()) if (type.wireName().equals(name)) return type;
    throw new WireException("dtype: expected bool, uint8, int8, uint16, int16, uint32, int32, float32 or float64, and got \"" + name + "\"");
  }

  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }

  public boolean isInteger() {
    return this != BOOL && this != FLOAT32 && this != FLOAT64;
  }

  /** How the values are changed for display; null when they are not. */
  public String note() {
    switch (this) {
      case BOOL:
        return "bool shown as 0 and 255";
      case INT8:
      case INT16:
        return wireName() + " shown as 32-bit float";
      case UINT32:
      case INT32:
        return wireName() + " shown as 32-bit float, exact up to 16777216";
      case FLOAT64:
        return "float64 shown as 32-bit float";
      default:
        return null;
    }
  }

  /** One value, as a double. */
  public double get(ByteBuffer pixels, int index) {
    switch (this) {
      case BOOL:
        return pixels.get(index) == 0 ? 0 : 255;
      case UINT8:
        return pixels.get(index) & 0xff;
      case INT8:
        return pixels.get(index);
      case UINT16:
        return pixels.getShort(index * 2) & 0xffff;
      case INT16:
        return pixels.getShort(index * 2);
      case UINT32:
        return pixels.getInt(index * 4) & 0xffffffffL;
      case INT32:
        return pixels.getInt(index * 4);
      case FLOAT32:
        return pixels.getFloat(index * 4);
      default:
        return pixels.getDouble(index * 8);
    }
  }

  /** A new array of {@code count} values for an image of {@code bits}: byte[], short[] or float[]. {@code bits} is at least this type's. */
  public Object convert(ByteBuffer source, int count, int bits) {
    ByteBuffer pixels = source.duplicate().order(ByteOrder.nativeOrder());
    pixels.position(0);
    if (bits == 8) {
      byte[] values = new byte[count];
      pixels.get(values);
      if (this == BOOL) for (int i = 0; i < count; i++) values[i] = (byte) (values[i] == 0 ? 0 : 255);
      return values;
    }
    if (bits == 16) {
      short[] values = new short[count];
      if (this == UINT16) pixels.asShortBuffer().get(values);
      else for (int i = 0; i < count; i++) values[i] = (short) get(pixels, i);
      return values;
    }
    float[] values = new float[count];
    if (this == FLOAT32) pixels.asFloatBuffer().get(values);
    else for (int i = 0; i < count; i++) values[i] = (float) get(pixels, i);
    return values;
  }
}
