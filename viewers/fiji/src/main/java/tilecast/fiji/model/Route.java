// SPDX-License-Identifier: MIT
// Which window an item belongs to: by who made it and by the components that have windows of their own.

package tilecast.fiji.model;

import java.util.LinkedHashMap;
import java.util.Map;
import tilecast.fiji.wire.Fields;

public final class Route {
  /** Stable for as long as the producer is the same; OpenHCS's route key. */
  public final String key;
  /** The part of the key that the window's components make: items with the same one belong on the same planes. */
  final String windowPart;
  /** Identifies the producing step. */
  final String step;
  public final String title;
  /** Component to value, all that the item has. */
  public final Map<String, Object> coordinates = new LinkedHashMap<>();

  Route(Fields item, DisplayConfig config, Map<?, ?> names, String suffix) {
    Fields metadata = item.optionalObject("metadata");
    for (Map.Entry<?, ?> entry : metadata.map().entrySet())
      coordinates.put(String.valueOf(entry.getKey()), Component.value(entry.getValue()));
    Fields producer = item.optionalObject("producer_identity");
    StringBuilder route = new StringBuilder();
    token(route, "origin", producer.get("origin"));
    token(route, "kind", producer.get("output_kind"));
    token(route, "projection", producer.get("projection_key"));
    token(route, "step", producer.get("pipeline_position"));
    token(route, "scope", producer.get("step_scope_id"));
    token(route, "name", producer.get("step_name"));
    StringBuilder window = new StringBuilder();
    StringBuilder windowTitle = new StringBuilder();
    for (String component : config.components("window")) {
      Object value = coordinates.getOrDefault(component, "");
      token(window, component, value);
      windowTitle.append(windowTitle.length() > 0 ? " " : "").append(Component.label(component, value, names));
    }
    windowPart = window.toString();
    step = producer.get("pipeline_position") + "/" + producer.get("step_name");
    String whole = route.length() > 0 && window.length() > 0 ? route + "_" + window : route.toString() + window;
    key = (whole.isEmpty() ? "default_window" : whole) + suffix;
    String name = item.optionalObject("tilecast").string("title", null);
    if (name == null) name = producerTitle(producer);
    title = windowTitle.length() == 0 ? name : name.isEmpty() ? windowTitle.toString() : name + " - " + windowTitle;
  }

  /** "3. Segment cells": the step counted from 1, and the output's name where it says more than the step. */
  private static String producerTitle(Fields producer) {
    Object output = producer.get("output_key");
    Object base = producer.get("step_name") != null ? producer.get("step_name") : output;
    if (base == null) return "tilecast";
    Object position = producer.get("pipeline_position");
    String title = position instanceof Number ? ((Number) position).longValue() + 1 + ". " + base : String.valueOf(base);
    Object kind = producer.get("output_kind");
    boolean saysNoMore = "main".equals(kind) || "manual".equals(kind) || "direct".equals(kind) || base.equals(output) || output == null;
    return saysNoMore ? title : title + " " + output;
  }

  private static void token(StringBuilder into, String name, Object value) {
    if (value == null) return;
    if (into.length() > 0) into.append('_');
    into.append(name).append('_').append(String.valueOf(value).replace('/', '_').replace('\\', '_').replace(' ', '_'));
  }
}
