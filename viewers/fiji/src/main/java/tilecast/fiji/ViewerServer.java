// SPDX-License-Identifier: MIT
// The viewer's sockets: every message gets an answer, whatever it is, and never waits for ImageJ unless it asks something of it.

package tilecast.fiji;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Function;
import tilecast.fiji.pixels.PlaneMemory;
import tilecast.fiji.view.Controls;
import tilecast.fiji.view.Viewer;
import tilecast.fiji.wire.Address;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.Json;
import tilecast.fiji.wire.PickleReader;
import tilecast.fiji.wire.PickleWriter;
import tilecast.fiji.wire.ProcessInfo;
import tilecast.fiji.wire.PushClient;
import tilecast.fiji.wire.RepServer;
import tilecast.fiji.wire.WireException;

final class ViewerServer implements Closeable {
  private static final String VERSION = version();

  private final Options options;
  private final Viewer viewer;
  private final Controls controls;
  private final Runnable shutdown;
  private final PushClient acknowledgements = new PushClient();
  private final ProcessInfo process = new ProcessInfo();
  private final List<RepServer> sockets = new ArrayList<>();

  /** {@code shutdown} is called, on a thread of its own, when a peer asks for the end. */
  ViewerServer(Options options, Runnable shutdown) throws IOException {
    this.options = options;
    this.shutdown = shutdown;
    viewer = new Viewer(new PlaneMemory(options.memoryBudget), this::acknowledge);
    controls = new Controls(viewer);
    try {
      listen(false);
      // Over TCP both names mean the same ports.
      if (options.isOpenHcs && !options.isTcp) listen(true);
    } catch (IOException e) {
      close();
      throw e;
    }
  }

  private static String version() {
    Properties properties = new Properties();
    try (InputStream in = ViewerServer.class.getResourceAsStream("version.properties")) {
      if (in != null) properties.load(in);
    } catch (IOException e) {
      // Said as unknown.
    }
    return properties.getProperty("version", "unknown");
  }

  private void listen(boolean openHcs) throws IOException {
    bind(options.address(options.port, openHcs), this::data, text -> Json.bytes(error(null, text)));
    bind(
        options.address(options.port + Options.CONTROL_OFFSET, openHcs), this::control, text -> PickleWriter.write(error("error", text)));
  }

  private void bind(Address address, RepServer.Handler handler, Function<String, byte[]> encodeError) throws IOException {
    try {
      sockets.add(new RepServer(address, handler, encodeError));
    } catch (IOException e) {
      throw new IOException("cannot listen on " + address + ": " + e.getMessage(), e);
    }
  }

  private static Map<String, Object> error(String type, String message) {
    return Fields.map("status", "error", "type", type, "message", message);
  }

  private static String text(Throwable e) {
    return e instanceof WireException ? e.getMessage() : String.valueOf(e);
  }

  private byte[] data(byte[] request) {
    String type = null;
    try {
      Fields message = Fields.of(Json.parse(request), "message");
      type = message.string("type", null);
      if (!"batch".equals(type)) throw new WireException("type: expected \"batch\", and got " + Fields.kind(message.get("type")));
      return Json.bytes(viewer.receive(message));
    } catch (RuntimeException | OutOfMemoryError | StackOverflowError e) {
      return Json.bytes(error("batch".equals(type) ? type : null, text(e)));
    }
  }

  private byte[] control(byte[] request) {
    String ack = "error";
    try {
      Fields message = Fields.of(PickleReader.read(request), "message");
      String type = message.string("type");
      ack = ackType(type);
      Map<String, Object> reply = Fields.map("status", "success", "type", ack);
      reply.putAll(answer(type, message));
      // No status: as every server of the family answers a ping.
      if (type.equals("ping")) reply.remove("status");
      return PickleWriter.write(reply);
    } catch (RuntimeException | OutOfMemoryError | StackOverflowError e) {
      return PickleWriter.write(error(ack, text(e)));
    }
  }

  private static String ackType(String type) {
    switch (type) {
      case "ping":
        return "pong";
      case "navigate":
        return "navigation_ack";
      case "run_macro":
        return "macro_ack";
      case "force_shutdown":
        return "shutdown_ack";
      case "clear_state":
      case "settle":
      case "state":
      case "screenshot":
      case "read_plane":
      case "results_table":
      case "shutdown":
        return type + "_ack";
      default:
        return "error";
    }
  }

  private Map<String, Object> answer(String type, Fields message) {
    switch (type) {
      case "ping":
        return pong();
      case "clear_state":
        return controls.clearState();
      case "settle":
        return controls.settle();
      case "state":
        return controls.state();
      case "screenshot":
        return controls.screenshot(payload(message));
      case "navigate":
        return controls.navigate(payload(message));
      case "read_plane":
        return controls.readPlane(payload(message));
      case "run_macro":
        return controls.runMacro(payload(message));
      case "results_table":
        return controls.resultsTable(payload(message));
      case "shutdown":
      case "force_shutdown":
        Thread end = new Thread(shutdown, "tilecast shutdown");
        end.start();
        return Fields.map("message", "Fiji viewer shutting down");
      default:
        throw new WireException("this viewer does not know the control message \"" + type + "\"");
    }
  }

  private static Fields payload(Fields message) {
    return message.optionalObject("payload");
  }

  private Map<String, Object> pong() {
    Map<String, Object> pong =
        Fields.map(
            "type", "pong",
            "port", options.port,
            "control_port", options.port + Options.CONTROL_OFFSET,
            "ready", true,
            "server", "TilecastFijiViewer",
            "server_type", "fiji",
            "server_role", "viewer",
            "control_capabilities", Arrays.<Object>asList("force_shutdown", "ping", "shutdown"));
    Map<String, Object> identity = ProcessInfo.identity();
    if (identity != null) pong.put("process_identity", identity);
    pong.put("memory_mb", ProcessInfo.memoryMb());
    pong.put("cpu_percent", process.cpuPercent());
    if (options.logFile != null) pong.put("log_file_path", options.logFile.toString());
    PlaneMemory memory = viewer.memory;
    pong.put(
        "tilecast",
        Fields.map(
            "protocol", 1,
            "version", VERSION,
            "keeps", true,
            "stores", true,
            "kinds", new ArrayList<Object>(Viewer.KINDS),
            "memory_budget", memory.budget,
            "memory_used", memory.used(),
            "planes", memory.count(),
            "resident", memory.resident(),
            "refused", memory.refused(),
            "shown", viewer.completed(),
            "dropped", acknowledgements.dropped()));
    return pong;
  }

  /** On the item's own way back, else where all senders of the family listen. */
  private void acknowledge(Fields item, String error) {
    String id;
    Object route;
    Address address;
    try {
      if (!item.has("image_id")) return;
      id = item.string("image_id");
      route = item.get("return_route");
      address =
          item.has("return_route")
              ? Address.parse(item.object("return_route").string("url"))
              : options.address(Options.ACK_PORT, options.isOpenHcs);
      // A message must not make this process call other hosts.
      if (!address.isLocal()) throw new WireException(address + " is on another host");
    } catch (WireException e) {
      System.err.println("tilecast: no acknowledgement for an item: " + e.getMessage());
      return;
    }
    Map<String, Object> ack =
        Fields.map(
            "type", "image_ack",
            "image_id", id,
            "viewer_port", options.port,
            "viewer_type", "fiji",
            "status", error == null ? "success" : "error",
            "timestamp", System.currentTimeMillis() / 1000.0,
            "error", error);
    if (route != null) ack.put("return_route", route);
    if (item.get("producer") != null) ack.put("producer", item.get("producer"));
    acknowledgements.send(address, Json.bytes(ack));
  }

  @Override
  public void close() {
    for (RepServer socket : sockets) {
      try {
        socket.close();
      } catch (IOException e) {
        System.err.println("tilecast: " + e);
      }
    }
    sockets.clear();
    viewer.stop();
  }
}
