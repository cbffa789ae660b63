// SPDX-License-Identifier: MIT
// The regions of all windows: drawn as overlays, listed in the ROI Manager. ImageJ's thread only.

package tilecast.fiji.view;

import ij.ImagePlus;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.plugin.frame.RoiManager;
import java.awt.GraphicsEnvironment;
import java.awt.HeadlessException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tilecast.fiji.model.WindowModel;

final class Regions {
  private final Map<String, RegionItem> items = new LinkedHashMap<>();
  /** What the ROI Manager holds of an item. */
  private final Map<String, List<Roi>> listed = new LinkedHashMap<>();

  /** A route that may have several windows: the one where an item's regions belong. */
  interface Windows {
    HyperstackView viewFor(RegionItem item);
  }

  int count() {
    int count = 0;
    for (RegionItem item : items.values()) count += item.rois.size();
    return count;
  }

  void put(RegionItem item) {
    items.put(item.key, item);
  }

  /** Places every item, lists those of {@code changed}. */
  void show(Windows windows, Set<String> changed) {
    Map<ImagePlus, Overlay> overlays = new IdentityHashMap<>();
    for (RegionItem item : items.values()) {
      HyperstackView view = windows.viewFor(item);
      if (view != null) place(item, view, overlays.computeIfAbsent(view.image(), k -> new Overlay()));
    }
    for (Map.Entry<ImagePlus, Overlay> entry : overlays.entrySet()) {
      Overlay before = entry.getKey().getOverlay();
      // What a person drew stays.
      if (before != null)
        for (Roi roi : before.toArray()) if (roi.getProperty("tilecast") == null) entry.getValue().add(roi);
      entry.getKey().setOverlay(entry.getValue());
    }
    if (!changed.isEmpty()) list(changed);
  }

  private static void place(RegionItem item, HyperstackView view, Overlay overlay) {
    ImagePlus imp = view.image();
    WindowModel.Position at = view.model.position(item.route.coordinates);
    for (Roi roi : item.rois) {
      position(roi, imp, at.c, at.z, at.t);
      Roi drawn = (Roi) roi.clone();
      // Channels lie on top of each other: an outline is seen with all of them.
      position(drawn, imp, 0, at.z, at.t);
      drawn.setProperty("tilecast", "1");
      overlay.add(drawn);
    }
  }

  private static void position(Roi roi, ImagePlus imp, int c, int z, int t) {
    if (imp.getStackSize() == 1) roi.setPosition(0);
    else if (imp.isHyperStack() || imp.isComposite()) roi.setPosition(Math.max(c, 0), Math.max(z, 0), Math.max(t, 0));
    else roi.setPosition(z > 0 && t > 0 ? imp.getStackIndex(Math.max(c, 1), z, t) : 0);
  }

  /** Null without a display, unless ij1-patcher lets frames exist there. */
  private static RoiManager manager(boolean make) {
    RoiManager manager = RoiManager.getInstance2();
    if (manager != null || !make) return manager;
    try {
      manager = GraphicsEnvironment.isHeadless() ? new RoiManager(true) : new RoiManager();
      return manager;
    } catch (HeadlessException e) {
      return null;
    }
  }

  private void list(Set<String> changed) {
    RoiManager manager = manager(true);
    if (manager == null) return;
    Set<Roi> gone = Collections.newSetFromMap(new IdentityHashMap<>());
    for (String key : changed) gone.addAll(listed.getOrDefault(key, Collections.emptyList()));
    if (!gone.isEmpty()) remove(manager, gone);
    for (String key : changed) {
      RegionItem item = items.get(key);
      if (item == null) continue;
      int before = manager.getCount();
      for (Roi roi : item.rois) manager.add((ImagePlus) null, (Roi) roi.clone(), -1);
      List<Roi> ours = new ArrayList<>();
      for (int i = before; i < manager.getCount(); i++) ours.add(manager.getRoi(i));
      listed.put(key, ours);
    }
  }

  private static void remove(RoiManager manager, Set<Roi> gone) {
    List<Integer> indexes = new ArrayList<>();
    for (int i = 0; i < manager.getCount(); i++) if (gone.contains(manager.getRoi(i))) indexes.add(i);
    for (int i = indexes.size(); i-- > 0; ) manager.delete(indexes.get(i));
  }

  void clear() {
    RoiManager manager = manager(false);
    Set<Roi> all = Collections.newSetFromMap(new IdentityHashMap<>());
    for (List<Roi> rois : listed.values()) all.addAll(rois);
    if (manager != null && !all.isEmpty()) {
      if (manager.getCount() == all.size()) manager.reset();
      else remove(manager, all);
    }
    items.clear();
    listed.clear();
  }

  /** Of a window that was closed. */
  void forget(String routeKey) {
    Set<String> keys = new HashSet<>();
    for (RegionItem item : items.values()) if (item.route.key.equals(routeKey)) keys.add(item.key);
    items.keySet().removeAll(keys);
  }
}
