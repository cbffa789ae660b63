// SPDX-License-Identifier: MIT
// Writes plain data as a Python pickle of protocol 4.

package tilecast.fiji.wire;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

public final class PickleWriter {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private PickleWriter() {}

  public static byte[] write(Object value) {
    PickleWriter writer = new PickleWriter();
    writer.out.write(0x80);
    writer.out.write(4);
    writer.value(value);
    writer.out.write('.');
    return writer.out.toByteArray();
  }

  private void value(Object value) {
    if (value == null) out.write('N');
    else if (value instanceof Boolean) out.write((Boolean) value ? 0x88 : 0x89);
    else if (value instanceof Double || value instanceof Float) {
      out.write('G');
      long bits = Double.doubleToLongBits(((Number) value).doubleValue());
      for (int shift = 56; shift >= 0; shift -= 8) out.write((int) (bits >> shift));
    } else if (value instanceof Number) integer(new BigInteger(value.toString()));
    else if (value instanceof CharSequence) {
      byte[] bytes = value.toString().getBytes(StandardCharsets.UTF_8);
      out.write('X');
      length(bytes.length);
      out.write(bytes, 0, bytes.length);
    } else if (value instanceof Map) {
      out.write('}');
      for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
        value(entry.getKey());
        value(entry.getValue());
        out.write('s');
      }
    } else if (value instanceof List) {
      out.write(']');
      for (Object item : (List<?>) value) {
        value(item);
        out.write('a');
      }
    } else throw new IllegalArgumentException("not plain data: " + value.getClass());
  }

  private void integer(BigInteger value) {
    if (value.bitLength() < 32) {
      out.write('J');
      length(value.intValue());
      return;
    }
    byte[] bytes = value.toByteArray();
    out.write(0x8a);
    out.write(bytes.length);
    for (int i = bytes.length; i-- > 0; ) out.write(bytes[i]);
  }

  private void length(int value) {
    for (int shift = 0; shift < 32; shift += 8) out.write(value >> shift);
  }
}
