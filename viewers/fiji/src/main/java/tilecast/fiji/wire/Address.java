// SPDX-License-Identifier: MIT
// Where a socket listens or connects: ipc://PATH or tcp://HOST:PORT.

package tilecast.fiji.wire;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ProtocolFamily;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Objects;

public final class Address {
  /** The file of an IPC address; null for TCP. */
  public final Path path;

  private final String host;
  private final int port;

  private Address(Path path, String host, int port) {
    this.path = path;
    this.host = host;
    this.port = port;
  }

  public static Address ipc(Path path) {
    return new Address(path, null, 0);
  }

  public static Address tcp(String host, int port) {
    return new Address(null, host, port);
  }

  public static Address parse(String url) {
    if (url.startsWith("ipc:///")) return ipc(Paths.get(url.substring(6)));
    int colon = url.lastIndexOf(':');
    if (url.startsWith("tcp://") && colon > 6) {
      try {
        return tcp(url.substring(6, colon), Integer.parseInt(url.substring(colon + 1)));
      } catch (NumberFormatException e) {
        // Said below.
      }
    }
    throw new WireException("expected ipc:///PATH or tcp://HOST:PORT, and got \"" + url + "\"");
  }

  /** Whether it is on this host for certain: a name that would have to be looked up is not. */
  public boolean isLocal() {
    return path != null || host.equals("localhost") || host.matches("127(\\.[0-9]{1,3}){3}");
  }

  ServerSocketChannel listen() throws IOException {
    if (path != null) {
      ServerSocketChannel server = (ServerSocketChannel) unix(ServerSocketChannel.class);
      try {
        server.bind(unixAddress());
      } catch (IOException e) {
        server.close();
        throw e;
      }
      return server;
    }
    ServerSocketChannel server = ServerSocketChannel.open();
    try {
      server.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      server.bind(new InetSocketAddress(host, port));
    } catch (IOException | RuntimeException e) {
      server.close();
      throw e;
    }
    return server;
  }

  public SocketChannel connect() throws IOException {
    SocketChannel channel = path != null ? (SocketChannel) unix(SocketChannel.class) : SocketChannel.open();
    try {
      channel.connect(path != null ? unixAddress() : new InetSocketAddress(host, port));
      if (path == null) channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      return channel;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** Reached by name: the code runs on Java 8 too, which has no such sockets. */
  private static Object unix(Class<?> channel) throws IOException {
    try {
      return channel.getMethod("open", ProtocolFamily.class).invoke(null, StandardProtocolFamily.valueOf("UNIX"));
    } catch (ReflectiveOperationException | IllegalArgumentException e) {
      throw new IOException(
          "IPC sockets need Java 16 or newer, and this is Java " + System.getProperty("java.version") + ": use TCP", e);
    }
  }

  private SocketAddress unixAddress() throws IOException {
    try {
      return (SocketAddress)
          Class.forName("java.net.UnixDomainSocketAddress").getMethod("of", Path.class).invoke(null, path);
    } catch (ReflectiveOperationException e) {
      throw new IOException("no IPC address for " + path, e);
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Address && toString().equals(other.toString());
  }

  @Override
  public int hashCode() {
    return Objects.hash(path, host, port);
  }

  @Override
  public String toString() {
    return path != null ? "ipc://" + path : "tcp://" + host + ":" + port;
  }
}
