// SPDX-License-Identifier: MIT
// Labels drawn so that neighbours differ, also beyond the 255 colours of a table: the values stay what they are.

package tilecast.fiji.view;

import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import ij.process.ShortProcessor;
import java.awt.Image;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.awt.image.IndexColorModel;

final class LabelProcessors {
  private LabelProcessors() {}

  /** Of short[] or float[]: 32-bit labels are floats in ImageJ. */
  static ImageProcessor of(int width, int height, Object pixels) {
    return pixels instanceof short[] ? new Shorts(width, height, (short[]) pixels) : new Floats(width, height, (float[]) pixels);
  }

  private interface Values {
    int at(int index);
  }

  /** The 8-bit picture: 0 is background, labels go round through the other 255 entries. */
  private static BufferedImage picture(ImageProcessor labels, Values values) {
    IndexColorModel colors = (IndexColorModel) labels.getColorModel();
    BufferedImage image = new BufferedImage(labels.getWidth(), labels.getHeight(), BufferedImage.TYPE_BYTE_INDEXED, colors);
    byte[] indexes = ((DataBufferByte) image.getRaster().getDataBuffer()).getData();
    for (int i = 0; i < indexes.length; i++) {
      int label = values.at(i);
      indexes[i] = (byte) (label == 0 ? 0 : Math.floorMod(label - 1, 255) + 1);
    }
    return image;
  }

  private static final class Shorts extends ShortProcessor {
    Shorts(int width, int height, short[] pixels) {
      super(width, height, pixels, null);
    }

    @Override
    public Image createImage() {
      return getBufferedImage();
    }

    @Override
    public BufferedImage getBufferedImage() {
      short[] labels = (short[]) getPixels();
      return picture(this, i -> labels[i] & 0xffff);
    }
  }

  private static final class Floats extends FloatProcessor {
    Floats(int width, int height, float[] pixels) {
      super(width, height, pixels, null);
    }

    @Override
    public Image createImage() {
      return getBufferedImage();
    }

    @Override
    public BufferedImage getBufferedImage() {
      float[] labels = (float[]) getPixels();
      return picture(this, i -> (int) labels[i]);
    }
  }
}
