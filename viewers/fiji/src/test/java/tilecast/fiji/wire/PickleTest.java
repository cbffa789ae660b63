// SPDX-License-Identifier: MIT
// The pickle codec: plain data both ways, classes never more than names, limits held.

package tilecast.fiji.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class PickleTest {
  private static byte[] hex(String text) {
    byte[] bytes = new byte[text.length() / 2];
    for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(text.substring(2 * i, 2 * i + 2), 16);
    return bytes;
  }

  @Test
  void readsWhatPythonWrites() {
    // pickle.dumps({"type": "ping"}) of CPython 3.11.
    assertEquals(Fields.map("type", "ping"), PickleReader.read(hex("80049512000000000000007d948c0474797065948c0470696e6794732e")));
    // pickle.dumps([1, -1, 300, 70000, 2**40, -2**70, 1.5, True, None, "é", (1, 2)], 4)
    assertEquals(
        Arrays.asList(1L, -1L, 300L, 70000L, 1L << 40, BigInteger.ONE.shiftLeft(70).negate(), 1.5, true, null, "é", Arrays.asList(1L, 2L)),
        PickleReader.read(
            hex("8004953d000000000000005d94284b014affffffff4d2c014a701101008a060000000000018a090000000000000000c0473ff8000000000000884e8c02c3a9944b014b028694652e")));
  }

  @Test
  void whatIsWrittenIsReadBack() {
    Map<String, Object> value =
        Fields.map("i", 5L, "negative", -70000L, "large", 1L << 45, "d", -0.5, "nan", Double.NaN, "s", "µm", "b", false, "n", null,
            "list", Arrays.asList(1L, "x", Fields.map("k", 2L)));
    assertEquals(value, PickleReader.read(PickleWriter.write(value)));
  }

  @Test
  void aClassIsANameAndNothingElse() {
    Opaque call = (Opaque) PickleReader.read(hex("80048c026f738c0673797374656d938c047472756585522e"));
    assertEquals("an object of the class os.system", call.toString());
    assertEquals(Arrays.asList("true"), call.arguments);
  }

  @Test
  void limitsAreHeld() {
    // Nested 200 deep.
    byte[] deep = new byte[403];
    Arrays.fill(deep, (byte) ']');
    Arrays.fill(deep, 203, 402, (byte) 'a');
    deep[0] = (byte) 0x80;
    deep[1] = 4;
    deep[402] = '.';
    assertEquals("pickle: nested more than 100 deep", assertThrows(WireException.class, () -> PickleReader.read(deep)).getMessage());
    // Each list holds the one before ten times: 10^9 values in some hundred bytes.
    ByteArrayOutputStream laughs = new ByteArrayOutputStream();
    laughs.write(0x80);
    laughs.write(4);
    laughs.write(']');
    laughs.write('q');
    laughs.write(0);
    for (int level = 1; level < 10; level++) {
      laughs.write(']');
      for (int i = 0; i < 10; i++) {
        laughs.write('h');
        laughs.write(level - 1);
        laughs.write('a');
      }
      laughs.write('q');
      laughs.write(level);
    }
    laughs.write('.');
    assertEquals("pickle: more than 4000000 values", assertThrows(WireException.class, () -> PickleReader.read(laughs.toByteArray())).getMessage());
  }

  @Test
  void randomBytesAreNeverMoreThanAnError() {
    Random random = new Random(7);
    byte[] good = PickleWriter.write(Fields.map("type", "navigate", "payload", Fields.map("axis_indices", Fields.map("z_index", 3L), "x", 1.5)));
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = good.clone();
      for (int changes = 1 + random.nextInt(4); changes-- > 0; ) bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      try {
        PickleReader.read(Arrays.copyOf(bytes, random.nextInt(4) == 0 ? random.nextInt(bytes.length) : bytes.length));
      } catch (WireException e) {
        // As it should be; anything else fails the test.
      }
    }
  }
}
