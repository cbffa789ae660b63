// SPDX-License-Identifier: MIT
// Reads Python pickles of plain data, protocols 2 to 5. Nothing that they name is imported, called or built: it becomes an Opaque.

package tilecast.fiji.wire;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The libraries at hand cannot read what OpenHCS sends: dataclasses whose state is a list. */
public final class PickleReader {
  /** Values that one message may push; a memo makes small messages of many. */
  private static final int MAX_VALUES = 1_000_000;

  private static final int MAX_DEPTH = 100;
  private static final int MAX_INT_BYTES = 1024;
  private static final Object MARK = new Object();

  private final ByteBuffer in;
  private final List<Object> stack = new ArrayList<>();
  private final Map<Integer, Object> memo = new HashMap<>();
  private int pushed;
  private int walked;

  private PickleReader(byte[] bytes) {
    in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Maps, lists (tuples and sets too), strings, byte[], Long, BigInteger, Double, Boolean, null and Opaque. */
  public static Object read(byte[] bytes) {
    PickleReader reader = new PickleReader(bytes);
    Object value = reader.load();
    reader.checkDepth(value, 0);
    return value;
  }

  /** A pickle may hold itself, or the same list a million times over; whatever walks values relies on this. */
  private void checkDepth(Object value, int depth) {
    if (depth > MAX_DEPTH) throw new WireException("pickle: nested more than " + MAX_DEPTH + " deep");
    if (++walked > 4 * MAX_VALUES) throw new WireException("pickle: more than " + 4 * MAX_VALUES + " values");
    if (value instanceof Map) for (Object v : ((Map<?, ?>) value).values()) checkDepth(v, depth + 1);
    else if (value instanceof List) for (Object v : (List<?>) value) checkDepth(v, depth + 1);
    else if (value instanceof Opaque) {
      checkDepth(((Opaque) value).arguments, depth + 1);
      checkDepth(((Opaque) value).state, depth + 1);
    }
  }

  private Object load() {
    for (; ; ) {
      int at = in.position();
      int opcode = u8();
      if (opcode == '.') return pop();
      step(opcode, at);
    }
  }

  private void step(int opcode, int at) {
    switch (opcode) {
      case 0x80: // PROTO
        int protocol = u8();
        if (protocol < 2 || protocol > 5) throw new WireException("pickle: protocol " + protocol + " instead of 2 to 5");
        break;
      case 0x95: // FRAME
        take(8);
        break;
      case '(':
        push(MARK);
        break;
      case '0':
        pop();
        break;
      case '1':
        popMark();
        break;
      case 'N':
        push(null);
        break;
      case 0x88:
        push(true);
        break;
      case 0x89:
        push(false);
        break;
      case 'K':
        push((long) u8());
        break;
      case 'M':
        push((long) (take(2).getShort() & 0xffff));
        break;
      case 'J':
        push((long) take(4).getInt());
        break;
      case 0x8a: // LONG1
        push(integer(u8()));
        break;
      case 0x8b: // LONG4
        push(integer(length(4)));
        break;
      case 'G':
        push(take(8).order(ByteOrder.BIG_ENDIAN).getDouble());
        break;
      case 0x8c:
        push(text(u8()));
        break;
      case 'X':
        push(text(length(4)));
        break;
      case 0x8d:
        push(text(length(8)));
        break;
      case 'C':
        push(bytes(u8()));
        break;
      case 'B':
        push(bytes(length(4)));
        break;
      case 0x8e:
      case 0x96:
        push(bytes(length(8)));
        break;
      case '}':
        push(new LinkedHashMap<Object, Object>());
        break;
      case ']':
      case ')':
      case 0x8f: // EMPTY_SET
        push(new ArrayList<Object>());
        break;
      case 't':
      case 'l':
      case 0x91: // FROZENSET
        push(popMark());
        break;
      case 'd':
        List<Object> pairs = popMark();
        push(new LinkedHashMap<Object, Object>());
        setItems(pairs);
        break;
      case 0x85:
        push(popN(1));
        break;
      case 0x86:
        push(popN(2));
        break;
      case 0x87:
        push(popN(3));
        break;
      case 'a':
        append(Collections.singletonList(pop()));
        break;
      case 'e':
      case 0x90: // ADDITEMS
        append(popMark());
        break;
      case 's':
        setItems(popN(2));
        break;
      case 'u':
        setItems(popMark());
        break;
      case 'q':
        memo.put(u8(), top());
        break;
      case 'r':
        memo.put(take(4).getInt(), top());
        break;
      case 0x94:
        memo.put(memo.size(), top());
        break;
      case 'h':
        recall(u8());
        break;
      case 'j':
        recall(take(4).getInt());
        break;
      case 'c':
        String module = line();
        push(new Opaque(module, line(), new ArrayList<>()));
        break;
      case 0x93: // STACK_GLOBAL
        List<Object> names = popN(2);
        if (!(names.get(0) instanceof String && names.get(1) instanceof String))
          throw new WireException("pickle: a class whose name is not a string");
        push(new Opaque((String) names.get(0), (String) names.get(1), new ArrayList<>()));
        break;
      case 'R':
      case 0x81: // NEWOBJ
        make(popN(2));
        break;
      case 0x92: // NEWOBJ_EX
        make(popN(3).subList(0, 2));
        break;
      case 'b':
        Object state = pop();
        if (!(top() instanceof Opaque)) throw new WireException("pickle: state for " + Fields.kind(top()));
        ((Opaque) top()).state = state;
        break;
      default:
        throw new WireException(String.format("pickle: the opcode 0x%02x at byte %d is not plain data", opcode, at));
    }
  }

  private void make(List<Object> classAndArguments) {
    Object type = classAndArguments.get(0);
    Object arguments = classAndArguments.get(1);
    if (!(type instanceof Opaque) || !(arguments instanceof List))
      throw new WireException("pickle: a call of " + Fields.kind(type));
    push(new Opaque(((Opaque) type).module, ((Opaque) type).name, new ArrayList<>((List<?>) arguments)));
  }

  private void setItems(List<Object> pairs) {
    Object target = top();
    if (target instanceof Opaque) {
      // A subclass of dict: what it holds is its state.
      Opaque opaque = (Opaque) target;
      if (!(opaque.state instanceof Map)) opaque.state = new LinkedHashMap<Object, Object>();
      target = opaque.state;
    }
    if (!(target instanceof Map) || pairs.size() % 2 != 0) throw new WireException("pickle: items for " + Fields.kind(target));
    @SuppressWarnings("unchecked")
    Map<Object, Object> map = (Map<Object, Object>) target;
    for (int i = 0; i < pairs.size(); i += 2) {
      Object key = pairs.get(i);
      // Hashes of containers that hold themselves never end.
      if (key instanceof Map || key instanceof List || key instanceof Opaque) key = String.valueOf(Fields.kind(key));
      map.put(key, pairs.get(i + 1));
    }
  }

  private void append(List<Object> items) {
    Object target = top();
    if (!(target instanceof List)) throw new WireException("pickle: items for " + Fields.kind(target));
    @SuppressWarnings("unchecked")
    List<Object> list = (List<Object>) target;
    list.addAll(items);
  }

  private void recall(int index) {
    if (!memo.containsKey(index)) throw new WireException("pickle: no memo entry " + index);
    push(memo.get(index));
  }

  private void push(Object value) {
    if (++pushed > MAX_VALUES) throw new WireException("pickle: more than " + MAX_VALUES + " values");
    stack.add(value);
  }

  private Object pop() {
    Object value = top();
    stack.remove(stack.size() - 1);
    return value;
  }

  private Object top() {
    if (stack.isEmpty() || stack.get(stack.size() - 1) == MARK) throw new WireException("pickle: a value is missing");
    return stack.get(stack.size() - 1);
  }

  private List<Object> popN(int count) {
    Object[] values = new Object[count];
    for (int i = count; i-- > 0; ) values[i] = pop();
    return new ArrayList<>(Arrays.asList(values));
  }

  private List<Object> popMark() {
    int at = stack.size();
    do if (--at < 0) throw new WireException("pickle: a mark is missing");
    while (stack.get(at) != MARK);
    List<Object> tail = stack.subList(at + 1, stack.size());
    List<Object> values = new ArrayList<>(tail);
    tail.clear();
    stack.remove(at);
    return values;
  }

  private ByteBuffer take(int count) {
    if (count < 0 || count > in.remaining())
      throw new WireException("pickle: the message ends after " + in.limit() + " bytes, in a value");
    ByteBuffer part = in.slice().order(ByteOrder.LITTLE_ENDIAN);
    part.limit(count);
    in.position(in.position() + count);
    return part;
  }

  private int u8() {
    return take(1).get() & 0xff;
  }

  /** A length of 4 or 8 bytes; what is larger than any message fails in take. */
  private int length(int size) {
    long value = size == 4 ? take(4).getInt() & 0xffffffffL : take(8).getLong();
    return value < 0 || value > Integer.MAX_VALUE ? Integer.MAX_VALUE : (int) value;
  }

  private byte[] bytes(int count) {
    ByteBuffer part = take(count);
    byte[] bytes = new byte[count];
    part.get(bytes);
    return bytes;
  }

  private String text(int count) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(take(count)).toString();
    } catch (CharacterCodingException e) {
      throw new WireException("pickle: a string is not UTF-8");
    }
  }

  private String line() {
    int start = in.position();
    int end = start;
    while (end < in.limit() && in.get(end) != '\n') end++;
    if (end == in.limit()) throw new WireException("pickle: a line does not end");
    String text = text(end - start);
    take(1);
    return text;
  }

  private Object integer(int count) {
    if (count > MAX_INT_BYTES) throw new WireException("pickle: an int of " + count + " bytes");
    byte[] bytes = bytes(count);
    if (count == 0) return 0L;
    for (int i = 0; i < count / 2; i++) {
      byte b = bytes[i];
      bytes[i] = bytes[count - 1 - i];
      bytes[count - 1 - i] = b;
    }
    BigInteger value = new BigInteger(bytes);
    return value.bitLength() < 64 ? (Object) value.longValue() : value;
  }
}
