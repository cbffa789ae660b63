// SPDX-License-Identifier: MIT
// PUSH sockets for acknowledgements: nothing ever waits for them; what cannot be sent is dropped and counted.

package tilecast.fiji.wire;

import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** A thread a listener, which ends when it has had nothing to send for a minute. */
public final class PushClient {
  private static final int QUEUE = 10_000;
  private static final int MAX_LISTENERS = 32;
  private static final long RETRY_MS = 200;
  /** A listener that starts a little later than its sender still gets them. */
  private static final int RETRIES = 10;

  private final Map<Address, Listener> listeners = new LinkedHashMap<>();
  private final AtomicLong dropped = new AtomicLong();

  public long dropped() {
    return dropped.get();
  }

  /** Queues one message; never blocks. */
  public synchronized void send(Address address, byte[] message) {
    Listener listener = listeners.get(address);
    if (listener == null) {
      if (listeners.size() >= MAX_LISTENERS) {
        dropped.incrementAndGet();
        return;
      }
      listener = new Listener(address);
      listeners.put(address, listener);
      listener.start();
    }
    if (!listener.queue.offer(message)) dropped.incrementAndGet();
  }

  private synchronized boolean endIfIdle(Listener listener) {
    if (!listener.queue.isEmpty()) return false;
    listeners.remove(listener.address);
    return true;
  }

  private final class Listener extends Thread {
    final Address address;
    final ArrayBlockingQueue<byte[]> queue = new ArrayBlockingQueue<>(QUEUE);
    private Zmtp connection;

    Listener(Address address) {
      super("tilecast acknowledgements " + address);
      setDaemon(true);
      this.address = address;
    }

    @Override
    public void run() {
      try {
        for (; ; ) {
          byte[] message = queue.poll(60, TimeUnit.SECONDS);
          if (message == null) {
            if (endIfIdle(this)) break;
          } else if (!deliver(message)) dropped.incrementAndGet();
        }
      } catch (InterruptedException e) {
        // Ends below.
      }
      disconnect();
    }

    private boolean deliver(byte[] message) throws InterruptedException {
      for (int i = 0; i < RETRIES; i++) {
        try {
          if (connection == null) connect();
          connection.send(Collections.emptyList(), message);
          return true;
        } catch (IOException e) {
          disconnect();
          // Nobody listens: what waits is not kept for long.
          if (i > 0 && queue.remainingCapacity() < QUEUE / 2) return false;
          Thread.sleep(RETRY_MS);
        }
      }
      // One round of retries is enough for all that waits.
      for (int waiting = queue.size(); waiting > 0 && queue.poll() != null; waiting--) dropped.incrementAndGet();
      return false;
    }

    private void connect() throws IOException {
      SocketChannel channel = address.connect();
      Zmtp opened;
      try {
        opened = new Zmtp(channel, "PUSH", Collections.singletonList("PULL"));
      } catch (IOException | RuntimeException e) {
        channel.close();
        throw e;
      }
      connection = opened;
      Thread drain =
          new Thread(
              () -> {
                try {
                  opened.drain();
                } catch (IOException e) {
                  close(opened);
                }
              },
              getName() + " drain");
      drain.setDaemon(true);
      drain.start();
    }

    private void disconnect() {
      if (connection != null) close(connection);
      connection = null;
    }

    private void close(Zmtp closing) {
      try {
        closing.close();
      } catch (IOException e) {
        // It is closed either way.
      }
    }
  }
}
