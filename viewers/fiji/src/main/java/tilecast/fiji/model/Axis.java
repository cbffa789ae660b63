// SPDX-License-Identifier: MIT
// One axis of a hyperstack, made of no, one or several components: which value stands where.

package tilecast.fiji.model;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

final class Axis {
  /** Beyond it only values that were seen get a place: every well with every site of a screen would be blank planes without end. */
  private static final int MAX_DECLARED = 20_000;

  final List<String> components;
  private final TreeSet<List<Object>> values = new TreeSet<>(Component.TUPLE_ORDER);
  private List<List<Object>> ordered = new ArrayList<>();
  private final Map<List<Object>, Integer> places = new HashMap<>();

  private final boolean[] varies;

  Axis(List<String> components) {
    this.components = components;
    varies = new boolean[components.size()];
    if (components.isEmpty()) add(Collections.singleton(Collections.emptyList()));
  }

  /** All combinations of the values that a sender declares. */
  boolean declare(Map<String, List<Object>> domain) {
    if (components.isEmpty()) return false;
    List<List<Object>> tuples = new ArrayList<>();
    tuples.add(Collections.emptyList());
    for (String component : components) {
      List<Object> of = domain.get(component);
      if (of == null || of.isEmpty() || (long) tuples.size() * of.size() > MAX_DECLARED) return false;
      List<List<Object>> longer = new ArrayList<>();
      for (List<Object> tuple : tuples) {
        for (Object value : of) {
          List<Object> more = new ArrayList<>(tuple);
          more.add(value);
          longer.add(more);
        }
      }
      tuples = longer;
    }
    return add(tuples);
  }

  /** True when the axis became longer. */
  boolean add(Collection<List<Object>> tuples) {
    if (!values.addAll(tuples)) return false;
    ordered = new ArrayList<>(values);
    places.clear();
    for (int i = 0; i < ordered.size(); i++) {
      places.put(ordered.get(i), i);
      for (int part = 0; part < varies.length; part++) varies[part] |= !ordered.get(i).get(part).equals(ordered.get(0).get(part));
    }
    return true;
  }

  int size() {
    return ordered.size();
  }

  List<Object> tuple(Map<String, Object> coordinates) {
    List<Object> tuple = new ArrayList<>();
    for (String component : components) tuple.add(coordinates.getOrDefault(component, ""));
    return tuple;
  }

  /** 0-based; -1 when it is not there. */
  int place(List<Object> tuple) {
    return places.getOrDefault(tuple, -1);
  }

  List<Object> at(int place) {
    return ordered.get(place);
  }

  /** E.g. "Site 2 A01". Of several components those that are the same everywhere are left out. */
  String label(int place, Map<?, ?> names) {
    StringBuilder label = new StringBuilder();
    List<Object> tuple = ordered.get(place);
    for (int i = 0; i < components.size(); i++) {
      if ("".equals(tuple.get(i)) || components.size() > 1 && ordered.size() > 1 && !varies[i]) continue;
      if (label.length() > 0) label.append(' ');
      label.append(Component.label(components.get(i), tuple.get(i), names));
    }
    return label.toString();
  }

  /** For the state control: {components, values}. */
  List<Object> values() {
    List<Object> all = new ArrayList<>();
    for (List<Object> tuple : ordered) all.add(tuple.size() == 1 ? tuple.get(0) : tuple);
    return all;
  }
}
