// SPDX-License-Identifier: MIT
// This process as psutil sees it: id, start time, memory and processor use, read from /proc.

package tilecast.fiji.wire;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Map;

public final class ProcessInfo {
  /** Clock ticks a second that Linux shows to programs (USER_HZ). */
  private static final double TICKS = 100;

  private long lastTicks = -1;
  private long lastNanos;

  public static String pidText() {
    return ManagementFactory.getRuntimeMXBean().getName().split("@")[0];
  }

  private static String read(String path) throws IOException {
    return new String(Files.readAllBytes(Paths.get(path)), StandardCharsets.UTF_8);
  }

  private static String[] stat() throws IOException {
    String stat = read("/proc/self/stat");
    // The name, in parentheses, may hold anything. State is field 3.
    return stat.substring(stat.lastIndexOf(')') + 2).split(" ");
  }

  /** {pid, create_time}; null where /proc is not. Peers compare the time by equality, hence psutil's arithmetic. */
  public static Map<String, Object> identity() {
    try {
      for (String line : read("/proc/stat").split("\n")) {
        if (!line.startsWith("btime ")) continue;
        double time = Double.parseDouble(stat()[19]) / TICKS + Long.parseLong(line.substring(6).trim());
        return Fields.map("pid", Long.parseLong(pidText()), "create_time", time);
      }
    } catch (IOException | RuntimeException e) {
      // Another system.
    }
    return null;
  }

  public static double memoryMb() {
    try {
      return Long.parseLong(read("/proc/self/statm").split(" ")[1]) * 4096 / 1048576.0;
    } catch (IOException | RuntimeException e) {
      return (Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory()) / 1048576.0;
    }
  }

  /** Percent of one processor since the last call; 0 at the first. */
  public synchronized double cpuPercent() {
    try {
      String[] stat = stat();
      long ticks = Long.parseLong(stat[11]) + Long.parseLong(stat[12]);
      long now = System.nanoTime();
      double percent = lastTicks < 0 ? 0 : (ticks - lastTicks) / TICKS / ((now - lastNanos) / 1e9) * 100;
      lastTicks = ticks;
      lastNanos = now;
      return percent;
    } catch (IOException | RuntimeException e) {
      return 0;
    }
  }

  /** Bytes that programs can still have; the heap's limit where the system does not tell. */
  public static long memoryAvailable() {
    try {
      for (String line : read("/proc/meminfo").split("\n"))
        if (line.startsWith("MemAvailable:")) return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
    } catch (IOException | RuntimeException e) {
      // Another system.
    }
    return Runtime.getRuntime().maxMemory();
  }
}
