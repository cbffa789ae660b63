// SPDX-License-Identifier: MIT
// POSIX shared-memory objects as the files they are on Linux: mapping, copying, unlinking.

package tilecast.fiji.pixels;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.regex.Pattern;
import tilecast.fiji.wire.WireException;

/** An open object, before it is known whether it will be kept. */
final class SharedMemory implements AutoCloseable {
  private static final Path FOLDER = Paths.get("/dev/shm");
  private static final Pattern NAME = Pattern.compile("/?[A-Za-z0-9_-][A-Za-z0-9._-]{0,253}");

  private final Path path;
  private final FileChannel channel;
  /** Of the whole object: what stays allocated while it is mapped. */
  final long objectBytes;

  private SharedMemory(Path path, FileChannel channel, long objectBytes) {
    this.path = path;
    this.channel = channel;
    this.objectBytes = objectBytes;
  }

  /** Throws when there is none of that name, or it is too small for {@code pixelBytes}. */
  static SharedMemory open(String name, long pixelBytes) {
    if (!NAME.matcher(name).matches()) throw new WireException("shm_name: not the name of a shared-memory object: \"" + name + "\"");
    if (!Files.isDirectory(FOLDER)) throw new WireException("this viewer reads shared memory in /dev/shm, which only Linux has");
    Path path = FOLDER.resolve(name.startsWith("/") ? name.substring(1) : name);
    FileChannel channel = null;
    try {
      // A link could lead to any file; a fifo would never be opened.
      if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) throw new NoSuchFileException(path.toString());
      channel = FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
      long size = channel.size();
      if (size < pixelBytes) {
        channel.close();
        throw new WireException("shared memory " + name + " has " + size + " bytes, and the pixels " + pixelBytes);
      }
      return new SharedMemory(path, channel, size);
    } catch (NoSuchFileException e) {
      throw new WireException("shared memory " + name + " not found", e);
    } catch (IOException e) {
      throw new WireException("shared memory " + name + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** For reading only, and without its name from now on. */
  ByteBuffer mapAndUnlink(long bytes) throws IOException {
    ByteBuffer map = channel.map(FileChannel.MapMode.READ_ONLY, 0, bytes);
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      Memory.free(map);
      throw e;
    }
    return map;
  }

  /** By read, not through a map: a sender that shortens the object meanwhile costs an error, not the process. */
  ByteBuffer copy(int bytes) throws IOException {
    ByteBuffer copy = Memory.allocate(bytes);
    try {
      while (copy.hasRemaining())
        if (channel.read(copy, copy.position()) < 0) throw new IOException("it became shorter while it was read");
    } catch (IOException e) {
      Memory.free(copy);
      throw e;
    }
    copy.flip();
    return copy;
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // Nothing was written.
    }
  }
}
