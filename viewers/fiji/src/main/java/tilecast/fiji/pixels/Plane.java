// SPDX-License-Identifier: MIT
// One plane that was received: where its pixels are now, and how they become an ImageJ array.

package tilecast.fiji.pixels;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import tilecast.fiji.wire.WireException;

public final class Plane {
  public final int width;
  public final int height;
  /** 3 for RGB, else 1. */
  public final int samples;

  public final DType dtype;
  private final StoredPlane store;
  private final PlaneMemory memory;

  // Guarded by this: nobody reads pixels while they are let go of.
  private ByteBuffer pixels;
  private long charged;
  private boolean forgotten;

  /** Set by whoever shows it: planes not looked at for longest go first. */
  volatile long lastLook;

  Plane(int width, int height, int samples, DType dtype, StoredPlane store, PlaneMemory memory) {
    this.width = width;
    this.height = height;
    this.samples = samples;
    this.dtype = dtype;
    this.store = store;
    this.memory = memory;
  }

  synchronized void hold(ByteBuffer buffer, long bytes) {
    pixels = buffer.order(ByteOrder.nativeOrder());
    charged = bytes;
  }

  public synchronized boolean isResident() {
    return pixels != null;
  }

  boolean hasStore() {
    return store != null;
  }

  /** Lets go of the pixels; the bytes that became free. */
  synchronized long drop() {
    if (pixels == null) return 0;
    Memory.free(pixels);
    pixels = null;
    long bytes = charged;
    charged = 0;
    return bytes;
  }

  /** For good: a plane that another one replaced. */
  public void forget() {
    synchronized (this) {
      forgotten = true;
    }
    memory.forget(this);
  }

  /** The pixels as ImageJ wants them: byte[], short[], float[], or int[] for RGB (bits 24). Null when the plane is gone. */
  public synchronized Object toImageJ(int bits) {
    lastLook = System.nanoTime();
    if (forgotten) return null;
    ByteBuffer source = pixels;
    if (source == null) {
      if (store == null) return null;
      source = store.read(this).order(ByteOrder.nativeOrder());
    }
    try {
      if (samples == 1) return dtype.convert(source, width * height, bits);
      int[] rgb = new int[width * height];
      for (int i = 0; i < rgb.length; i++)
        rgb[i] = (source.get(3 * i) & 0xff) << 16 | (source.get(3 * i + 1) & 0xff) << 8 | source.get(3 * i + 2) & 0xff;
      return rgb;
    } finally {
      if (source != pixels) Memory.free(source);
    }
  }

  /**
   * The range that a display should show: about 0.35 % of the pixels are outside, as ImageJ's Enhance Contrast has it. Of at most 65 536
   * pixels, which are spread evenly. Null for a plane of one value, or one that is not in memory.
   */
  public synchronized double[] contrast() {
    if (pixels == null || samples != 1) return null;
    int count = width * height;
    int step = Math.max(1, count / 65536);
    // Never a whole row apart: a column is no sample.
    if (step > 1 && width % step == 0) step++;
    double[] values = new double[(count + step - 1) / step];
    int n = 0;
    for (int i = 0; i < count; i += step) {
      double value = dtype.get(pixels, i);
      if (!Double.isNaN(value) && !Double.isInfinite(value)) values[n++] = value;
    }
    if (n == 0) return null;
    java.util.Arrays.sort(values, 0, n);
    double low = values[(int) (n * 0.00175)];
    double high = values[Math.min(n - 1, (int) Math.ceil(n * 0.99825) - 1)];
    if (low == high) {
      low = values[0];
      high = values[n - 1];
    }
    return low < high ? new double[] {low, high} : null;
  }

  static void checkSize(int[] shape) {
    boolean isPlane = shape.length == 2 || shape.length == 3 && shape[2] == 3;
    if (!isPlane) throw new WireException("shape: expected [y, x] or [y, x, 3], and got " + java.util.Arrays.toString(shape));
    for (int size : shape) if (size < 1) throw new WireException("shape: expected sizes of at least 1, and got " + java.util.Arrays.toString(shape));
    long pixels = (long) shape[0] * shape[1];
    if (pixels > Integer.MAX_VALUE / 8) throw new WireException("shape: ImageJ shows planes of up to " + Integer.MAX_VALUE / 8 + " pixels, and this has " + pixels);
  }
}
