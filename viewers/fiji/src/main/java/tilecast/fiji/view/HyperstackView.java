// SPDX-License-Identifier: MIT
// One image window and what it shows of its model. ImageJ's thread only.

package tilecast.fiji.view;

import ij.CompositeImage;
import ij.IJ;
import ij.ImagePlus;
import ij.gui.ImageWindow;
import ij.gui.Overlay;
import ij.measure.Calibration;
import ij.process.LUT;
import java.awt.GraphicsEnvironment;
import java.awt.Point;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tilecast.fiji.model.DisplayConfig;
import tilecast.fiji.model.WindowModel;
import tilecast.fiji.pixels.Plane;

final class HyperstackView {
  /** Contrast follows the first planes of a channel, since the first one may be an empty well, and then stays. */
  private static final int PLANES_FOR_CONTRAST = 8;

  final WindowModel model;
  private ImagePlus imp;
  private PlaneStack stack;
  private WindowModel.Layout layout;
  private final Map<Object, Contrast> contrasts = new HashMap<>();
  private final Set<String> told = new HashSet<>();
  /** What ImageJ made of the ranges that were set here. */
  private final Map<Object, double[]> applied = new HashMap<>();
  private boolean rebuilding;

  /** The display range of a channel. */
  private static final class Contrast {
    double low;
    double high;
    boolean isSet;
    /** Set by a person, or by the sender: automatic contrast is over. */
    boolean isFixed;
    int planes;
  }

  HyperstackView(WindowModel model) {
    this.model = model;
  }

  ImagePlus image() {
    return imp;
  }

  /** What the window was built of, whatever a macro did to it since. */
  PlaneStack stack() {
    return stack;
  }

  boolean isRebuilding() {
    return rebuilding;
  }

  /** Shows what has come; {@code changed} are the places of new planes. */
  void update(List<WindowModel.Position> changed) {
    WindowModel.Layout now = model.layout();
    if (imp != null) noticeUser();
    followContrast(changed);
    if (!now.sameAs(layout)) build(now, changed.isEmpty() ? new WindowModel.Position(1, 1, 1) : changed.get(0));
    else {
      if (isOnScreen(changed)) refresh();
      applyContrast();
    }
    calibrate();
    for (String note : model.notes()) if (told.add(note)) IJ.log("tilecast: " + imp.getTitle() + ": " + note);
  }

  private void build(WindowModel.Layout now, WindowModel.Position first) {
    ImagePlus before = imp;
    WindowModel.Position at = before == null ? first : new WindowModel.Position(before.getC(), before.getZ(), before.getT());
    Overlay overlay = before == null ? null : before.getOverlay();
    layout = now;
    stack = new PlaneStack(model, now);
    ImagePlus made = new ImagePlus(title(before), stack);
    made.setDimensions(now.channels, now.slices, now.frames);
    made.setOpenAsHyperStack(now.size() > 1);
    if (now.channels > 1 && !model.isLabels && !model.isRgb)
      // ImageJ puts up to seven channels on top of each other.
      made = new CompositeImage(made, now.channels <= 7 ? IJ.COMPOSITE : IJ.COLOR);
    imp = made;
    colour();
    if (overlay != null) imp.setOverlay(overlay);
    replaceWindow(before, at);
    applyContrast();
  }

  private static String unique(String title) {
    if (ij.WindowManager.getImage(title) == null) return title;
    for (int i = 2; ; i++) if (ij.WindowManager.getImage(title + " (" + i + ")") == null) return title + " (" + i + ")";
  }

  private String title(ImagePlus before) {
    return before != null ? before.getTitle() : unique(model.title.isEmpty() ? "tilecast" : model.title);
  }

  private void replaceWindow(ImagePlus before, WindowModel.Position at) {
    rebuilding = true;
    try {
      Point place = null;
      double zoom = 0;
      ImageWindow window = before == null ? null : before.getWindow();
      if (window != null) {
        place = window.getLocation();
        zoom = window.getCanvas().getMagnification();
      }
      if (before != null) {
        before.changes = false;
        before.close();
      }
      imp.setPosition(at.c, at.z, at.t);
      if (!GraphicsEnvironment.isHeadless()) imp.show();
      window = imp.getWindow();
      if (window != null && place != null) {
        window.setLocation(place);
        if (zoom != window.getCanvas().getMagnification()) {
          window.getCanvas().setMagnification(zoom);
          window.pack();
        }
      }
      imp.setPosition(at.c, at.z, at.t);
    } finally {
      rebuilding = false;
    }
  }

  void close() {
    if (imp == null) return;
    rebuilding = true;
    imp.changes = false;
    imp.close();
    imp = null;
  }

  private boolean isOnScreen(List<WindowModel.Position> changed) {
    for (WindowModel.Position at : changed)
      if (at.z == imp.getZ() && at.t == imp.getT() && (at.c == imp.getC() || imp.isComposite())) return true;
    return false;
  }

  /** Makes ImageJ read the planes on screen again; it keeps the arrays that it had. */
  private void refresh() {
    imp.getProcessor().setPixels(stack.getPixels(imp.getCurrentSlice()));
    if (imp.isComposite()) {
      int c = imp.getC();
      ((CompositeImage) imp).reset();
      // reset() shows the first plane of the stack until it is told where it is.
      imp.setPosition(c, imp.getZ(), imp.getT());
    }
    imp.updateAndDraw();
  }

  private void colour() {
    if (model.isRgb) return;
    DisplayConfig config = model.config();
    if (model.isLabels) {
      imp.setLut(Luts.labels());
      imp.setDisplayRange(0, 255);
      return;
    }
    LUT[] luts = new LUT[layout.channels];
    for (int c = 1; c <= luts.length; c++) {
      LUT lut = Luts.named(config.colormap(model.channelValue(c)));
      if (lut == null)
        lut = luts.length > 1 ? Luts.ofChannel(model.channelLabel(c), c) : Luts.named(config.lut);
      luts[c - 1] = lut == null ? Luts.named("Grays") : lut;
    }
    if (imp.isComposite()) ((CompositeImage) imp).setLuts(luts);
    else imp.setLut(luts[0]);
  }

  private Object channelKey(int c) {
    Object value = model.channelValue(c);
    // Of several components, or none: the label is as good a key.
    return value != null ? value : model.channelLabel(c);
  }

  private void followContrast(List<WindowModel.Position> changed) {
    if (model.isLabels || model.isRgb) return;
    DisplayConfig config = model.config();
    for (WindowModel.Position at : changed) {
      Contrast contrast = contrasts.computeIfAbsent(channelKey(at.c), k -> new Contrast());
      double[] given = config.contrast(model.channelValue(at.c));
      if (given != null && !contrast.isSet) {
        contrast.low = given[0];
        contrast.high = given[1];
        contrast.isSet = contrast.isFixed = true;
      }
      if (contrast.isFixed || !config.autoContrast || contrast.planes >= PLANES_FOR_CONTRAST) continue;
      Plane plane = model.plane(at);
      double[] range = plane == null ? null : plane.contrast();
      if (range == null) continue;
      contrast.planes++;
      contrast.low = contrast.isSet ? Math.min(contrast.low, range[0]) : range[0];
      contrast.high = contrast.isSet ? Math.max(contrast.high, range[1]) : range[1];
      contrast.isSet = true;
    }
  }

  private double[] shown(int c) {
    if (imp.isComposite()) {
      LUT lut = ((CompositeImage) imp).getChannelLut(c);
      return new double[] {lut.min, lut.max};
    }
    return new double[] {imp.getDisplayRangeMin(), imp.getDisplayRangeMax()};
  }

  /** A range that is not what was set here was set by a person (or a macro), and is theirs from then on. */
  private void noticeUser() {
    if (model.isLabels || model.isRgb) return;
    for (int c = 1; c <= layout.channels; c++) {
      double[] ours = applied.get(channelKey(c));
      double[] now = shown(c);
      if (ours == null || near(ours[0], now[0]) && near(ours[1], now[1])) continue;
      Contrast contrast = contrasts.computeIfAbsent(channelKey(c), k -> new Contrast());
      contrast.low = now[0];
      contrast.high = now[1];
      contrast.isSet = contrast.isFixed = true;
    }
  }

  private static boolean near(double a, double b) {
    return Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a));
  }

  private void applyContrast() {
    if (model.isLabels || model.isRgb) return;
    LUT[] luts = imp.isComposite() ? imp.getLuts() : null;
    boolean isChanged = false;
    for (int c = 1; c <= layout.channels; c++) {
      Contrast contrast = contrasts.get(channelKey(c));
      if (contrast == null || !contrast.isSet) continue;
      double[] now = shown(c);
      if (!near(now[0], contrast.low) || !near(now[1], contrast.high)) {
        isChanged = true;
        if (luts == null) imp.setDisplayRange(contrast.low, contrast.high);
        else {
          luts[c - 1].min = contrast.low;
          luts[c - 1].max = contrast.high;
        }
      }
    }
    if (isChanged) {
      if (luts != null) ((CompositeImage) imp).setLuts(luts);
      imp.updateAndDraw();
    }
    // 8-bit ranges are whole numbers.
    for (int c = 1; c <= layout.channels; c++) applied.put(channelKey(c), shown(c));
  }

  private void calibrate() {
    double[] size = model.pixelSize();
    if (size == null) return;
    Calibration calibration = imp.getCalibration();
    if (calibration.pixelWidth == size[2] && calibration.pixelHeight == size[1]) return;
    calibration.pixelWidth = size[2];
    calibration.pixelHeight = size[1];
    calibration.pixelDepth = size[0];
    calibration.setUnit("µm");
    imp.setCalibration(calibration);
    ImageWindow window = imp.getWindow();
    if (window != null) window.repaint();
  }

  /** [[low, high], ...] of the channels; null where colours are the data. */
  List<Object> contrast() {
    List<Object> all = new java.util.ArrayList<>();
    for (int c = 1; c <= layout.channels; c++) {
      double[] range = shown(c);
      all.add(java.util.Arrays.<Object>asList(range[0], range[1]));
    }
    return all;
  }
}
