// SPDX-License-Identifier: MIT
// Lookup tables: by name, by what a channel is called, and one for labels.

package tilecast.fiji.view;

import ij.plugin.LutLoader;
import ij.process.LUT;
import java.awt.Color;
import java.awt.image.IndexColorModel;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

final class Luts {
  private static final Map<String, Color> COLORS = new HashMap<>();
  private static final Color[] CHANNELS = {
    Color.RED, Color.GREEN, Color.BLUE, Color.WHITE, Color.CYAN, Color.MAGENTA, Color.YELLOW
  };

  static {
    for (String gray : new String[] {"gray", "grays", "grey", "greys", "white"}) COLORS.put(gray, Color.WHITE);
    COLORS.put("red", Color.RED);
    COLORS.put("green", Color.GREEN);
    COLORS.put("blue", Color.BLUE);
    COLORS.put("cyan", Color.CYAN);
    COLORS.put("magenta", Color.MAGENTA);
    COLORS.put("yellow", Color.YELLOW);
    COLORS.put("orange", new Color(255, 128, 0));
    COLORS.put("bop blue", new Color(31, 168, 241));
    COLORS.put("bop orange", new Color(247, 173, 45));
    COLORS.put("bop purple", new Color(192, 77, 224));
  }

  private Luts() {}

  /** Null for a name that neither this viewer nor ImageJ knows. #rrggbb is a colour. */
  static LUT named(String name) {
    if (name == null) return null;
    if (name.matches("#[0-9a-fA-F]{6}")) return LUT.createLutFromColor(Color.decode(name));
    Color color = COLORS.get(name.toLowerCase(Locale.ROOT));
    if (color != null) return LUT.createLutFromColor(color);
    if (!name.matches("[A-Za-z0-9 ._-]{1,40}")) return null;
    IndexColorModel known = LutLoader.getLut(name.toLowerCase(Locale.ROOT));
    return known == null ? null : new LUT(known, 0, 255);
  }

  /** As the stain is usually coloured; else ImageJ's colours in their order. */
  static LUT ofChannel(String name, int channel) {
    String stain = name.toLowerCase(Locale.ROOT);
    Color color = CHANNELS[(channel - 1) % CHANNELS.length];
    if (stain.matches(".*(dapi|hoechst|draq).*")) color = Color.BLUE;
    else if (stain.matches(".*(gfp|fitc|488|alexa ?488|calcein|brdu).*")) color = Color.GREEN;
    else if (stain.matches(".*(rfp|tritc|cy3|mcherry|txred|texas|568|594|561|phalloidin|actin).*")) color = Color.RED;
    else if (stain.matches(".*(cy5|647|far.?red|mito).*")) color = Color.MAGENTA;
    else if (stain.matches(".*(cfp|er$|cona).*")) color = Color.CYAN;
    else if (stain.matches(".*yfp.*")) color = Color.YELLOW;
    else if (stain.matches(".*(bright|phase|dic|transmit).*")) color = Color.WHITE;
    return LUT.createLutFromColor(color);
  }

  /**
   * Black, then 255 colours of which neighbours are far apart: hue steps by the golden ratio, saturation and brightness alternate. Made, not loaded:
   * plain ImageJ has no glasbey table.
   */
  static LUT labels() {
    byte[] r = new byte[256];
    byte[] g = new byte[256];
    byte[] b = new byte[256];
    for (int i = 1; i < 256; i++) {
      float hue = (float) (i * 0.6180339887 % 1);
      Color color = Color.getHSBColor(hue, 0.55f + 0.15f * (i % 4), 1f - 0.16f * (i % 3));
      r[i] = (byte) color.getRed();
      g[i] = (byte) color.getGreen();
      b[i] = (byte) color.getBlue();
    }
    return new LUT(8, 256, r, g, b);
  }
}
