// SPDX-License-Identifier: MIT
// Tells the launcher how far the start is: one JSON object a line, as OpenHCS's launchers write them.

package tilecast.fiji;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.Json;

final class StartupJournal {
  private final Path path;
  private int sequence;

  /** Null: nobody follows. */
  StartupJournal(Path path) {
    this.path = path;
  }

  void write(String phase, String message) {
    if (path == null) return;
    String line = Json.text(
        Fields.map("phase", phase, "message", message, "sequence", ++sequence, "timestamp", System.currentTimeMillis() / 1000.0));
    try {
      if (path.getParent() != null) Files.createDirectories(path.getParent());
      Files.write(path, (line + "\n").getBytes("UTF-8"), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      System.err.println("tilecast: cannot write " + path + ": " + e);
    }
  }
}
