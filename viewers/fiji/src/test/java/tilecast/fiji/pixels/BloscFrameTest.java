// SPDX-License-Identifier: MIT
// Damaged Blosc frames: an error, whatever is wrong. Good ones are read in test/viewers, from what numcodecs writes.

package tilecast.fiji.pixels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class BloscFrameTest {
  /** A frame whose bytes are stored as they are. */
  private static byte[] stored(int flags, byte... data) {
    return ByteBuffer.allocate(16 + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(new byte[] {2, 1, (byte) flags, 2})
        .putInt(data.length)
        .putInt(data.length)
        .putInt(16 + data.length)
        .put(data)
        .array();
  }

  @Test
  void storedBytesAreCopied() throws IOException {
    assertArrayEquals(new byte[] {1, 2, 3}, BloscFrame.decode(stored(2, (byte) 1, (byte) 2, (byte) 3), 3));
  }

  @Test
  void theArrayIsBelievedBeforeTheFrame() {
    IOException error = assertThrows(IOException.class, () -> BloscFrame.decode(stored(2, (byte) 1), 9));
    assertEquals("a Blosc frame of 1 bytes where 9 belong", error.getMessage());
  }

  @Test
  void damagedFramesAreErrors() {
    Random random = new Random(3);
    for (int i = 0; i < 20_000; i++) {
      byte[] frame = new byte[16 + random.nextInt(64)];
      random.nextBytes(frame);
      ByteBuffer header = ByteBuffer.wrap(frame).order(ByteOrder.LITTLE_ENDIAN);
      header.putInt(4, 1000);
      if (random.nextBoolean()) header.putInt(8, 1 + random.nextInt(2000));
      try {
        BloscFrame.decode(frame, 1000);
      } catch (IOException e) {
        // Anything else fails the test.
      }
    }
  }
}
