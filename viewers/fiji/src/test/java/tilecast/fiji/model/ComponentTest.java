// SPDX-License-Identifier: MIT
// Order and names of components' values.

package tilecast.fiji.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.Json;

final class ComponentTest {
  @Test
  void numbersComeFirstThenTextInNaturalOrder() {
    List<Object> values = new ArrayList<>();
    for (Object wire : Arrays.asList("A10", "B1", 10, "2", "A2", 1.0, "A02", null)) values.add(Component.value(wire));
    values.sort(Component.ORDER);
    assertEquals(Arrays.<Object>asList(1L, 2L, 10L, "", "A02", "A2", "A10", "B1"), values);
  }

  @Test
  void aValueIsCalledAsThePlateCallsIt() {
    Object names = Json.parse("{\"channel\": {\"1\": \"DAPI\", \"2\": null}}".getBytes());
    assertEquals("DAPI", Component.label("channel", 1L, Fields.of(names, "names").map()));
    assertEquals("Ch2", Component.label("channel", 2L, Fields.of(names, "names").map()));
    assertEquals("Z3", Component.label("z_index", 3L, Collections.emptyMap()));
    assertEquals("B02", Component.label("well", "B02", Collections.emptyMap()));
  }

  @Test
  void anAxisOfSeveralComponentsHasTheirCombinationsAndOmitsWhatIsTheSame() {
    Axis axis = new Axis(Arrays.asList("site", "timepoint", "well"));
    java.util.Map<String, List<Object>> domain = new java.util.HashMap<>();
    domain.put("site", Arrays.<Object>asList(1L, 2L));
    domain.put("timepoint", Arrays.<Object>asList(1L));
    domain.put("well", Arrays.<Object>asList("A2", "A10"));
    axis.declare(domain);
    assertEquals(4, axis.size());
    assertEquals("Site 1 A2", axis.label(0, Collections.emptyMap()));
    assertEquals("Site 2 A10", axis.label(3, Collections.emptyMap()));
    assertEquals(2, axis.place(Arrays.<Object>asList(2L, 1L, "A2")));
    assertEquals(-1, axis.place(Arrays.<Object>asList(3L, 1L, "A2")));
  }
}
