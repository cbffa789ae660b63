// SPDX-License-Identifier: MIT
// Labels drawn so that neighbours differ, also beyond the 255 colours of a table: the values stay what they are.

package tilecast.fiji.view;

import ij.process.ShortProcessor;
import java.awt.Image;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.awt.image.IndexColorModel;

final class LabelProcessor extends ShortProcessor {
  LabelProcessor(int width, int height, short[] pixels) {
    super(width, height, pixels, null);
  }

  /** The 8-bit picture: 0 is background, labels go round through the other 255 entries. */
  private BufferedImage picture() {
    BufferedImage image =
        new BufferedImage(getWidth(), getHeight(), BufferedImage.TYPE_BYTE_INDEXED, (IndexColorModel) getColorModel());
    byte[] indexes = ((DataBufferByte) image.getRaster().getDataBuffer()).getData();
    short[] labels = (short[]) getPixels();
    for (int i = 0; i < labels.length; i++) {
      int label = labels[i] & 0xffff;
      indexes[i] = (byte) (label == 0 ? 0 : (label - 1) % 255 + 1);
    }
    return image;
  }

  @Override
  public Image createImage() {
    return picture();
  }

  @Override
  public BufferedImage getBufferedImage() {
    return picture();
  }
}
