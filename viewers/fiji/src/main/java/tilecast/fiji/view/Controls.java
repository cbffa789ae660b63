// SPDX-License-Identifier: MIT
// The control messages that look at or move what is shown.

package tilecast.fiji.view;

import ij.ImagePlus;
import ij.io.FileSaver;
import ij.process.ImageProcessor;
import java.awt.EventQueue;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import tilecast.fiji.model.Component;
import tilecast.fiji.model.WindowModel;
import tilecast.fiji.pixels.Plane;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

/** Each method answers one message type; a WireException is an error reply. */
public final class Controls {
  /** How long ImageJ's thread may be busy (a person's dialog, a long command) before a request is told so. */
  private static final long GUI_SECONDS = 20;

  private static final int MAX_READ = 32 << 20;

  private final Viewer viewer;
  private final Macros macros = new Macros();

  public Controls(Viewer viewer) {
    this.viewer = viewer;
  }

  /** After everything that has been received so far is shown. */
  private <T> T onGui(Callable<T> work) {
    FutureTask<T> task =
        new FutureTask<>(
            () -> {
              viewer.show();
              return work.call();
            });
    EventQueue.invokeLater(task);
    try {
      return task.get(GUI_SECONDS, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      task.cancel(false);
      throw new WireException("ImageJ has been busy for " + GUI_SECONDS + " s");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof WireException) throw (WireException) e.getCause();
      throw new WireException(String.valueOf(e.getCause()), e.getCause());
    } catch (InterruptedException e) {
      throw new WireException("interrupted", e);
    }
  }

  public Map<String, Object> clearState() {
    return onGui(
        () -> {
          viewer.clear();
          return Fields.map("message", "Dimension values cleared");
        });
  }

  public Map<String, Object> settle() {
    EventQueue.invokeLater(viewer::show);
    long total = viewer.total();
    long completed = Math.min(viewer.completed(), total);
    String phase = completed < total ? "running" : viewer.failed() > 0 ? "failed" : "complete";
    return Fields.map(
        "status", phase.equals("failed") ? "error" : "success",
        "message", "Fiji viewer settlement progress: " + completed + "/" + total + ".",
        "settle_phase", phase,
        "completed_update_count", completed,
        "total_update_count", total,
        "active_route", null,
        "active_route_work_unit_count", 0,
        "active_route_work_unit_active", false);
  }

  public Map<String, Object> state() {
    return onGui(
        () -> {
          List<Object> layers = new ArrayList<>();
          for (HyperstackView view : viewer.views()) layers.add(layer(view));
          return Fields.map("layers", layers, "regions", viewer.regionCount());
        });
  }

  private static Map<String, Object> layer(HyperstackView view) {
    ImagePlus imp = view.image();
    WindowModel model = view.model;
    double[] size = model.pixelSize();
    return Fields.map(
        "route_key", model.routeKey,
        "title", imp.getTitle(),
        "kind", model.isLabels ? "labels" : "image",
        "shape", Arrays.<Object>asList(imp.getNFrames(), imp.getNSlices(), imp.getNChannels(), imp.getHeight(), imp.getWidth()),
        "dtype", dtype(imp.getBitDepth()),
        "axes", Arrays.<Object>asList("frame", "slice", "channel", "y", "x"),
        "axis_values", model.axes(),
        "scale", size == null ? null : Arrays.<Object>asList(size[0], size[1], size[2]),
        "visible", imp.getWindow() != null && imp.getWindow().isVisible(),
        "contrast", model.isRgb ? null : view.contrast().get(imp.getC() - 1),
        "contrasts", model.isRgb ? null : view.contrast(),
        "position", Arrays.<Object>asList(imp.getC(), imp.getZ(), imp.getT()),
        "planes", model.planes(),
        "resident", model.resident());
  }

  private static String dtype(int bits) {
    return bits == 8 ? "uint8" : bits == 16 ? "uint16" : bits == 24 ? "rgb" : "float32";
  }

  public Map<String, Object> screenshot(Fields payload) {
    String path = payload.string("path");
    if (!new File(path).isAbsolute()) throw new WireException("path: expected an absolute path, and got \"" + path + "\"");
    return onGui(
        () -> {
          ImagePlus flat = viewer.view(payload.string("route_key", null)).image().flatten();
          if (!new FileSaver(flat).saveAsPng(path)) throw new WireException("cannot write " + path);
          return Fields.map("path", path, "width", flat.getWidth(), "height", flat.getHeight());
        });
  }

  public Map<String, Object> navigate(Fields payload) {
    return onGui(
        () -> {
          HyperstackView view = viewer.view(payload.string("route_key", null));
          WindowModel.Position to = place(view, payload);
          view.image().setPosition(to.c, to.z, to.t);
          return Fields.map("message", view.model.label(to), "position", Arrays.<Object>asList(to.c, to.z, to.t));
        });
  }

  /** The plane on screen with the components of the message changed. */
  private static WindowModel.Position place(HyperstackView view, Fields payload) {
    ImagePlus imp = view.image();
    WindowModel.Position at =
        new WindowModel.Position(
            (int) payload.integer("c", imp.getC()), (int) payload.integer("z", imp.getZ()), (int) payload.integer("t", imp.getT()));
    if (at.c < 1 || at.c > imp.getNChannels() || at.z < 1 || at.z > imp.getNSlices() || at.t < 1 || at.t > imp.getNFrames())
      throw new WireException(
          "expected c, z, t within " + imp.getNChannels() + ", " + imp.getNSlices() + ", " + imp.getNFrames());
    Map<String, Object> changes = new LinkedHashMap<>();
    for (Map.Entry<?, ?> entry : payload.optionalObject("axis_indices").map().entrySet())
      changes.put(String.valueOf(entry.getKey()), Component.value(entry.getValue()));
    if (changes.isEmpty()) return at;
    List<String> unknown = new ArrayList<>();
    WindowModel.Position to = view.model.moved(at, changes, unknown);
    if (!unknown.isEmpty()) throw new WireException("axis_indices: the window has no axis for " + unknown);
    if (to == null) throw new WireException("axis_indices: the window has no plane of " + changes);
    return to;
  }

  /** ImageJ's own pixels of a plane. */
  public Map<String, Object> readPlane(Fields payload) {
    Object[] found =
        onGui(
            () -> {
              HyperstackView view = viewer.view(payload.string("route_key", payload.string("window", null)));
              WindowModel.Position at = place(view, payload);
              ImagePlus imp = view.image();
              Plane known = view.model.plane(at);
              return new Object[] {view.stack(), imp.getStackIndex(at.c, at.z, at.t), known != null && known.isResident()};
            });
    ImageProcessor plane = ((PlaneStack) found[0]).read((Integer) found[1]);
    int count = plane.getPixelCount();
    boolean isRgb = plane.getBitDepth() == 24;
    int bytes = isRgb ? 3 : plane.getBitDepth() / 8;
    if ((long) count * bytes > MAX_READ) throw new WireException("read_plane: the plane has more than " + (MAX_READ >> 20) + " MiB");
    ByteBuffer data = ByteBuffer.allocate(Math.multiplyExact(count, bytes)).order(ByteOrder.LITTLE_ENDIAN);
    Object pixels = plane.getPixels();
    if (pixels instanceof byte[]) data.put((byte[]) pixels);
    else if (pixels instanceof short[]) data.asShortBuffer().put((short[]) pixels);
    else if (pixels instanceof float[]) data.asFloatBuffer().put((float[]) pixels);
    else for (int rgb : (int[]) pixels) data.put((byte) (rgb >> 16)).put((byte) (rgb >> 8)).put((byte) rgb);
    List<Object> shape = new ArrayList<>(Arrays.<Object>asList(plane.getHeight(), plane.getWidth()));
    if (isRgb) shape.add(3);
    return Fields.map(
        "shape", shape, "dtype", isRgb ? "uint8" : dtype(plane.getBitDepth()), "data", Base64.getEncoder().encodeToString(data.array()), "resident", found[2]);
  }

  public Map<String, Object> runMacro(Fields payload) {
    return macros.run(
        payload,
        () -> onGui(() -> {
          List<ImagePlus> images = new ArrayList<>();
          for (HyperstackView view : viewer.views()) images.add(view.image());
          return images;
        }),
        () -> onGui(() -> {
          List<HyperstackView> views = viewer.views();
          return views.isEmpty() ? null : viewer.view(payload.string("route_key", null)).image();
        }));
  }

  public Map<String, Object> resultsTable(Fields payload) {
    return onGui(() -> viewer.tables.read(payload.string("title", null)));
  }
}
