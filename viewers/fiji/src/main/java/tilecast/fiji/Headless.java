// SPDX-License-Identifier: MIT
// ImageJ without a display. No class of ImageJ may be loaded before ij1-patcher has changed them: nothing here names one.

package tilecast.fiji;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;

final class Headless {
  private Headless() {}

  /** With ij1-patcher on the class path ImageJ's frames exist without a display; without it there is no ROI Manager. */
  static void start() throws IOException {
    System.setProperty("java.awt.headless", "true");
    try {
      Class.forName("net.imagej.patcher.LegacyInjector").getMethod("preinit").invoke(null);
    } catch (ClassNotFoundException e) {
      System.err.println("tilecast-fiji: no ij1-patcher on the class path: regions are drawn, but not listed in a ROI Manager");
    } catch (InvocationTargetException e) {
      throw new IOException("ij1-patcher does not work: " + e.getCause(), e);
    } catch (ReflectiveOperationException e) {
      throw new IOException("ij1-patcher does not work: " + e, e);
    }
  }
}
