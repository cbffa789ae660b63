// SPDX-License-Identifier: MIT
// A REP socket: every message of every connection gets one answer, whatever it is.

package tilecast.fiji.wire;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.function.Function;

/** A thread a connection, so that a slow request (a macro) holds nobody else up. */
public final class RepServer implements Closeable {
  /** The contract's limit of a message. */
  public static final int MAX_MESSAGE = 64 << 20;

  private static final int MAX_CONNECTIONS = 256;

  /** Answers requests. It must not throw. */
  public interface Handler {
    byte[] answer(byte[] request);
  }

  private final ServerSocketChannel server;
  private final SocketFile file;
  private final Handler handler;
  private final Function<String, byte[]> error;
  private final Set<SocketChannel> connections = ConcurrentHashMap.newKeySet();
  private final Semaphore places = new Semaphore(MAX_CONNECTIONS);
  private volatile boolean closed;

  /** {@code error} encodes what is said of a message that cannot be handed to {@code handler}. */
  public RepServer(Address address, Handler handler, Function<String, byte[]> error) throws IOException {
    this.handler = handler;
    this.error = error;
    if (address.path != null) {
      ServerSocketChannel[] bound = new ServerSocketChannel[1];
      file = SocketFile.bind(address.path, address::listen, bound);
      server = bound[0];
    } else {
      file = null;
      server = address.listen();
    }
    start("accept " + address, this::accept);
  }

  private static void start(String name, Runnable work) {
    Thread thread = new Thread(work, "tilecast " + name);
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() {
    while (!closed) {
      try {
        SocketChannel channel = server.accept();
        if (places.tryAcquire()) start("connection", () -> serve(channel));
        else channel.close();
      } catch (IOException e) {
        if (closed) return;
        // No file descriptors left, for one: others end their connections.
        try {
          Thread.sleep(50);
        } catch (InterruptedException interrupted) {
          return;
        }
      }
    }
  }

  private void serve(SocketChannel channel) {
    connections.add(channel);
    try (Zmtp peer = new Zmtp(channel, "REP", Arrays.asList("REQ", "DEALER"))) {
      while (!closed) {
        Zmtp.Message message = peer.receive(MAX_MESSAGE);
        peer.send(message.envelope, answer(message));
      }
    } catch (IOException | RuntimeException e) {
      // Gone, or it speaks something else: its connection ends and nothing more.
    } catch (OutOfMemoryError e) {
      System.err.println("tilecast: out of memory while reading a message");
    } finally {
      connections.remove(channel);
      places.release();
      // A greeting that fails leaves it open.
      close(channel);
    }
  }

  private static void close(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      // It is closed either way.
    }
  }

  private byte[] answer(Zmtp.Message message) {
    if (message.isTooLarge) return error.apply("the message has more than " + (MAX_MESSAGE >> 20) + " MiB");
    if (message.body.size() != 1) return error.apply("expected one frame, and got " + message.body.size());
    return handler.answer(message.body.get(0));
  }

  @Override
  public void close() throws IOException {
    closed = true;
    server.close();
    if (file != null) file.remove();
    for (SocketChannel channel : connections) close(channel);
  }
}
