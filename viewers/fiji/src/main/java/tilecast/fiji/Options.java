// SPDX-License-Identifier: MIT
// What the receiver is told on its command line, or by the plug-in's settings.

package tilecast.fiji;

import java.nio.file.Path;
import java.nio.file.Paths;
import tilecast.fiji.wire.Address;
import tilecast.fiji.wire.ProcessInfo;

final class Options {
  static final int CONTROL_OFFSET = 1000;
  /** Where senders listen for acknowledgements that have no return route. */
  static final int ACK_PORT = 7555;

  static final String USAGE =
      "usage: tilecast-fiji [--port PORT] [--transport ipc|tcp] [--openhcs] [--headless]\n"
          + "                     [--startup-status FILE] [--log-file FILE] [--memory-budget BYTES]";

  int port = 5565;
  boolean isTcp;
  boolean isOpenHcs;
  boolean isHeadless;
  Path startupStatus;
  Path logFile;
  long memoryBudget = ProcessInfo.memoryAvailable() / 4;

  /** Throws IllegalArgumentException with what is wrong. */
  static Options parse(String[] arguments) {
    Options options = new Options();
    for (int i = 0; i < arguments.length; i++) {
      String name = arguments[i];
      switch (name) {
        case "--openhcs":
          options.isOpenHcs = true;
          continue;
        case "--headless":
          options.isHeadless = true;
          continue;
        default:
      }
      if (i + 1 == arguments.length) throw new IllegalArgumentException(name + ": unknown, or without its value\n" + USAGE);
      String value = arguments[++i];
      switch (name) {
        case "--port":
          options.port = (int) number(name, value, 1, 65535 - CONTROL_OFFSET);
          break;
        case "--transport":
          if (!value.equals("ipc") && !value.equals("tcp"))
            throw new IllegalArgumentException("--transport: expected ipc or tcp, and got \"" + value + "\"");
          options.isTcp = value.equals("tcp");
          break;
        case "--startup-status":
          options.startupStatus = Paths.get(value).toAbsolutePath();
          break;
        case "--log-file":
          options.logFile = Paths.get(value).toAbsolutePath();
          break;
        case "--memory-budget":
          options.memoryBudget = number(name, value, 0, Long.MAX_VALUE / 2);
          break;
        default:
          throw new IllegalArgumentException(name + ": unknown option\n" + USAGE);
      }
    }
    return options;
  }

  private static long number(String name, String value, long low, long high) {
    try {
      long number = Long.parseLong(value);
      if (number >= low && number <= high) return number;
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw new IllegalArgumentException(name + ": expected a number from " + low + " to " + high + ", and got \"" + value + "\"");
  }

  /** As Python and Node find it; Java's own property ignores HOME. */
  private static Path home() {
    String home = System.getenv("HOME");
    return Paths.get(home == null || home.isEmpty() ? System.getProperty("user.home") : home);
  }

  /** Of tilecast's own endpoints, or OpenHCS's. */
  Address address(int at, boolean openHcs) {
    if (isTcp) return Address.tcp("127.0.0.1", at);
    String name = openHcs ? "openhcs" : "tilecast";
    return Address.ipc(home().resolve("." + name).resolve("ipc").resolve(name + "-zmq-" + at + ".sock"));
  }
}
