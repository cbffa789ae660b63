// SPDX-License-Identifier: MIT
// What planes may take: who owns the shared memory that arrives, what is let go of when the budget is full.

package tilecast.fiji.pixels;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

public final class PlaneMemory {
  public final long budget;
  private long used;
  private final Set<Plane> planes = new LinkedHashSet<>();
  private long refused;

  public PlaneMemory(long budget) {
    this.budget = budget;
  }

  public synchronized long used() {
    return used;
  }

  public synchronized int count() {
    return planes.size();
  }

  /** Planes that found no room. */
  public synchronized long refused() {
    return refused;
  }

  public synchronized int resident() {
    int resident = 0;
    for (Plane plane : planes) if (plane.isResident()) resident++;
    return resident;
  }

  /** Not the sender's fault. */
  public static final class FullException extends WireException {
    FullException(String message) {
      super(message);
    }
  }

  /** What became of an item's pixels. */
  public static final class Received {
    public final Plane plane;
    /** The name that belongs to this viewer now, and is gone; null when it is the sender's still. */
    public final String kept;

    Received(Plane plane, String kept) {
      this.plane = plane;
      this.kept = kept;
    }
  }

  /**
   * Takes an item's pixels: maps and unlinks them where the sender speaks tilecast's keys ({@code mayKeep}), else copies. Throws what is wrong with the
   * item; the name is the sender's then.
   */
  public Received receive(Fields item, boolean mayKeep) {
    int[] shape = item.integers("shape");
    Plane.checkSize(shape);
    DType dtype = DType.of(item.string("dtype"));
    int samples = shape.length == 3 ? 3 : 1;
    if (samples == 3 && dtype != DType.UINT8) throw new WireException("dtype: RGB planes are uint8, and this is " + dtype.wireName());
    StoredPlane store = StoredPlane.of(item.optionalObject("tilecast"));
    Plane plane = new Plane(shape[1], shape[0], samples, dtype, store, this);
    String kept = null;
    if (item.has("shm_name")) kept = fill(plane, item.string("shm_name"), mayKeep);
    else if (store == null) throw new WireException("expected shm_name or tilecast.store, and got neither");
    synchronized (this) {
      planes.add(plane);
    }
    return new Received(plane, kept);
  }

  private String fill(Plane plane, String name, boolean mayKeep) {
    long bytes = (long) plane.width * plane.height * plane.samples * plane.dtype.bytes;
    if (bytes > Integer.MAX_VALUE) throw new WireException("shape: a plane of " + bytes + " bytes is more than Java maps");
    try (SharedMemory object = SharedMemory.open(name, bytes)) {
      long charge = mayKeep ? object.objectBytes : bytes;
      if (!reserve(charge)) {
        if (plane.hasStore()) return null;
        synchronized (this) {
          refused++;
        }
        throw new FullException(
            "the memory budget of " + (budget >> 20) + " MiB is full and the plane has no store to be read from: raise --memory-budget");
      }
      try {
        plane.hold(mayKeep ? object.mapAndUnlink(bytes) : object.copy((int) bytes), charge);
        return mayKeep ? name : null;
      } catch (IOException e) {
        release(charge);
        throw new WireException("shared memory " + name + " cannot be taken: " + e.getMessage(), e);
      } catch (RuntimeException e) {
        release(charge);
        throw e;
      }
    }
  }

  /** Makes room, by letting go of what can be read again; false when there is not enough of that. */
  private synchronized boolean reserve(long bytes) {
    if (bytes > budget) return false;
    if (used + bytes > budget) {
      List<Plane> candidates = new ArrayList<>();
      for (Plane plane : planes) if (plane.hasStore() && plane.isResident()) candidates.add(plane);
      candidates.sort(Comparator.comparingLong(plane -> plane.lastLook));
      // A little more than asked for, so that not every plane sorts them again.
      long target = budget - bytes - budget / 16;
      for (Plane plane : candidates) {
        if (used <= target) break;
        used -= plane.drop();
      }
    }
    if (used + bytes > budget) return false;
    used += bytes;
    return true;
  }

  private synchronized void release(long bytes) {
    used -= bytes;
  }

  synchronized void forget(Plane plane) {
    if (planes.remove(plane)) used -= plane.drop();
  }
}
