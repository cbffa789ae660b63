// SPDX-License-Identifier: MIT
// The program: ImageJ with a receiver, in a window or without a display.

package tilecast.fiji;

import ij.IJ;
import ij.ImageJ;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;

public final class Main {
  /** A command line that makes no sense. */
  private static final int EXIT_USAGE = 2;

  /** The viewer cannot start; the last line says why. */
  private static final int EXIT_FAILED = 3;

  private Main() {}

  public static void main(String[] arguments) {
    Options options;
    try {
      options = Options.parse(arguments);
    } catch (IllegalArgumentException e) {
      System.err.println("tilecast-fiji: " + e.getMessage());
      System.exit(EXIT_USAGE);
      return;
    }
    StartupJournal journal = new StartupJournal(options.startupStatus);
    try {
      if (options.logFile != null) log(options);
      journal.write("importing_runtime", "Starting ImageJ");
      if (options.isHeadless) Headless.start();
      else startWindow();
      journal.write("binding_endpoint", "Listening on port " + options.port);
      ViewerServer server = new ViewerServer(options, () -> end(0));
      // Quit, a signal, the end of the session: the sockets' files go in every case.
      Runtime.getRuntime().addShutdownHook(new Thread(server::close));
      journal.write("server_ready", "The Fiji viewer is ready");
      IJ.showStatus("tilecast: receiving on port " + options.port);
      // Nothing else keeps a process without windows.
      if (options.isHeadless) Thread.currentThread().join();
    } catch (Exception | LinkageError e) {
      String message = e instanceof IOException || e instanceof IllegalStateException ? e.getMessage() : e.toString();
      System.err.println("tilecast-fiji: " + message);
      if (message.equals(e.toString())) e.printStackTrace();
      journal.write("failed", message);
      end(EXIT_FAILED);
    }
  }

  private static void end(int code) {
    // A window's closing must not hold the end up: a second is what peers wait.
    Thread halt =
        new Thread(
            () -> {
              try {
                // The reply to the request is on its way.
                Thread.sleep(100);
              } catch (InterruptedException e) {
                // Then at once.
              }
              System.exit(code);
            });
    halt.start();
  }

  private static void log(Options options) throws IOException {
    if (options.logFile.getParent() != null) Files.createDirectories(options.logFile.getParent());
    PrintStream log = new PrintStream(new FileOutputStream(options.logFile.toFile(), true), true, "UTF-8");
    System.setOut(log);
    System.setErr(log);
  }

  private static void startWindow() {
    if (java.awt.GraphicsEnvironment.isHeadless())
      throw new IllegalStateException("there is no display (DISPLAY is \"" + System.getenv("DISPLAY") + "\"): give one, or --headless");
    // Never another ImageJ's window: -port0 neither asks for one nor listens.
    try {
      ImageJ.main(new String[] {"-port0"});
    } catch (java.awt.AWTError e) {
      throw new IllegalStateException("no window can be opened: " + e.getMessage(), e);
    }
    ImageJ imagej = IJ.getInstance();
    if (imagej == null) throw new IllegalStateException("ImageJ did not start");
    imagej.exitWhenQuitting(true);
  }
}
