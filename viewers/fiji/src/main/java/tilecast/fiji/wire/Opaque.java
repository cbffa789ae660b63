// SPDX-License-Identifier: MIT
// A pickled object of some class: its name and what it was given. The class is never looked for.

package tilecast.fiji.wire;

import java.util.List;

public final class Opaque {
  public final String module;
  public final String name;
  /** Arguments of its constructor; empty for a bare reference to the class. */
  public List<Object> arguments;
  /** What BUILD gave it; null without. */
  public Object state;

  Opaque(String module, String name, List<Object> arguments) {
    this.module = module;
    this.name = name;
    this.arguments = arguments;
  }

  @Override
  public String toString() {
    return "an object of the class " + module + "." + name;
  }
}
