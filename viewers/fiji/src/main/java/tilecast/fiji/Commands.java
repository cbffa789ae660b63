// SPDX-License-Identifier: MIT
// The commands of the menu Plugins > tilecast.

package tilecast.fiji;

import ij.IJ;
import ij.Prefs;
import ij.gui.GenericDialog;
import ij.plugin.PlugIn;
import java.io.IOException;

public final class Commands implements PlugIn {
  private static final String PORT = "tilecast.port";
  private static final String TCP = "tilecast.tcp";
  private static final String OPENHCS = "tilecast.openhcs";
  private static final String BUDGET = "tilecast.budget.mb";

  private static ViewerServer server;

  @Override
  public void run(String command) {
    switch (command) {
      case "start":
        start();
        break;
      case "stop":
        if (stop()) IJ.showStatus("tilecast: stopped");
        break;
      default:
        settings();
    }
  }

  private static Options options() {
    Options options = new Options();
    options.port = (int) Prefs.get(PORT, options.port);
    options.isTcp = Prefs.get(TCP, false);
    options.isOpenHcs = Prefs.get(OPENHCS, true);
    options.memoryBudget = (long) Prefs.get(BUDGET, options.memoryBudget >> 20) << 20;
    return options;
  }

  private static synchronized void start() {
    if (server != null) {
      IJ.showStatus("tilecast: the receiver is running");
      return;
    }
    Options options = options();
    try {
      // A peer that asks for the end gets the receiver's, not that of a person's ImageJ.
      server = new ViewerServer(options, Commands::stop);
      Runtime.getRuntime().addShutdownHook(new Thread(Commands::stop));
      IJ.showStatus("tilecast: receiving on port " + options.port);
    } catch (IOException e) {
      IJ.error("tilecast", e.getMessage());
    }
  }

  private static synchronized boolean stop() {
    if (server == null) return false;
    server.close();
    server = null;
    return true;
  }

  private static void settings() {
    Options now = options();
    GenericDialog dialog = new GenericDialog("tilecast");
    dialog.addNumericField("Port", now.port, 0);
    dialog.addCheckbox("TCP on this host instead of IPC (Java before 16)", now.isTcp);
    dialog.addCheckbox("Listen for OpenHCS too", now.isOpenHcs);
    dialog.addNumericField("Memory for planes", now.memoryBudget >> 20, 0, 8, "MiB");
    dialog.addMessage("In force at the next start of the receiver.");
    dialog.showDialog();
    if (dialog.wasCanceled()) return;
    double port = dialog.getNextNumber();
    boolean isTcp = dialog.getNextBoolean();
    boolean isOpenHcs = dialog.getNextBoolean();
    double budget = dialog.getNextNumber();
    if (!(port >= 1 && port <= 65535 - Options.CONTROL_OFFSET && budget >= 0)) {
      IJ.error("tilecast", "Expected a port from 1 to " + (65535 - Options.CONTROL_OFFSET) + " and memory of 0 MiB or more.");
      return;
    }
    Prefs.set(PORT, (int) port);
    Prefs.set(TCP, isTcp);
    Prefs.set(OPENHCS, isOpenHcs);
    Prefs.set(BUDGET, budget);
  }
}
