// SPDX-License-Identifier: MIT
// What a batch says of all its items: which component is which axis, names, values, colours.

package tilecast.fiji.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

public final class DisplayConfig {
  private static final List<String> MODES = Arrays.asList("window", "channel", "slice", "frame");

  private final Map<String, String> modes = new LinkedHashMap<>();
  private final List<String> order = new ArrayList<>();
  public final String lut;
  public final boolean autoContrast;
  /** Values that the sender declares, as axes compare them. */
  final Map<String, List<Object>> domain = new LinkedHashMap<>();
  final Fields names;
  private final Fields colormaps;
  private final Fields contrast;

  /** Of the whole batch message; what it lacks is OpenHCS's default. */
  public DisplayConfig(Fields batch) {
    Fields config = batch.optionalObject("display_config");
    modes.put("site", "frame");
    modes.put("channel", "channel");
    modes.put("z_index", "slice");
    modes.put("timepoint", "frame");
    modes.put("well", "frame");
    for (Map.Entry<?, ?> entry : config.optionalObject("component_modes").map().entrySet()) {
      if (!MODES.contains(entry.getValue()))
        throw new WireException(
            "component_modes." + entry.getKey() + ": expected window, channel, slice or frame, and got " + Fields.kind(entry.getValue()));
      modes.put(String.valueOf(entry.getKey()), (String) entry.getValue());
    }
    for (Object component : config.optionalList("component_order"))
      if (modes.containsKey(component) && !order.contains(component)) order.add((String) component);
    for (String component : modes.keySet()) if (!order.contains(component)) order.add(component);
    lut = config.string("lut", "Grays");
    autoContrast = config.bool("auto_contrast", true);
    for (Map.Entry<?, ?> entry : batch.optionalObject("component_value_domain").map().entrySet()) {
      if (!(entry.getValue() instanceof List)) throw new WireException("component_value_domain." + entry.getKey() + ": expected a list");
      List<Object> values = new ArrayList<>();
      for (Object value : (List<?>) entry.getValue()) values.add(Component.value(value));
      domain.put(String.valueOf(entry.getKey()), values);
    }
    names = batch.optionalObject("component_names_metadata");
    Fields own = config.optionalObject("tilecast");
    colormaps = own.optionalObject("colormaps");
    contrast = own.optionalObject("contrast");
  }

  /** Components of a mode, in the sender's order. */
  List<String> components(String mode) {
    List<String> found = new ArrayList<>();
    for (String component : order) if (modes.get(component).equals(mode)) found.add(component);
    return found;
  }

  /** Null when the sender leaves the colour to us. */
  public String colormap(Object channel) {
    return colormaps.string(String.valueOf(channel), null);
  }

  /** [low, high]; null when the sender leaves it to us. */
  public double[] contrast(Object channel) {
    if (!contrast.has(String.valueOf(channel))) return null;
    double[] range = Fields.numbers(contrast.get(String.valueOf(channel)), "contrast");
    return range.length == 2 && range[0] < range[1] ? range : null;
  }
}
