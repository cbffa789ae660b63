// SPDX-License-Identifier: MIT
// One ZeroMQ connection: ZMTP 3.0 (rfc.zeromq.org/spec/23) with the NULL mechanism over a blocking channel.

package tilecast.fiji.wire;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Our own, because JeroMQ's ipc:// is TCP under another name, so that libzmq's peers cannot reach it. Only what REP and PUSH need is here; JeroMQ and libzmq
 * are its peers in the tests.
 */
final class Zmtp implements Closeable {
  private static final int MORE = 1;
  private static final int LONG = 2;
  private static final int COMMAND = 4;
  private static final int MAX_COMMAND = 64 * 1024;
  private static final int MAX_FRAMES = 64;

  private final SocketChannel channel;
  private final ByteBuffer in = (ByteBuffer) ByteBuffer.allocateDirect(64 * 1024).flip();

  /** Greets, and throws when the peer is none of {@code peerTypes}. */
  Zmtp(SocketChannel channel, String ownType, List<String> peerTypes) throws IOException {
    this.channel = channel;
    byte[] greeting = new byte[64];
    greeting[0] = (byte) 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    System.arraycopy("NULL".getBytes(StandardCharsets.US_ASCII), 0, greeting, 12, 4);
    write(ByteBuffer.wrap(greeting));
    byte[] theirs = read(64);
    String mechanism = new String(theirs, 12, 20, StandardCharsets.US_ASCII).trim();
    if (theirs[0] != greeting[0] || theirs[9] != greeting[9] || theirs[10] < 3 || !mechanism.equals("NULL"))
      throw new IOException("the peer does not speak ZMTP 3 without encryption");
    ready(ownType);
    String type = peerType();
    if (!peerTypes.contains(type)) throw new IOException("a peer of type " + type + " cannot talk to " + ownType);
  }

  private void ready(String ownType) throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    body.write(5);
    body.write("READY".getBytes(StandardCharsets.US_ASCII));
    property(body, "Socket-Type", ownType);
    write(frame(body.toByteArray(), COMMAND));
  }

  private static void property(ByteArrayOutputStream body, String name, String value) throws IOException {
    body.write(name.length());
    body.write(name.getBytes(StandardCharsets.US_ASCII));
    body.write(new byte[] {0, 0, 0, (byte) value.length()});
    body.write(value.getBytes(StandardCharsets.US_ASCII));
  }

  private String peerType() throws IOException {
    int flags = read(1)[0] & 0xff;
    long size = size(flags);
    if ((flags & COMMAND) == 0 || size > MAX_COMMAND) throw new IOException("expected READY");
    ByteBuffer body = ByteBuffer.wrap(read((int) size));
    if (!short8(body).equals("READY")) throw new IOException("expected READY");
    while (body.hasRemaining()) {
      String name = short8(body);
      if (body.remaining() < 4) throw new IOException("READY is cut off");
      int length = body.getInt();
      if (length < 0 || length > body.remaining()) throw new IOException("READY is cut off");
      byte[] value = new byte[length];
      body.get(value);
      if (name.equalsIgnoreCase("Socket-Type")) return new String(value, StandardCharsets.US_ASCII);
    }
    return "unknown";
  }

  private static String short8(ByteBuffer body) throws IOException {
    int length = body.hasRemaining() ? body.get() & 0xff : Integer.MAX_VALUE;
    if (length > body.remaining()) throw new IOException("READY is cut off");
    byte[] name = new byte[length];
    body.get(name);
    return new String(name, StandardCharsets.US_ASCII);
  }

  /** What is too large is read and thrown away, so that it can be answered. */
  static final class Message {
    /** Frames up to and with the empty one that ends the envelope of a REQ. */
    final List<byte[]> envelope = new ArrayList<>();
    /** Frames after it. */
    final List<byte[]> body = new ArrayList<>();

    boolean isTooLarge;
  }

  /** The next message of a REQ or DEALER; {@code maxBytes} for all of its frames. */
  Message receive(int maxBytes) throws IOException {
    Message message = new Message();
    boolean inEnvelope = true;
    long total = 0;
    for (; ; ) {
      int flags = read(1)[0] & 0xff;
      long size = size(flags);
      if ((flags & COMMAND) != 0) {
        command(size);
        continue;
      }
      total += size;
      if (total > maxBytes || message.envelope.size() + message.body.size() >= MAX_FRAMES) {
        message.isTooLarge = true;
        message.body.clear();
        skip(size);
        if (inEnvelope) throw new IOException("an envelope without an end");
      } else {
        byte[] frame = read((int) size);
        (inEnvelope ? message.envelope : message.body).add(frame);
        if (frame.length == 0) inEnvelope = false;
      }
      if ((flags & MORE) == 0) {
        if (inEnvelope) throw new IOException("a request without the empty frame of REQ");
        return message;
      }
    }
  }

  /** Waits until the peer ends the connection; a PUSH has nothing to receive. */
  void drain() throws IOException {
    for (; ; ) {
      int flags = read(1)[0] & 0xff;
      long size = size(flags);
      if ((flags & COMMAND) != 0) command(size);
      else skip(size);
    }
  }

  private void command(long size) throws IOException {
    if (size > MAX_COMMAND) throw new IOException("a command of " + size + " bytes");
    ByteBuffer body = ByteBuffer.wrap(read((int) size));
    String name = short8(body);
    if (name.equals("ERROR")) throw new IOException("the peer refused the connection");
    if (!name.equals("PING")) return;
    if (body.remaining() < 2) throw new IOException("PING is cut off");
    body.getShort();
    ByteArrayOutputStream pong = new ByteArrayOutputStream();
    pong.write(4);
    pong.write("PONG".getBytes(StandardCharsets.US_ASCII));
    pong.write(body.array(), body.position(), body.remaining());
    write(frame(pong.toByteArray(), COMMAND));
  }

  synchronized void send(List<byte[]> envelope, byte[] body) throws IOException {
    for (byte[] part : envelope) write(frame(part, MORE));
    write(frame(body, 0));
  }

  private static ByteBuffer frame(byte[] body, int flags) {
    ByteBuffer frame = ByteBuffer.allocate(9 + body.length);
    if (body.length > 255) frame.put((byte) (flags | LONG)).putLong(body.length);
    else frame.put((byte) flags).put((byte) body.length);
    frame.put(body).flip();
    return frame;
  }

  private long size(int flags) throws IOException {
    if ((flags & LONG) == 0) return read(1)[0] & 0xff;
    long size = ByteBuffer.wrap(read(8)).getLong();
    if (size < 0) throw new IOException("a frame of more than 2^63 bytes");
    return size;
  }

  private byte[] read(int count) throws IOException {
    byte[] bytes = new byte[Math.min(count, 1 << 20)];
    int at = 0;
    while (at < count) {
      // Memory is asked for as bytes come: a length alone costs nothing.
      if (at == bytes.length) bytes = java.util.Arrays.copyOf(bytes, (int) Math.min(count, 2L * at));
      fill();
      int part = Math.min(in.remaining(), bytes.length - at);
      in.get(bytes, at, part);
      at += part;
    }
    return bytes;
  }

  private void skip(long count) throws IOException {
    while (count > 0) {
      fill();
      int part = (int) Math.min(in.remaining(), count);
      in.position(in.position() + part);
      count -= part;
    }
  }

  private void fill() throws IOException {
    if (in.hasRemaining()) return;
    in.clear();
    int got = channel.read(in);
    in.flip();
    if (got < 0) throw new EOFException();
  }

  private void write(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) channel.write(bytes);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
