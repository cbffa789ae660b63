// SPDX-License-Identifier: MIT
// Takes batches on network threads and shows them on ImageJ's thread, many updates at a time.

package tilecast.fiji.view;

import ij.IJ;
import ij.ImageListener;
import ij.ImagePlus;
import java.awt.EventQueue;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import tilecast.fiji.model.DisplayConfig;
import tilecast.fiji.model.ViewerModel;
import tilecast.fiji.model.WindowModel;
import tilecast.fiji.pixels.PlaneMemory;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

public final class Viewer {
  /** Updates of this long are shown together. */
  private static final long COALESCE_MS = 50;

  public static final List<String> KINDS = java.util.Arrays.asList("image", "labels", "shapes", "points", "tracks", "table");

  /** Told when an item is on screen ({@code error} null) or could not be put there. */
  public interface Acknowledge {
    void send(Fields item, String error);
  }

  /** One item to show. */
  private static final class Update {
    final Fields item;
    ViewerModel.Placed placed;
    RegionItem regions;
    Tables.Item table;

    Update(Fields item) {
      this.item = item;
    }
  }

  public final PlaneMemory memory;
  final ViewerModel model = new ViewerModel();
  final Tables tables = new Tables();
  private final Acknowledge acknowledge;
  private final ConcurrentLinkedQueue<Update> waiting = new ConcurrentLinkedQueue<>();
  private final AtomicLong total = new AtomicLong();
  private final AtomicLong completed = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicBoolean scheduled = new AtomicBoolean();
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "tilecast updates");
            thread.setDaemon(true);
            return thread;
          });
  // ImageJ's thread only.
  private final Map<String, HyperstackView> views = new LinkedHashMap<>();
  private final Regions regions = new Regions();
  private String latest;
  private volatile boolean hasToldRefusal;

  private final ImageListener closing =
      new ImageListener() {
        @Override
        public void imageOpened(ImagePlus imp) {}

        @Override
        public void imageUpdated(ImagePlus imp) {}

        @Override
        public void imageClosed(ImagePlus imp) {
          // ImageJ closes windows on its thread and on those of macros.
          onGui(() -> closedByPerson(imp));
        }
      };

  public Viewer(PlaneMemory memory, Acknowledge acknowledge) {
    this.memory = memory;
    this.acknowledge = acknowledge;
    ImagePlus.addImageListener(closing);
  }

  /** Ends the updates; windows stay. */
  public void stop() {
    timer.shutdownNow();
    ImagePlus.removeImageListener(closing);
  }

  public long total() {
    return total.get();
  }

  public long completed() {
    return completed.get();
  }

  public long failed() {
    return failed.get();
  }

  /** Takes a batch; the reply. Pixels are mapped or copied when it returns, and shown later. */
  public Map<String, Object> receive(Fields batch) {
    DisplayConfig config = new DisplayConfig(batch);
    List<?> images = batch.list("images");
    model.learn(config);
    List<Object> kept = new ArrayList<>();
    List<Object> refused = new ArrayList<>();
    StringBuilder wrong = new StringBuilder();
    boolean isTilecast = batch.optionalObject("display_config").has("tilecast");
    boolean mayKeepAll = isTilecast;
    for (int i = 0; i < images.size(); i++) {
      Fields item = null;
      try {
        item = Fields.of(images.get(i), "images[" + i + "]");
        isTilecast |= item.has("tilecast");
        receive(item, config, mayKeepAll || item.has("tilecast"), kept);
      } catch (RuntimeException | OutOfMemoryError e) {
        String message = e instanceof WireException ? e.getMessage() : String.valueOf(e);
        refused.add(Fields.map("index", i, "message", message));
        if (!(e instanceof PlaneMemory.FullException)) wrong.append(wrong.length() == 0 ? "" : "; ").append("images[" + i + "]: " + message);
        if (item != null) acknowledge.send(item, message);
        tellRefusal(message);
      }
    }
    // OpenHCS's senders read the status alone.
    boolean isError = !isTilecast && wrong.length() > 0;
    String received = images.isEmpty() ? "Empty batch" : images.size() - refused.size() + " of " + images.size() + " items received";
    Map<String, Object> reply =
        Fields.map("status", isError ? "error" : "success", "type", "batch", "message", isError ? wrong.toString() : received);
    if (!kept.isEmpty()) reply.put("kept", kept);
    if (!refused.isEmpty()) reply.put("refused", refused);
    return reply;
  }

  private void receive(Fields item, DisplayConfig config, boolean mayKeep, List<Object> kept) {
    Update update = new Update(item);
    String type = item.string("data_type", item.has("rois") ? "rois" : item.has("shapes") ? "shapes" : "image");
    switch (type) {
      case "image":
      case "labels":
        PlaneMemory.Received received = memory.receive(item, mayKeep);
        // First of all: whatever happens to the item, the name is gone and its sender must know.
        if (received.kept != null) kept.add(received.kept);
        try {
          boolean isLabels = type.equals("labels");
          if (isLabels && !received.plane.dtype.isInteger()) throw new WireException("dtype: labels are integers, and these are " + received.plane.dtype.wireName());
          update.placed = model.put(item, config, received.plane, isLabels);
        } catch (RuntimeException e) {
          received.plane.forget();
          throw e;
        }
        break;
      case "rois":
      case "shapes":
      case "points":
      case "tracks":
        update.regions = RegionItem.of(item, model.route(item, config, ""), type);
        break;
      case "table":
        update.table = Tables.parse(item);
        break;
      default:
        throw new WireException("data_type: expected one of " + KINDS + " or rois, and got \"" + type + "\"");
    }
    total.incrementAndGet();
    waiting.add(update);
    schedule();
  }

  /** Once, not once a plane. */
  private void tellRefusal(String message) {
    if (hasToldRefusal) return;
    hasToldRefusal = true;
    onGui(() -> IJ.log("tilecast: an item was refused, and more may be: " + message));
  }

  private void schedule() {
    if (!scheduled.compareAndSet(false, true)) return;
    try {
      timer.schedule(() -> EventQueue.invokeLater(this::show), COALESCE_MS, TimeUnit.MILLISECONDS);
    } catch (java.util.concurrent.RejectedExecutionException e) {
      // Stopped.
    }
  }

  /** Draws what waits, on ImageJ's thread. */
  void show() {
    scheduled.set(false);
    List<Update> updates = new ArrayList<>();
    for (Update update; (update = waiting.poll()) != null; ) updates.add(update);
    if (updates.isEmpty()) return;
    Map<WindowModel, List<Update>> ofWindows = new LinkedHashMap<>();
    Set<String> changedRegions = new HashSet<>();
    List<Update> done = new ArrayList<>();
    for (Update update : updates) {
      if (update.placed != null) ofWindows.computeIfAbsent(update.placed.window, k -> new ArrayList<>()).add(update);
      else
        attempt(java.util.Collections.singletonList(update), done, () -> {
          if (update.table != null) tables.show(update.table);
          else {
            regions.put(update.regions);
            changedRegions.add(update.regions.key);
          }
        });
    }
    for (Map.Entry<WindowModel, List<Update>> entry : ofWindows.entrySet()) attempt(entry.getValue(), done, () -> show(entry.getKey(), entry.getValue()));
    if (regions.count() > 0)
      attempt(java.util.Collections.emptyList(), done, () -> regions.show(this::viewFor, changedRegions));
    for (Update update : done) acknowledge.send(update.item, null);
    completed.addAndGet(updates.size());
  }

  private void attempt(List<Update> updates, List<Update> done, Runnable work) {
    try {
      work.run();
      done.addAll(updates);
    } catch (RuntimeException | OutOfMemoryError e) {
      failed.addAndGet(updates.size());
      IJ.log("tilecast: " + (e instanceof WireException ? e.getMessage() : e));
      if (!(e instanceof WireException)) e.printStackTrace();
      for (Update update : updates) acknowledge.send(update.item, String.valueOf(e.getMessage()));
    }
  }

  private void show(WindowModel window, List<Update> updates) {
    // Closed meanwhile.
    if (model.window(window.routeKey) != window) return;
    HyperstackView view = views.computeIfAbsent(window.routeKey, k -> new HyperstackView(window));
    List<WindowModel.Position> changed = new ArrayList<>();
    // An axis may have grown since: places are looked up now.
    for (Update update : updates) changed.add(update.placed.now());
    try {
      view.update(changed);
    } finally {
      if (view.image() == null) views.remove(window.routeKey);
    }
    latest = window.routeKey;
  }

  private HyperstackView viewFor(RegionItem item) {
    WindowModel window = model.windowFor(item.route);
    return window == null ? null : views.get(window.routeKey);
  }

  private void closedByPerson(ImagePlus imp) {
    for (HyperstackView view : new ArrayList<>(views.values())) {
      if (view.image() != imp || view.isRebuilding()) continue;
      views.remove(view.model.routeKey);
      model.forget(view.model.routeKey);
      regions.forget(view.model.routeKey);
    }
  }

  void clear() {
    for (HyperstackView view : views.values()) view.close();
    views.clear();
    regions.clear();
    tables.clear();
    model.clear();
    waiting.clear();
    completed.set(total.get());
  }

  int regionCount() {
    return regions.count();
  }

  List<HyperstackView> views() {
    return new ArrayList<>(views.values());
  }

  /** By route key or title; without one the window in front, else the one drawn last. */
  HyperstackView view(String name) {
    if (name != null) {
      for (HyperstackView view : views.values())
        if (view.model.routeKey.equals(name) || view.image().getTitle().equals(name)) return view;
      throw new WireException("there is no window \"" + name + "\"");
    }
    ImagePlus front = ij.WindowManager.getCurrentImage();
    for (HyperstackView view : views.values()) if (view.image() == front) return view;
    HyperstackView view = views.get(latest);
    if (view == null) for (HyperstackView any : views.values()) view = any;
    if (view == null) throw new WireException("nothing is shown");
    return view;
  }

  private static void onGui(Runnable work) {
    if (EventQueue.isDispatchThread()) work.run();
    else EventQueue.invokeLater(work);
  }
}
