// SPDX-License-Identifier: MIT
// The stack that ImageJ sees: planes become arrays when they are looked at.

package tilecast.fiji.view;

import ij.IJ;
import ij.VirtualStack;
import ij.process.ByteProcessor;
import ij.process.ColorProcessor;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import ij.process.ShortProcessor;
import java.lang.ref.SoftReference;
import java.util.LinkedHashMap;
import java.util.Map;
import tilecast.fiji.model.WindowModel;
import tilecast.fiji.pixels.Plane;
import tilecast.fiji.wire.WireException;

final class PlaneStack extends VirtualStack {
  /** Converted planes that stay at hand: those on screen, and some to go back to. */
  private static final int CACHED = 16;

  private final WindowModel model;
  private final WindowModel.Layout layout;
  private volatile boolean hasToldUnreadable;

  private static final class Converted {
    final Plane plane;
    /** Soft: arrays are made again when the heap is short. */
    final SoftReference<Object> pixels;

    Converted(Plane plane, Object pixels) {
      this.plane = plane;
      this.pixels = new SoftReference<>(pixels);
    }
  }

  private final Map<Integer, Converted> cache =
      new LinkedHashMap<Integer, Converted>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, Converted> eldest) {
          return size() > CACHED;
        }
      };

  PlaneStack(WindowModel model, WindowModel.Layout layout) {
    super(layout.width, layout.height);
    this.model = model;
    this.layout = layout;
  }

  @Override
  public int size() {
    return layout.size();
  }

  @Override
  public int getSize() {
    return size();
  }

  @Override
  public int getBitDepth() {
    return layout.bits;
  }

  @Override
  public String getSliceLabel(int index) {
    return model.label(layout.position(index));
  }

  @Override
  public Object getPixels(int index) {
    return getProcessor(index).getPixels();
  }

  /** A plane that cannot be read (its store has gone) is blank, and said so once in the log. */
  @Override
  public ImageProcessor getProcessor(int index) {
    if (index < 1 || index > size()) throw new IllegalArgumentException("no plane " + index + " in a stack of " + size());
    try {
      return read(index);
    } catch (WireException e) {
      if (!hasToldUnreadable) IJ.log("tilecast: " + model.title + ": planes cannot be read: " + e.getMessage());
      hasToldUnreadable = true;
      return processor(blank());
    }
  }

  /** Throws a WireException for a plane that cannot be read. */
  ImageProcessor read(int index) {
    return processor(pixels(index));
  }

  private ImageProcessor processor(Object pixels) {
    int width = layout.width;
    int height = layout.height;
    switch (layout.bits) {
      case 8:
        return new ByteProcessor(width, height, (byte[]) pixels, null);
      case 16:
        return model.isLabels ? LabelProcessors.of(width, height, pixels) : new ShortProcessor(width, height, (short[]) pixels, null);
      case 24:
        return new ColorProcessor(width, height, (int[]) pixels);
      default:
        return model.isLabels ? LabelProcessors.of(width, height, pixels) : new FloatProcessor(width, height, (float[]) pixels, null);
    }
  }

  private synchronized Object pixels(int index) {
    Plane plane = model.plane(layout.position(index));
    if (plane == null) return blank();
    Converted known = cache.get(index);
    if (known != null && known.plane == plane) {
      Object pixels = known.pixels.get();
      if (pixels != null) return pixels;
    }
    Object pixels = plane.toImageJ(layout.bits);
    // Replaced or forgotten between the two calls.
    if (pixels == null) return blank();
    if (plane.width != layout.width || plane.height != layout.height) pixels = pad(plane, pixels);
    cache.put(index, new Converted(plane, pixels));
    return pixels;
  }

  private Object blank() {
    int count = layout.width * layout.height;
    switch (layout.bits) {
      case 8:
        return new byte[count];
      case 16:
        return new short[count];
      case 24:
        return new int[count];
      default:
        return new float[count];
    }
  }

  /** Zeros to the right and below: the window has the size of its largest plane. */
  private Object pad(Plane plane, Object pixels) {
    Object padded = blank();
    for (int y = 0; y < plane.height; y++) System.arraycopy(pixels, y * plane.width, padded, y * layout.width, plane.width);
    return padded;
  }
}
