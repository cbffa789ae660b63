// SPDX-License-Identifier: MIT
// What one window shows: its axes, and which plane stands where. Knows nothing of ImageJ's windows.

package tilecast.fiji.model;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tilecast.fiji.pixels.Plane;

/** Written by network threads, read by ImageJ's: every method locks. */
public final class WindowModel {
  public final String routeKey;
  public final String title;
  public final boolean isLabels;
  public final boolean isRgb;
  final String windowPart;
  final String step;
  private final Axis channels;
  private final Axis slices;
  private final Axis frames;
  private final Map<List<List<Object>>, Plane> planes = new HashMap<>();
  private final Map<String, Map<String, Object>> names;
  private DisplayConfig config;
  private int width = 1;
  private int height = 1;
  private int bits;
  /** Micrometres [z, y, x]; null while unknown. */
  private double[] pixelSize;
  private final Map<String, String> notes = new LinkedHashMap<>();

  WindowModel(Route route, DisplayConfig config, boolean isLabels, boolean isRgb, Map<String, Map<String, Object>> names) {
    routeKey = route.key;
    title = route.title;
    windowPart = route.windowPart;
    step = route.step;
    this.isLabels = isLabels;
    this.isRgb = isRgb;
    this.names = names;
    this.config = config;
    bits = isRgb ? 24 : isLabels ? 16 : 8;
    channels = new Axis(config.components("channel"));
    slices = new Axis(config.components("slice"));
    frames = new Axis(config.components("frame"));
  }

  /** Where a plane stands, 1-based as in ImageJ. */
  public static final class Position {
    public final int c;
    public final int z;
    public final int t;

    public Position(int c, int z, int t) {
      this.c = c;
      this.z = z;
      this.t = t;
    }
  }

  /** Puts a plane in its place, in which another one is forgotten. */
  synchronized void put(Route route, DisplayConfig latest, Plane plane, double[] size) {
    config = latest;
    // Of channels only those that come: a step that works on one of four would be a composite with three blank ones.
    slices.declare(latest.domain);
    frames.declare(latest.domain);
    List<List<Object>> place = new ArrayList<>();
    for (Axis axis : new Axis[] {channels, slices, frames}) {
      List<Object> tuple = axis.tuple(route.coordinates);
      axis.add(Collections.singleton(tuple));
      place.add(tuple);
    }
    Plane before = planes.put(place, plane);
    if (before != null) before.forget();
    width = Math.max(width, plane.width);
    height = Math.max(height, plane.height);
    if (!isRgb) bits = Math.max(bits, plane.dtype.bits);
    if (size != null) pixelSize = size;
    if (plane.dtype.note() != null) notes.put(plane.dtype.wireName(), plane.dtype.note());
  }

  synchronized void forget() {
    for (Plane plane : planes.values()) plane.forget();
    planes.clear();
  }

  /** What a window is built of; a new one is needed when it changes. */
  public static final class Layout {
    public final int width;
    public final int height;
    public final int channels;
    public final int slices;
    public final int frames;
    public final int bits;

    Layout(int width, int height, int channels, int slices, int frames, int bits) {
      this.width = width;
      this.height = height;
      this.channels = channels;
      this.slices = slices;
      this.frames = frames;
      this.bits = bits;
    }

    public boolean sameAs(Layout other) {
      return other != null
          && width == other.width
          && height == other.height
          && channels == other.channels
          && slices == other.slices
          && frames == other.frames
          && bits == other.bits;
    }

    /** ImageJ's order: channels fastest, then slices, then frames. */
    public Position position(int index) {
      int i = index - 1;
      return new Position(i % channels + 1, i / channels % slices + 1, i / channels / slices + 1);
    }

    public int size() {
      return channels * slices * frames;
    }
  }

  public synchronized Layout layout() {
    return new Layout(width, height, channels.size(), slices.size(), frames.size(), bits);
  }

  public synchronized DisplayConfig config() {
    return config;
  }

  public synchronized double[] pixelSize() {
    return pixelSize;
  }

  public synchronized int planes() {
    return planes.size();
  }

  public synchronized int resident() {
    int resident = 0;
    for (Plane plane : planes.values()) if (plane.isResident()) resident++;
    return resident;
  }

  public synchronized List<String> notes() {
    return new ArrayList<>(notes.values());
  }

  /** Null where nothing has come yet. */
  public synchronized Plane plane(Position at) {
    if (at.c > channels.size() || at.z > slices.size() || at.t > frames.size()) return null;
    List<List<Object>> place = new ArrayList<>();
    place.add(channels.at(at.c - 1));
    place.add(slices.at(at.z - 1));
    place.add(frames.at(at.t - 1));
    return planes.get(place);
  }

  public synchronized Position position(Map<String, Object> coordinates) {
    return new Position(
        channels.place(channels.tuple(coordinates)) + 1,
        slices.place(slices.tuple(coordinates)) + 1,
        frames.place(frames.tuple(coordinates)) + 1);
  }

  /** {@code at} with some components changed; null when there is no such place. Components that this window does not have are named in {@code unknown}. */
  public synchronized Position moved(Position at, Map<String, Object> changes, List<String> unknown) {
    Map<String, Object> coordinates = new HashMap<>();
    collect(coordinates, channels, at.c);
    collect(coordinates, slices, at.z);
    collect(coordinates, frames, at.t);
    for (String component : changes.keySet()) if (!coordinates.containsKey(component)) unknown.add(component);
    coordinates.putAll(changes);
    Position to = position(coordinates);
    return to.c > 0 && to.z > 0 && to.t > 0 ? to : null;
  }

  private static void collect(Map<String, Object> into, Axis axis, int place) {
    List<Object> tuple = axis.at(Math.min(place, axis.size()) - 1);
    for (int i = 0; i < axis.components.size(); i++) into.put(axis.components.get(i), tuple.get(i));
  }

  /** The channel's value where one component makes the axis; null otherwise. */
  public synchronized Object channelValue(int c) {
    return channels.components.size() == 1 && c <= channels.size() ? channels.at(c - 1).get(0) : null;
  }

  public synchronized String channelLabel(int c) {
    return c <= channels.size() ? channels.label(c - 1, names) : "";
  }

  /** E.g. "DAPI | Z3 | A01 Site 2". */
  public synchronized String label(Position at) {
    StringBuilder label = new StringBuilder();
    append(label, channels, at.c);
    append(label, slices, at.z);
    append(label, frames, at.t);
    return label.toString();
  }

  private void append(StringBuilder label, Axis axis, int place) {
    String part = place <= axis.size() ? axis.label(place - 1, names) : "";
    if (!part.isEmpty()) label.append(label.length() > 0 ? " | " : "").append(part);
  }

  /** [{components, values}, ...] of channel, slice and frame. */
  public synchronized List<Object> axes() {
    List<Object> axes = new ArrayList<>();
    String[] modes = {"channel", "slice", "frame"};
    Axis[] all = {channels, slices, frames};
    for (int i = 0; i < 3; i++) {
      Map<String, Object> axis = new LinkedHashMap<>();
      axis.put("mode", modes[i]);
      axis.put("components", new ArrayList<Object>(all[i].components));
      axis.put("values", all[i].values());
      axes.add(axis);
    }
    return axes;
  }
}
