// SPDX-License-Identifier: MIT
// Runs macros on request: their result and log are returned, their errors too, and no dialog waits for somebody who is not there.

package tilecast.fiji.view;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.macro.Debugger;
import ij.macro.Interpreter;
import java.awt.Dialog;
import java.awt.GraphicsEnvironment;
import java.awt.Window;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

final class Macros {
  /** ImageJ has one interpreter at a time. */
  private final ReentrantLock one = new ReentrantLock();

  /** One run. A statement is the unit in which errors and the end of time are noticed. */
  private final class Run implements Debugger {
    final String macro;
    final String argument;
    final List<ImagePlus> images;
    final ImagePlus current;
    final Interpreter interpreter = new Interpreter();
    String result;
    volatile String error;
    volatile boolean isLate;
    private volatile int line;
    private boolean started;
    /** By exit(), or by a command that gave up. */
    volatile boolean isCancelled;

    Run(String macro, String argument, List<ImagePlus> images, ImagePlus current) {
      this.macro = macro;
      this.argument = argument;
      this.images = images;
      this.current = current;
    }

    @Override
    public int debug(Interpreter running, int mode) {
      if (!started) {
        started = true;
        if (IJ.getInstance() == null) {
          // Without ImageJ's window a macro finds only the images of its batch mode.
          for (ImagePlus image : images) Interpreter.addBatchModeImage(image);
        }
        if (current != null && (IJ.getInstance() == null || GraphicsEnvironment.isHeadless())) WindowManager.setTempCurrentImage(current);
      }
      if (running.getErrorMessage() != null || isLate) throw new RuntimeException(Macro.MACRO_CANCELED);
      line = running.getLineNumber();
      return mode;
    }

    void run() {
      // With errors ignored the interpreter shows no dialog, and goes on: debug() stops it before the next statement.
      interpreter.setIgnoreErrors(true);
      interpreter.setDebugger(this);
      interpreter.setDebugMode(Debugger.FAST_TRACE);
      // On a display a command's error is a dialog, which Messages reads and closes.
      IJ.redirectErrorMessages(GraphicsEnvironment.isHeadless());
      boolean isEnded = false;
      try {
        result = interpreter.run(macro, argument);
        isEnded = true;
      } catch (RuntimeException | StackOverflowError e) {
        if (!Macro.MACRO_CANCELED.equals(e.getMessage())) error = String.valueOf(e);
        else isCancelled = true;
      } catch (OutOfMemoryError e) {
        error = "out of memory";
      } finally {
        IJ.redirectErrorMessages(false);
        String message = interpreter.getErrorMessage();
        if (message != null) error = message + (line > 0 ? " in line " + line : "");
        // An interpreter that did not come to its end stays the current one; another one's end tidies up.
        if (!isEnded || message != null) new Interpreter().run("");
        WindowManager.setTempCurrentImage(null);
      }
    }
  }

  /** {result, log}; throws the macro's error, with the log. {@code images} are ours, {@code current} the one it works on. */
  Map<String, Object> run(Fields payload, Supplier<List<ImagePlus>> images, Supplier<ImagePlus> current) {
    String macro = payload.string("macro");
    double seconds = payload.number("timeout", 60);
    long deadline = System.nanoTime() + (long) (seconds * 1e9);
    try {
      if (!one.tryLock((long) (seconds * 1000), java.util.concurrent.TimeUnit.MILLISECONDS))
        throw new WireException("run_macro: another macro has been running for " + seconds + " s");
    } catch (InterruptedException e) {
      throw new WireException("interrupted", e);
    }
    try {
      Run run = new Run(macro, payload.string("argument", ""), images.get(), current.get());
      String before = IJ.getLog();
      PrintStream out = System.out;
      ByteArrayOutputStream printed = new ByteArrayOutputStream();
      // Without ImageJ's window its log goes to standard output.
      if (IJ.getInstance() == null) System.setOut(new PrintStream(printed, true));
      Thread thread = new Thread(run::run, "Run$_tilecast macro");
      Messages messages = new Messages(thread);
      try {
        messages.open();
        thread.start();
        await(thread, run, deadline);
      } finally {
        messages.close();
        System.setOut(out);
      }
      String log = (IJ.getInstance() == null ? printed.toString() : added(before, IJ.getLog())) + messages.all();
      if (run.isCancelled && run.error == null) run.error = messages.last(GraphicsEnvironment.isHeadless() ? log : "");
      if (run.isLate) throw new WireException("the macro was stopped after " + seconds + " s" + withLog(log));
      if (run.error != null) throw new WireException(run.error + withLog(log));
      return Fields.map("result", run.result == null ? "" : run.result, "log", log);
    } finally {
      one.unlock();
    }
  }

  private static String withLog(String log) {
    return log.isEmpty() ? "" : "; log: " + log.trim();
  }

  private static String added(String before, String after) {
    if (after == null) return "";
    return before != null && after.startsWith(before) ? after.substring(before.length()) : after;
  }

  private static void await(Thread thread, Run run, long deadline) {
    try {
      thread.join(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
      if (!thread.isAlive()) return;
      run.isLate = true;
      run.interpreter.abortMacro();
      // It may be waiting in a dialog.
      for (Window window : Window.getWindows())
        if (window instanceof Dialog && ((Dialog) window).isModal() && window.isShowing()) java.awt.EventQueue.invokeLater(window::dispose);
      thread.join(2000);
      // In a plug-in that does not look: it goes on without anybody waiting.
      if (thread.isAlive()) thread.interrupt();
    } catch (InterruptedException e) {
      throw new WireException("interrupted", e);
    }
  }
}
