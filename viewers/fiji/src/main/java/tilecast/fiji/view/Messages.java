// SPDX-License-Identifier: MIT
// Reads and closes the message boxes that appear while a macro runs: nobody may be there to close them.

package tilecast.fiji.view;

import ij.gui.HTMLDialog;
import ij.gui.MessageDialog;
import ij.gui.MultiLineLabel;
import java.awt.AWTEvent;
import java.awt.Component;
import java.awt.Container;
import java.awt.GraphicsEnvironment;
import java.awt.Toolkit;
import java.awt.Window;
import java.awt.event.AWTEventListener;
import java.awt.event.WindowEvent;
import java.lang.reflect.Field;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.swing.Timer;
import javax.swing.text.JTextComponent;

/** Only boxes with nothing but an OK button: questions are left to whoever is there, and to the macro's time limit. */
final class Messages implements AWTEventListener {
  private static final int LOOK_MS = 20;

  private final Thread macro;
  private final List<String> texts = new CopyOnWriteArrayList<>();

  Messages(Thread macro) {
    this.macro = macro;
  }

  void open() {
    if (!GraphicsEnvironment.isHeadless()) Toolkit.getDefaultToolkit().addAWTEventListener(this, AWTEvent.WINDOW_EVENT_MASK);
  }

  void close() {
    if (!GraphicsEnvironment.isHeadless()) Toolkit.getDefaultToolkit().removeAWTEventListener(this);
  }

  @Override
  public void eventDispatched(AWTEvent event) {
    Object source = event.getSource();
    if (event.getID() != WindowEvent.WINDOW_OPENED || !(source instanceof MessageDialog || source instanceof HTMLDialog)) return;
    StringBuilder text = new StringBuilder();
    collect((Container) source, text);
    texts.add(text.toString().trim());
    Timer timer = new Timer(LOOK_MS, null);
    timer.addActionListener(
        tick -> {
          if (!isWaiting()) return;
          timer.stop();
          ((Window) source).dispose();
        });
    timer.start();
  }

  /** A box that is closed between its appearance and the moment when its thread begins to wait leaves that thread waiting for ever. */
  private boolean isWaiting() {
    if (!macro.isAlive()) return true;
    for (StackTraceElement frame : macro.getStackTrace())
      if (frame.getClassName().equals("java.awt.WaitDispatchSupport")) return macro.getState() == Thread.State.WAITING;
    return false;
  }

  private static void collect(Container container, StringBuilder text) {
    for (Component component : container.getComponents()) {
      if (component instanceof MultiLineLabel) text.append(String.join(" ", lines((MultiLineLabel) component))).append(' ');
      else if (component instanceof JTextComponent) text.append(((JTextComponent) component).getText().replaceAll("<[^>]*>", " ").replaceAll("\\s+", " "));
      else if (component instanceof Container) collect((Container) component, text);
    }
  }

  /** ImageJ has no other way to them. */
  private static String[] lines(MultiLineLabel label) {
    try {
      Field lines = MultiLineLabel.class.getDeclaredField("lines");
      lines.setAccessible(true);
      String[] found = (String[]) lines.get(label);
      return found == null ? new String[0] : found;
    } catch (ReflectiveOperationException | RuntimeException e) {
      return new String[] {"a message of another release of ImageJ, which cannot be read"};
    }
  }

  /** For the log: a line each. */
  String all() {
    StringBuilder all = new StringBuilder();
    for (String text : texts) all.append(text).append('\n');
    return all.toString();
  }

  /** The message that came last, else the last line of {@code log}; null when there is neither. */
  String last(String log) {
    if (!texts.isEmpty()) return texts.get(texts.size() - 1);
    String trimmed = log.trim();
    return trimmed.isEmpty() ? null : trimmed.substring(trimmed.lastIndexOf('\n') + 1);
  }
}
