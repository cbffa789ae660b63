// SPDX-License-Identifier: MIT
// Typed access to the fields of a decoded message; what is missing or of another type is named in the error.

package tilecast.fiji.wire;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public final class Fields {
  private final Map<?, ?> map;
  private final String where;

  private Fields(Map<?, ?> map, String where) {
    this.map = map;
    this.where = where;
  }

  /** {@code where} begins the error messages, e.g. "batch". An opaque record of a known dataclass passes as its state, if that is a dict. */
  public static Fields of(Object value, String where) {
    if (value instanceof Opaque && ((Opaque) value).state instanceof Map) value = ((Opaque) value).state;
    if (!(value instanceof Map)) throw new WireException(where + ": expected an object, and got " + kind(value));
    return new Fields((Map<?, ?>) value, where);
  }

  /** Without fields when {@code value} is null. */
  public static Fields optional(Object value, String where) {
    return value == null ? new Fields(Collections.emptyMap(), where) : of(value, where);
  }

  public Map<?, ?> map() {
    return map;
  }

  public boolean has(String key) {
    return map.get(key) != null;
  }

  public Object get(String key) {
    return map.get(key);
  }

  public Fields object(String key) {
    return of(map.get(key), path(key));
  }

  public Fields optionalObject(String key) {
    return optional(map.get(key), path(key));
  }

  public String string(String key) {
    Object value = map.get(key);
    if (!(value instanceof String)) throw wrong(key, "a string");
    return (String) value;
  }

  public String string(String key, String otherwise) {
    return has(key) ? string(key) : otherwise;
  }

  /** A whole number, also one written as 3.0. */
  public long integer(String key) {
    return whole(map.get(key), path(key));
  }

  public long integer(String key, long otherwise) {
    return has(key) ? integer(key) : otherwise;
  }

  public double number(String key, double otherwise) {
    Object value = map.get(key);
    if (value == null) return otherwise;
    if (!(value instanceof Number)) throw wrong(key, "a number");
    return ((Number) value).doubleValue();
  }

  public boolean bool(String key, boolean otherwise) {
    Object value = map.get(key);
    if (value == null) return otherwise;
    if (!(value instanceof Boolean)) throw wrong(key, "true or false");
    return (Boolean) value;
  }

  public List<?> list(String key) {
    Object value = map.get(key);
    if (!(value instanceof List)) throw wrong(key, "a list");
    return (List<?>) value;
  }

  public List<?> optionalList(String key) {
    return has(key) ? list(key) : Collections.emptyList();
  }

  public List<String> strings(String key) {
    List<String> strings = new ArrayList<>();
    for (Object value : list(key)) {
      if (!(value instanceof String)) throw wrong(key, "a list of strings");
      strings.add((String) value);
    }
    return strings;
  }

  public int[] integers(String key) {
    List<?> list = list(key);
    int[] values = new int[list.size()];
    for (int i = 0; i < values.length; i++) {
      long value = whole(list.get(i), path(key) + "[" + i + "]");
      if (value != (int) value) throw wrong(key, "numbers below 2^31");
      values[i] = (int) value;
    }
    return values;
  }

  public double[] numbers(String key) {
    return numbers(list(key), path(key));
  }

  public static double[] numbers(Object list, String where) {
    if (!(list instanceof List)) throw new WireException(where + ": expected a list, and got " + kind(list));
    double[] values = new double[((List<?>) list).size()];
    for (int i = 0; i < values.length; i++) {
      Object value = ((List<?>) list).get(i);
      if (!(value instanceof Number)) throw new WireException(where + "[" + i + "]: expected a number, and got " + kind(value));
      values[i] = ((Number) value).doubleValue();
    }
    return values;
  }

  private static long whole(Object value, String where) {
    if (value instanceof Long || value instanceof Integer) return ((Number) value).longValue();
    if (value instanceof Double && (Double) value == Math.rint((Double) value) && Math.abs((Double) value) < 9e15)
      return ((Double) value).longValue();
    throw new WireException(where + ": expected a whole number, and got " + kind(value));
  }

  private String path(String key) {
    return where + "." + key;
  }

  private WireException wrong(String key, String expected) {
    return new WireException(path(key) + ": expected " + expected + ", and got " + kind(map.get(key)));
  }

  /** How an error message calls a value. */
  public static String kind(Object value) {
    if (value == null) return "nothing";
    if (value instanceof Map) return "an object";
    if (value instanceof List) return "a list";
    if (value instanceof Opaque) return value.toString();
    if (value instanceof byte[]) return "bytes";
    String text = String.valueOf(value);
    return (value instanceof String ? "\"" : "") + (text.length() > 60 ? text.substring(0, 57) + "..." : text)
        + (value instanceof String ? "\"" : "");
  }

  /** An ordered map of keys and values that alternate. */
  public static Map<String, Object> map(Object... pairs) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) map.put((String) pairs[i], pairs[i + 1]);
    return map;
  }
}
