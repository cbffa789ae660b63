// SPDX-License-Identifier: MIT
// Everything received that has a window: which windows there are, and which one an item belongs to.

package tilecast.fiji.model;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import tilecast.fiji.pixels.Plane;
import tilecast.fiji.wire.Fields;

/** Network threads and ImageJ's thread use it: every method locks. */
public final class ViewerModel {
  private final Map<String, WindowModel> windows = new LinkedHashMap<>();
  private final Map<String, Map<String, Object>> names = new ConcurrentHashMap<>();

  /** Where a plane was put. */
  public static final class Placed {
    public final WindowModel window;
    private final Route route;

    Placed(WindowModel window, Route route) {
      this.window = window;
      this.route = route;
    }

    /** An axis may have grown since. */
    public WindowModel.Position now() {
      return window.position(route.coordinates);
    }
  }

  public void learn(DisplayConfig config) {
    Component.merge(names, config.names);
  }

  public synchronized Route route(Fields item, DisplayConfig config, String suffix) {
    return new Route(item, config, names, suffix);
  }

  public synchronized Placed put(Fields item, DisplayConfig config, Plane plane, boolean isLabels) {
    boolean isRgb = plane.samples == 3;
    Route route = route(item, config, isLabels ? "_labels" : isRgb ? "_rgb" : "");
    WindowModel window = windows.computeIfAbsent(route.key, k -> new WindowModel(route, config, isLabels, isRgb, names));
    window.put(route, config, plane, voxelSize(item));
    return new Placed(window, route);
  }

  private static double[] voxelSize(Fields item) {
    Fields spacing = item.optionalObject("image_metadata").optionalObject("source_voxel_spacing");
    if (!spacing.has("values_zyx") || !spacing.string("unit", "micrometers").startsWith("micrometer")) return null;
    double[] given = Fields.numbers(spacing.get("values_zyx"), "source_voxel_spacing.values_zyx");
    double[] zyx = {1, 1, 1};
    // OpenHCS leaves z out where there is none.
    for (int i = 0; i < Math.min(3, given.length); i++) zyx[2 - i] = given[given.length - 1 - i];
    return zyx[1] > 0 && zyx[2] > 0 ? zyx : null;
  }

  public synchronized List<WindowModel> windows() {
    return new ArrayList<>(windows.values());
  }

  public synchronized WindowModel window(String routeKey) {
    return windows.get(routeKey);
  }

  /** The window on whose planes regions of that route lie: of the same producer, else of the same step, else the latest one of the same part of the plate. */
  public synchronized WindowModel windowFor(Route route) {
    WindowModel best = windows.get(route.key);
    int bestRank = best != null ? 3 : 0;
    for (WindowModel window : windows.values()) {
      if (!window.windowPart.equals(route.windowPart)) continue;
      int rank = window.step.equals(route.step) ? 2 : 1;
      // Regions are looked at on images rather than on labels.
      if (rank > bestRank || rank == bestRank && rank < 3 && !window.isLabels) {
        best = window;
        bestRank = rank;
      }
    }
    return best;
  }

  /** For good, with its memory. */
  public synchronized void forget(String routeKey) {
    WindowModel window = windows.remove(routeKey);
    if (window != null) window.forget();
  }

  public synchronized void clear() {
    for (WindowModel window : windows.values()) window.forget();
    windows.clear();
  }
}
