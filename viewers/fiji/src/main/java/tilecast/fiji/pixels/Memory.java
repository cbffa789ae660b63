// SPDX-License-Identifier: MIT
// Memory outside the heap that is given back when we say so, not when the collector finds out.

package tilecast.fiji.pixels;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import tilecast.fiji.wire.WireException;

final class Memory {
  private Memory() {}

  static ByteBuffer allocate(int bytes) {
    try {
      return ByteBuffer.allocateDirect(bytes);
    } catch (OutOfMemoryError e) {
      throw new WireException(
          "Java's limit of memory outside its heap is reached (-XX:MaxDirectMemorySize raises it): no " + bytes + " bytes for a plane", e);
    }
  }

  /** Unmaps or frees at once. Whoever calls makes sure that nobody looks at the buffer any more: that would end the process. */
  static void free(ByteBuffer buffer) {
    if (!buffer.isDirect()) return;
    try {
      if (System.getProperty("java.version").startsWith("1.")) {
        Method cleaner = buffer.getClass().getMethod("cleaner");
        cleaner.setAccessible(true);
        Object found = cleaner.invoke(buffer);
        Method clean = found.getClass().getMethod("clean");
        clean.setAccessible(true);
        clean.invoke(found);
      } else {
        Field unsafe = Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe");
        unsafe.setAccessible(true);
        unsafe.get(null).getClass().getMethod("invokeCleaner", ByteBuffer.class).invoke(unsafe.get(null), buffer);
      }
    } catch (ReflectiveOperationException | RuntimeException e) {
      // A JVM without either: the collector does it, later.
    }
  }
}
