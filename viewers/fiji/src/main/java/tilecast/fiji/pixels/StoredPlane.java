// SPDX-License-Identifier: MIT
// Where a plane can be read again: an image group of OME-Zarr, an array in it, its place along the leading axes.

package tilecast.fiji.pixels;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.nio.file.Paths;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

final class StoredPlane {
  private final Path group;
  private final String array;
  private final int[] index;

  private StoredPlane(Path group, String array, int[] index) {
    this.group = group;
    this.array = array;
    this.index = index;
  }

  /** Null when {@code fields} has no store. */
  static StoredPlane of(Fields fields) {
    if (!fields.has("store")) return null;
    Fields store = fields.object("store");
    Path group = Paths.get(store.string("path"));
    String array = store.string("array");
    if (!group.isAbsolute() || array.contains("..") || array.startsWith("/"))
      throw new WireException("store: expected an absolute path and the name of an array in it");
    return new StoredPlane(group, array, store.integers("index"));
  }

  /** The plane's pixels in C order and native byte order; freed by Memory.free. */
  ByteBuffer read(Plane plane) {
    try {
      return ZarrArray.open(group.resolve(array)).readPlane(index, plane.height, plane.width, plane.dtype);
    } catch (java.io.IOException e) {
      throw new WireException("cannot read " + this + ": " + e.getMessage(), e);
    }
  }

  @Override
  public String toString() {
    return group.resolve(array).toString();
  }
}
