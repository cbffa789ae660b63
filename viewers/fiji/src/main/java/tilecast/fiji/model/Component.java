// SPDX-License-Identifier: MIT
// The components of the wire: their values' order and how people read them.

package tilecast.fiji.model;

import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import tilecast.fiji.wire.Fields;

public final class Component {
  public static final List<String> ALL =
      Collections.unmodifiableList(Arrays.asList("site", "channel", "z_index", "timepoint", "well"));

  private Component() {}

  /** A value as axes compare it: "1" and 1 are the same; missing is "". */
  public static Object value(Object wire) {
    if (wire == null) return "";
    if (wire instanceof Number) {
      double number = ((Number) wire).doubleValue();
      return number == Math.rint(number) && Math.abs(number) < 9e15 ? (Object) (long) number : (Object) String.valueOf(number);
    }
    String text = String.valueOf(wire);
    return text.matches("-?[0-9]{1,15}") ? (Object) Long.parseLong(text) : text;
  }

  /** Numbers first, then text in natural order: A2 before A10. */
  public static final Comparator<Object> ORDER =
      (a, b) -> {
        if (a instanceof Long && b instanceof Long) return Long.compare((Long) a, (Long) b);
        if (a instanceof Long) return -1;
        if (b instanceof Long) return 1;
        return natural((String) a, (String) b);
      };

  public static final Comparator<List<Object>> TUPLE_ORDER =
      (a, b) -> {
        for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
          int order = ORDER.compare(a.get(i), b.get(i));
          if (order != 0) return order;
        }
        return Integer.compare(a.size(), b.size());
      };

  private static int natural(String a, String b) {
    int i = 0;
    int j = 0;
    while (i < a.length() && j < b.length()) {
      if (isDigit(a.charAt(i)) && isDigit(b.charAt(j))) {
        int endA = digits(a, i);
        int endB = digits(b, j);
        String numberA = a.substring(i, endA).replaceFirst("^0+(?=.)", "");
        String numberB = b.substring(j, endB).replaceFirst("^0+(?=.)", "");
        int order = numberA.length() != numberB.length()
            ? Integer.compare(numberA.length(), numberB.length())
            : numberA.compareTo(numberB);
        if (order != 0) return order;
        i = endA;
        j = endB;
      } else {
        int order = Character.compare(a.charAt(i++), b.charAt(j++));
        if (order != 0) return order;
      }
    }
    int rest = Integer.compare(a.length() - i, b.length() - j);
    return rest != 0 ? rest : a.compareTo(b);
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  private static int digits(String text, int at) {
    while (at < text.length() && isDigit(text.charAt(at))) at++;
    return at;
  }

  /** E.g. "DAPI", "Z3", "A01": the name that the plate gives the value, else the value with what it counts. */
  public static String label(String component, Object value, Map<?, ?> names) {
    Object ofComponent = names.get(component);
    if (ofComponent instanceof Map) {
      Object name = ((Map<?, ?>) ofComponent).get(String.valueOf(value));
      if (name instanceof String && !((String) name).isEmpty()) return (String) name;
    }
    switch (component) {
      case "channel":
        return "Ch" + value;
      case "z_index":
        return "Z" + value;
      case "timepoint":
        return "T" + value;
      case "site":
        return "Site " + value;
      default:
        return String.valueOf(value);
    }
  }

  /** All names merged into one map of maps; a later batch may know more. */
  public static void merge(Map<String, Map<String, Object>> into, Fields names) {
    for (Map.Entry<?, ?> entry : names.map().entrySet()) {
      if (!(entry.getValue() instanceof Map)) continue;
      Map<String, Object> ofComponent = into.computeIfAbsent(String.valueOf(entry.getKey()), k -> new ConcurrentHashMap<>());
      for (Map.Entry<?, ?> name : ((Map<?, ?>) entry.getValue()).entrySet())
        if (name.getValue() != null) ofComponent.put(String.valueOf(name.getKey()), name.getValue());
    }
  }
}
