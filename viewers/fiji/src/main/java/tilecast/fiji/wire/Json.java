// SPDX-License-Identifier: MIT
// JSON as Python writes it: NaN and Infinity are numbers.

package tilecast.fiji.wire;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.ToNumberPolicy;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

public final class Json {
  private static final Gson GSON =
      new GsonBuilder()
          .setObjectToNumberStrategy(ToNumberPolicy.LONG_OR_DOUBLE)
          .serializeNulls()
          .serializeSpecialFloatingPointValues()
          .disableHtmlEscaping()
          .create();

  private Json() {}

  /** Maps, lists, strings, Long, Double, Boolean and null. */
  public static Object parse(byte[] bytes) {
    try {
      // Strict UTF-8: replaced characters would become other names.
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      return GSON.fromJson(text, Object.class);
    } catch (CharacterCodingException e) {
      throw new WireException("the message is not UTF-8");
    } catch (JsonParseException | NumberFormatException e) {
      throw new WireException("the message is not JSON: " + e.getMessage());
    } catch (StackOverflowError e) {
      throw new WireException("the message is nested too deeply");
    }
  }

  public static byte[] bytes(Object value) {
    return text(value).getBytes(StandardCharsets.UTF_8);
  }

  public static String text(Object value) {
    return GSON.toJson(value);
  }
}
