// SPDX-License-Identifier: MIT
// The sockets with JeroMQ as the peer; libzmq is the peer of the tests in TypeScript.

package tilecast.fiji.wire;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.zeromq.SocketType;
import org.zeromq.ZContext;
import org.zeromq.ZMQ;

final class ZmtpTest {
  private static int freePort() throws Exception {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  @Test
  void everyRequestGetsItsAnswer() throws Exception {
    int port = freePort();
    try (RepServer server = new RepServer(Address.tcp("127.0.0.1", port), request -> request, text -> text.getBytes(StandardCharsets.UTF_8));
        ZContext context = new ZContext()) {
      ZMQ.Socket peer = context.createSocket(SocketType.REQ);
      peer.setReceiveTimeOut(30_000);
      peer.connect("tcp://127.0.0.1:" + port);
      for (int size : new int[] {0, 1, 255, 256, 70_000, 3_000_000}) {
        byte[] message = new byte[size];
        for (int i = 0; i < size; i++) message[i] = (byte) (i * 31);
        peer.send(message);
        assertArrayEquals(message, peer.recv());
      }
      peer.sendMore("two");
      peer.send("frames");
      assertEquals("expected one frame, and got 2", peer.recvStr());
    }
  }

  @Test
  void acknowledgementsArriveInOrderAlsoWhenTheListenerIsLate() throws Exception {
    int port = freePort();
    PushClient push = new PushClient();
    for (int i = 0; i < 100; i++) push.send(Address.tcp("127.0.0.1", port), String.valueOf(i).getBytes(StandardCharsets.UTF_8));
    try (ZContext context = new ZContext()) {
      ZMQ.Socket listener = context.createSocket(SocketType.PULL);
      listener.setReceiveTimeOut(30_000);
      listener.bind("tcp://127.0.0.1:" + port);
      for (int i = 0; i < 100; i++) assertEquals(String.valueOf(i), listener.recvStr());
    }
    assertEquals(0, push.dropped());
  }
}
