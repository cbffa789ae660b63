// SPDX-License-Identifier: MIT
// The file of an IPC socket: taking a free path without stealing another's, removing only what is one's own.

package tilecast.fiji.wire;

import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;

final class SocketFile {
  private final Path path;
  private final Object identity;

  private SocketFile(Path path, Object identity) {
    this.path = path;
    this.identity = identity;
  }

  interface Binding {
    ServerSocketChannel bind() throws IOException;
  }

  /** Makes the folder (0700) and the socket (0600). Throws when somebody listens there. */
  static SocketFile bind(Path path, Binding binding, ServerSocketChannel[] result) throws IOException {
    Path folder = path.getParent();
    if (!Files.isDirectory(folder)) {
      Files.createDirectories(
          folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
    Path guard = guard(path);
    try {
      if (Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
        if (isLive(path)) throw new IOException("another server listens on " + path);
        Files.delete(path);
      }
      result[0] = binding.bind();
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
      return new SocketFile(path, identity(path));
    } finally {
      Files.deleteIfExists(guard);
    }
  }

  /** Between the look and the bind nobody else of ours may bind (lib/runtime/socket-file.ts does the same). */
  private static Path guard(Path path) throws IOException {
    Path guard = Paths.get(path + ".bind");
    long deadline = System.nanoTime() + 5_000_000_000L;
    for (; ; ) {
      try {
        Files.write(guard, ProcessInfo.pidText().getBytes(StandardCharsets.US_ASCII), StandardOpenOption.CREATE_NEW);
        return guard;
      } catch (FileAlreadyExistsException e) {
        String pid = readGuard(guard);
        if (!pid.isEmpty() && !Files.exists(Paths.get("/proc", pid))) Files.deleteIfExists(guard);
        else if (System.nanoTime() > deadline) throw new IOException(path + " is being bound by process " + pid);
        else pause();
      }
    }
  }

  private static String readGuard(Path guard) {
    try {
      return new String(Files.readAllBytes(guard), StandardCharsets.US_ASCII).trim();
    } catch (IOException e) {
      return "";
    }
  }

  private static void pause() throws IOException {
    try {
      Thread.sleep(10);
    } catch (InterruptedException e) {
      throw new IOException("interrupted", e);
    }
  }

  private static boolean isLive(Path path) {
    try (SocketChannel ignored = Address.ipc(path).connect()) {
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static Object identity(Path path) throws IOException {
    return Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS).fileKey();
  }

  /** Leaves the file of another process in its place. */
  void remove() {
    try {
      if (identity.equals(identity(path))) Files.delete(path);
    } catch (NoSuchFileException e) {
      // Somebody cleaned up.
    } catch (IOException e) {
      System.err.println("tilecast: cannot remove " + path + ": " + e);
    }
  }
}
